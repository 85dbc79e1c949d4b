"""Analysis: what the traffic proxy recorded, in summary. Requests and bodies are in the store."""

from __future__ import annotations

from domain.base import Contract
from domain.executions.windows import ServiceStability


class AnalysisStarted(Contract):
    """The proxy has accepted an analysis."""

    task_id: str


class AnalysisOrder(Contract):
    """Asks to follow an analysis to its end."""

    execution_id: int
    task_id: str


class RecordingsOrder(Contract):
    """Asks to switch off every recording of an execution."""

    execution_id: int
    analysis_over: bool = False
    """Whether its analysis was seen to complete, so that it switches nothing on any more."""


class RecordedService(Contract):
    """What was recorded of one service."""

    service: str
    patterns: int
    """Distinct (method, url) pairs recorded; 0 when the analysis has nothing of it."""
    baggage_forwarded: bool
    """Whether the marker in the analysis request's baggage reached it."""


class RecordedServices(Contract):
    """What was recorded of every service under test."""

    services: list[RecordedService] = []


class AnalysisReport(Contract):
    """The result of a recording window."""

    task_id: str
    services: list[RecordedService]
    stability: list[ServiceStability] = []
    recovery_verified: bool = True

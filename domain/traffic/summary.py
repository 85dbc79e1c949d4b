"""Summary of an analysis: what the traffic proxy recorded.

Requests and bodies are in the store.
"""

from __future__ import annotations

from domain.base import Contract
from domain.executions.windows import ServiceStability


class AnalysisStarted(Contract):
    """An analysis that the proxy has accepted."""

    task_id: str


class AnalysisOrder(Contract):
    """Order to follow an analysis to its end."""

    execution_id: int
    task_id: str


class RecordingsOrder(Contract):
    """Order to switch off every recording of an execution."""

    execution_id: int
    analysis_over: bool = False
    """Whether no further recording can be switched on. The analysis was seen to complete or, for recordings of calls,
    their start was."""


class RecordedService(Contract):
    """Recorded traffic of one service."""

    service: str
    patterns: int
    """Distinct (method, url) pairs recorded. 0 if the analysis has nothing about the service."""
    baggage_forwarded: bool
    """Whether every recorded request carried the marker in the analysis request's baggage."""


class RecordedServices(Contract):
    """Recorded traffic of every service under test."""

    services: list[RecordedService] = []


class AnalysisReport(Contract):
    """Result of a recording window."""

    task_id: str
    services: list[RecordedService]
    stability: list[ServiceStability] = []
    recovery_verified: bool = True

"""Fallback calls: what the plan's request makes services ask each other only while something is broken."""

from __future__ import annotations

from enum import StrEnum

from workflows.contracts.base import Contract
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import ExecutionRef


class Call(Contract):
    """One kind of request that a service receives."""

    service: str
    method: str
    path: str
    """Raw, without query, as in `RecordedExchange.path`; secrets of the plan by name."""


class FallbackCall(Call):
    """A call that is made only, or more often, while the services of a case are really broken."""

    case_index: int
    """The case under which it was seen. 0, the baseline: nothing was broken, and the analysis had not recorded it."""
    times: int
    """How often one request of the plan caused it then."""
    healthy_times: int = 0
    """How often it does while everything is healthy."""
    new: bool
    """Whether the analysis had no such request: a rule exists only if it was captured since."""
    round: int
    """Of discovery, from 1: single failures first."""
    reason: str = ""
    """Why its failure cannot be captured; empty when it can, or was."""


class RealAnswer(Contract):
    """What one request of the plan got while services were really broken."""

    status: int | None
    """None: no HTTP answer."""
    body: str = ""
    """Redacted, and cut as the load test cuts what it keeps."""
    error: str = ""
    """Kind of error, when there was no answer."""


class RealCase(Contract):
    """A case asked while its services were really broken."""

    case_index: int
    answers: list[RealAnswer]
    measurement: Measurement


NEVER_READ = "the recordings were never read"
"""What a round says of itself until it is read, so that one that never is counts as incomplete."""


TOGETHER = "with safety.max_active_faults above 1 services are broken together, and none is asked alone"
"""Why a round lacks what single failures cause where the plan has it that way: their own cases stand by rules."""


class CallRound(Contract):
    """One round of discovery."""

    round: int
    complete: bool
    """Whether the recordings showed everything up to the end of the round."""
    detail: str = ""
    """Why not."""
    unread: list[str] = []
    """Services whose calls, or under whose failure calls, could not be read. Not complete without any: all."""


class FoundBy(StrEnum):
    """What a case's verdict rests on."""

    RULES = "rules"
    REAL_FAULTS = "real_faults"
    """Its services were really broken, and answered otherwise than their rules."""


class DoubtKind(StrEnum):
    """Why a case that is made of rules may not stand for really broken services."""

    UNANSWERED = "unanswered"
    """A service of the case received a request that no rule answers."""
    UNSEEN = "unseen"
    """One failure adds calls to the other service; what happens when these fail as well was not seen."""
    DISAGREES = "disagrees"
    """A service of the case, broken alone, changes the answer otherwise than its rule does."""
    UNREAD = "unread"
    """The calls under one of its failures could not be read."""


class Doubt(Contract):
    """Why the result of one case is in doubt."""

    case_index: int
    kind: DoubtKind
    reason: str
    """A sentence: service, method and path included."""


class CallsOrder(ExecutionRef):
    """Asks to read which calls failures have caused."""

    round: int


class CallsFound(Contract):
    """What a round of discovery found, in summary; the calls are in the store."""

    complete: bool = True
    new: int = 0
    """Different calls so far that only failures cause."""
    to_capture: list[str] = []
    """Services whose failure has to be captured for some of them."""
    pairs: list[int] = []
    """Case indices of pairs to break for real, because one failure adds calls to the other service."""


class AskOrder(ExecutionRef):
    """Asks to send the plan's request while the services of a case are really broken."""

    case_index: int
    faults: dict[str, str]
    """The name of the fault in each of them."""


class CallsReport(Contract):
    """The result of a calls window."""

    recovery_verified: bool = True

"""Fallback calls: calls that the plan's request causes only under a failure."""

from __future__ import annotations

from enum import StrEnum

from domain.base import Contract
from domain.executions.execution import ExecutionRef
from domain.traffic.exchange import Measurement


class Call(Contract):
    """One kind of request that a service receives."""

    service: str
    method: str
    path: str
    """Raw path without the query, as in `RecordedExchange.path`. Secrets of the plan appear by name."""


class FallbackCall(Call):
    """A call that a case's real failures cause, or make more frequent."""

    case_index: int
    """Case under which the call was seen. 0 is the baseline: nothing was broken, and the analysis had not recorded the
    call."""
    times: int
    """How often one request of the plan caused it in that case."""
    healthy_times: int = 0
    """How often one request causes it while everything is healthy. For a pair: the highest count among the healthy case
    and its two singles."""
    new: bool
    """Whether the analysis had no such request. If True, a rule exists only if the call was captured since."""
    round: int
    """Round of discovery, from 1. Single failures come first."""
    reason: str = ""
    """Why its failure cannot be captured. Empty if it can be, or was."""


class RealAnswer(Contract):
    """Answer to one request of the plan while services were really broken."""

    status: int | None
    """HTTP status. None: no HTTP answer."""
    body: str = ""
    """Redacted. Cut like the bodies that the load test keeps."""
    error: str = ""
    """Kind of error if there was no answer."""


class RealCase(Contract):
    """A case measured while its services were really broken."""

    case_index: int
    answers: list[RealAnswer]
    measurement: Measurement


NEVER_READ = "the recordings were never read"
"""Initial detail of a round, so that an unread round counts as incomplete."""


TOGETHER = "with safety.max_active_faults above 1 services are broken together, and none is asked alone"
"""Detail of a round of a plan that breaks services together. The calls under single failures are then unknown. Only
pairs are in doubt because of it: single cases keep their verdict by rules."""


class CallRound(Contract):
    """One round of discovery."""

    round: int
    complete: bool
    """Whether the recordings covered everything up to the end of the round."""
    detail: str = ""
    """Why they did not."""
    unread: list[str] = []
    """Services for which calls could not be read: their own, or those under their failure. Empty in an incomplete
    round: all."""


class FoundBy(StrEnum):
    """What a case's verdict rests on."""

    RULES = "rules"
    REAL_FAULTS = "real_faults"
    """Its services were really broken, and answered differently from their rules."""


class DoubtKind(StrEnum):
    """Why a case measured with rules may not reflect really broken services."""

    UNANSWERED = "unanswered"
    """A service of the case received a request that no rule answers."""
    UNSEEN = "unseen"
    """One failure adds calls to the other service. What happens if these fail as well was not seen."""
    DISAGREES = "disagrees"
    """A service of the case disagrees with its rule. Really broken alone, it changes the answer in another way."""
    UNREAD = "unread"
    """The calls under one of its failures could not be read."""


class Doubt(Contract):
    """Why the result of one case is in doubt."""

    case_index: int
    kind: DoubtKind
    reason: str
    """One sentence. Names service, method and path of the calls that it is about."""


class CallsOrder(ExecutionRef):
    """Order to read which calls the failures have caused."""

    round: int


class CallsFound(Contract):
    """Summary of a discovery round's findings; the store has the calls."""

    complete: bool = True
    new: int = 0
    """Distinct calls found so far that only failures cause."""
    to_capture: list[str] = []
    """Services with new calls whose failure is still to be captured."""
    pairs: list[int] = []
    """Case indices of pairs to break for real. One failure adds calls to the other service."""


class AskOrder(ExecutionRef):
    """Order to send the plan's request under a case's real faults."""

    case_index: int
    faults: dict[str, str]
    """Name of the active fault in each of its services."""


class CallsReport(Contract):
    """Result of a calls window."""

    recovery_verified: bool = True

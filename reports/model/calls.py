"""Report models for fallback calls and for the evidence behind verdicts."""

from __future__ import annotations

from enum import StrEnum

from reports.model.cases import Part


class CallStanding(StrEnum):
    """What answers a call when the receiving service fails as well."""

    RULED = "ruled"
    """A rule, made from how the service failed at this call."""
    UNCHANGED = "unchanged"
    """The service itself: its failure changes nothing at this call."""
    OPEN = "open"
    """Nothing: there is no rule. A case that needs one is invalid, unless its services were really broken."""
    NEEDLESS = "needless"
    """No rule is needed: no case breaks this many services at once."""


class FallbackCallReport(Part):
    """One call that a failure causes."""

    under: str
    """Case in which the call was seen: the failing services joined with `+`. `baseline` for a call of healthy traffic
    that the analysis had not recorded."""
    case_index: int
    service: str
    """Service that receives the call."""
    method: str
    path: str
    """Path without the query, truncated. Secrets of the plan appear by name only."""
    times: int
    """How often one request of the plan causes the call in that case."""
    healthy_times: int = 0
    """How often one request causes the call while everything is healthy. 0: never."""
    retry: bool = False
    """Whether the receiving service is itself failing, and is called once more."""
    standing: CallStanding
    reason: str = ""
    """Why no rule answers the call. Empty if one does, or if none is needed."""
    decides: str = ""
    """Case in which the receiving service fails as well. Empty if there is no such case."""


class FallbackReport(Part):
    """The calls that failures cause.

    The calls that matter most come first. At most 200 are listed.
    """

    found: int
    """Number of different calls that failures cause and healthy traffic never does."""
    open: int | None = None
    """Number of all calls seen that no rule answers. None in reports made without the store."""
    calls: list[FallbackCallReport] = []
    calls_left_out: int = 0
    """Further calls, which are only in the store."""
    unseen: list[str] = []
    """What could not be observed, one sentence each. Empty: everything was observed."""


class GroundsReport(Part):
    """Evidence behind the verdicts: real faults, rules and substitute statuses.

    A substitute status stands in where a broken service gave no HTTP answer.
    """

    asked: int = 0
    """Cases in which the plan's request was also sent under real faults."""
    differed: int = 0
    """Reported cases whose answers by real faults and by rules differ. Status and body are compared."""
    by_real_faults: int = 0
    """Cases whose verdict comes from real faults. These answered differently from the rules."""
    substituted: int = 0
    """Measured cases that rest on a substitute status. One of their services gave no HTTP answer when it was broken."""
    substituted_asked: int = 0
    """Of these cases, those in which the request was also sent under real faults."""
    substituted_services: list[str] = []
    """Services that gave no HTTP answer, at most fifty."""

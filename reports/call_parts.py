"""The parts of a report that are about fallback calls, and about what verdicts rest on."""

from __future__ import annotations

from enum import StrEnum

from reports.case_parts import Part


class CallStanding(StrEnum):
    """What answers a call when the service that receives it fails as well."""

    RULED = "ruled"
    """A rule, made of how the service failed at it."""
    UNCHANGED = "unchanged"
    """The service itself: its failure changes nothing at this call."""
    OPEN = "open"
    """No rule. A case that needs one is invalid, unless its services were really broken."""
    NEEDLESS = "needless"
    """Nothing has to: no case breaks so many services at once."""


class FallbackCallReport(Part):
    """One call that a failure causes."""

    under: str
    """The case under which it was seen: the failing services joined with `+`. `baseline` for a call of healthy traffic
    that the analysis had not recorded."""
    case_index: int
    service: str
    """Which receives it."""
    method: str
    path: str
    """Without the query, cut; secrets of the plan by name."""
    times: int
    """How often one request of the plan causes it then."""
    healthy_times: int = 0
    """How often one does while everything is healthy. 0: never."""
    retry: bool = False
    """Whether the service that receives it is one of the failing ones, which are asked once more."""
    standing: CallStanding
    reason: str = ""
    """Why no rule answers it, where none does."""
    decides: str = ""
    """The case in which the service fails as well; empty where there is none."""


class FallbackReport(Part):
    """The calls that failures cause: those that matter most first, at most 200."""

    found: int
    """Different calls that failures cause and healthy traffic never does."""
    open: int | None = None
    """Calls, of all that were seen, that no rule answers. None in reports without the store."""
    calls: list[FallbackCallReport] = []
    calls_left_out: int = 0
    """More of them, which are in the store."""
    unseen: list[str] = []
    """What could not be looked at, a sentence each. Empty: nothing."""


class GroundsReport(Part):
    """How far verdicts rest on really broken services, and how far on statuses that nobody answered."""

    asked: int = 0
    """Cases of which the plan's request was also sent while their services were really broken."""
    differed: int = 0
    """Those of them, among the cases in the report, whose answers differ in status or body from those by rules."""
    by_real_faults: int = 0
    """Cases whose verdict real faults have found, because these answered otherwise than the rules."""
    substituted: int = 0
    """Measured cases that rest on a substitute status: a service of theirs gave no HTTP answer when it was broken."""
    substituted_asked: int = 0
    """Those of them that were asked with real faults as well."""
    substituted_services: list[str] = []
    """The services that gave no HTTP answer, at most fifty."""

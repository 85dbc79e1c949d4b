"""Fallback calls and real faults in words, the same in every form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reports.call_parts import CallStanding, FallbackCallReport, FallbackReport, GroundsReport
from reports.case_parts import CaseReport
from reports.words import count, together
from workflows.contracts.calls import FoundBy
from workflows.logic.cases import BASELINE_ID

DEFINITION: Final = (
    "A fallback call is a request that a service receives only, or more often, while something is broken."
)

_STANDINGS: Final = {
    CallStanding.RULED: "a rule answers it",
    CallStanding.UNCHANGED: "its service answers it itself: its failure changes nothing there",
    CallStanding.OPEN: "OPEN: no rule answers it",
    CallStanding.NEEDLESS: "needs no rule: no case breaks so many services",
}


def found_in_words(found: FallbackReport) -> str:
    """How many calls there are, in one sentence."""
    total = len(found.calls) + found.calls_left_out
    if not total:
        return "None was found." if not found.unseen else "None was found in what could be seen."
    if found.found:
        which = f": {found.found:,} different {'one' if found.found == 1 else 'ones'} that healthy traffic never makes"
    else:
        which = ", all of which healthy traffic makes as well, but less often"
    return f"{count(total, 'call')} found{which}{_open(found)}."


def _open(found: FallbackReport) -> str:
    if found.open is None:
        return ""
    if not found.open:
        return "; none is open"
    one = found.open == 1
    return f"; {found.open:,} {'is' if one else 'are'} open: no rule answers {'it' if one else 'them'}"


def under(call: FallbackCallReport) -> str:
    """What was broken."""
    return "nothing broken" if call.under == BASELINE_ID else together(call.under)


def often(call: FallbackCallReport) -> str:
    """How often one request causes the call, and how often it does while all is healthy."""
    times = f"{call.times:,}×"
    if call.under == BASELINE_ID:
        return f"{times}, and the analysis had not recorded it"
    return f"{times}, {f'{call.healthy_times:,}×' if call.healthy_times else 'never'} when healthy"


def standing(call: FallbackCallReport) -> str:
    """What answers the call when its service fails as well."""
    return _STANDINGS[call.standing] + (f": {call.reason}" if call.reason else "")


def call_in_words(call: FallbackCallReport) -> str:
    """All of a call, on one line."""
    again = ", which is broken itself" if call.retry else ""
    return f"{under(call)}: {call.method} {call.path} at {call.service}{again} ({often(call)}); {standing(call)}"


def grounds_in_words(found: GroundsReport) -> Iterator[str]:
    """What verdicts rest on, a sentence each."""
    if found.asked:
        differed = (
            f"{found.differed:,} answered otherwise than by rules" if found.differed else "all answered as by rules"
        )
        yield f"{count(found.asked, 'case')} asked with real faults as well: {differed}."
    if found.by_real_faults:
        decided = "verdict was" if found.by_real_faults == 1 else "verdicts were"
        yield f"{found.by_real_faults:,} {decided} found by real faults, all others by rules."
    if found.substituted:
        rest = "rests" if found.substituted == 1 else "rest"
        yield (
            f"{count(found.substituted, 'case')} {rest} on a substitute status, because a service gave no HTTP answer; "
            f"{found.substituted_asked:,} of them asked with real faults as well."
        )


def found_by(case: CaseReport) -> str:
    """How a verdict was found; empty where there is none, or nobody knows."""
    return "" if case.found_by is None else "real faults" if case.found_by is FoundBy.REAL_FAULTS else "rules"


def real_in_words(case: CaseReport) -> str:
    """What a case's services really answered, where that is something else; empty where it is not."""
    if case.real is None or not case.real.differs:
        return ""
    got = f"status {case.real.status}" if case.real.status is not None else f"no answer ({case.real.error})"
    return f"{got} when really broken: {'; '.join(case.real.differs)}"

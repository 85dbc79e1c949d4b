"""Fallback calls and real faults in words, the same in every form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.calls.model import FoundBy
from domain.cases.cases import BASELINE_ID
from reports.model.calls import CallStanding, FallbackCallReport, FallbackReport, GroundsReport
from reports.model.cases import CaseReport
from reports.text.values import count, together

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
    """Describe how many calls there are, in one sentence."""
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
    """Describe what was broken when the call was seen."""
    return "nothing broken" if call.under == BASELINE_ID else together(call.under)


def often(call: FallbackCallReport) -> str:
    """Describe how often one request causes the call: then, and when healthy."""
    times = f"{call.times:,}×"
    if call.under == BASELINE_ID:
        return f"{times}, and the analysis had not recorded it"
    return f"{times}, {f'{call.healthy_times:,}×' if call.healthy_times else 'never'} when healthy"


def standing(call: FallbackCallReport) -> str:
    """Describe what answers the call when its service fails as well."""
    return _STANDINGS[call.standing] + (f": {call.reason}" if call.reason else "")


def call_in_words(call: FallbackCallReport) -> str:
    """Describe a call in full, on one line."""
    again = ", which is broken itself" if call.retry else ""
    return f"{under(call)}: {call.method} {call.path} at {call.service}{again} ({often(call)}); {standing(call)}"


def grounds_in_words(found: GroundsReport) -> Iterator[str]:
    """Describe what verdicts rest on, one sentence each."""
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
    """Describe what a verdict rests on; empty without one."""
    return "" if case.found_by is None else "real faults" if case.found_by is FoundBy.REAL_FAULTS else "rules"


def real_in_words(case: CaseReport) -> str:
    """Describe what really broken services answered; empty if nothing differs."""
    if case.real is None or not case.real.differs:
        return ""
    got = f"status {case.real.status}" if case.real.status is not None else f"no answer ({case.real.error})"
    return f"{got} when really broken: {'; '.join(case.real.differs)}"

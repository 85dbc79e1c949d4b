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
    CallStanding.UNCHANGED: "its service answers it, because its failure changes nothing there",
    CallStanding.OPEN: "OPEN: no rule answers it",
    CallStanding.NEEDLESS: "needs no rule: no case breaks that many services",
}


def found_in_words(fallback: FallbackReport) -> str:
    """Describe how many calls there are, in one sentence."""
    total = len(fallback.calls) + fallback.calls_left_out
    if not total:
        return "None was found." if not fallback.unseen else "None was found, but not everything could be seen."
    if fallback.found:
        which = (
            f": {fallback.found:,} different {'one' if fallback.found == 1 else 'ones'} "
            "that healthy traffic never makes"
        )
    else:
        which = ", all of which healthy traffic makes as well, but less often"
    return f"{count(total, 'call')} found{which}{_open(fallback)}."


def _open(fallback: FallbackReport) -> str:
    if fallback.open is None:
        return ""
    if not fallback.open:
        return "; none is open"
    single = fallback.open == 1
    return f"; {fallback.open:,} {'is' if single else 'are'} open: no rule answers {'it' if single else 'them'}"


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


def grounds_in_words(grounds: GroundsReport) -> Iterator[str]:
    """Describe what verdicts rest on, one sentence each."""
    if grounds.asked:
        differed = (
            f"{grounds.differed:,} answered differently than by rules"
            if grounds.differed
            else "all answered as by rules"
        )
        yield f"{count(grounds.asked, 'case')} run with real faults as well: {differed}."
    if grounds.by_real_faults:
        decided = "verdict was" if grounds.by_real_faults == 1 else "verdicts were"
        yield f"{grounds.by_real_faults:,} {decided} found by real faults, all others by rules."
    if grounds.substituted:
        rest = "rests" if grounds.substituted == 1 else "rest"
        yield (
            f"{count(grounds.substituted, 'case')} {rest} on a substitute status, because a service gave no HTTP "
            f"answer; {grounds.substituted_asked:,} of them run with real faults as well."
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

"""What became of every case, of all of them together: among so many, one looks worse by chance alone.

A case is worse when its error rate or its percentile is surely above what the margins allow: in a test that holds the
chance of a false alarm anywhere among the cases (`workflows/logic/statistics/families.py`). Of one that passed and now
misses the same limits any sure rise counts. It is the same only when it is surely within the margins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.case_evidence import Evidence
from reports.comparison import CaseSide, Change, ComparedCase, Margins
from workflows.contracts.calls import FoundBy
from workflows.contracts.comparison import Comparison, Finding
from workflows.contracts.execution import Verdict
from workflows.contracts.load import CaseOutcome
from workflows.logic.exclusions import ON_PURPOSE
from workflows.logic.statistics import families
from workflows.logic.statistics.support import least_successes

_ORDER = {change: place for place, change in enumerate(Change)}


@dataclass(frozen=True)
class Looked:
    """One case in both runs, not decided yet."""

    index: int
    case_id: str
    before: CaseSide
    after: CaseSide
    evidence: Evidence | None = None
    """None where one of the runs has no samples of it."""
    flipped: bool = False
    """Whether it has begun to miss the limits, which are the same."""


def flipped(before: CaseSide, after: CaseSide, *, same_limits: bool) -> bool:
    """Whether a case misses now what it did not miss before."""
    return same_limits and after.verdict is Verdict.FAILED and before.verdict not in (None, Verdict.FAILED)


def changes(cases: Sequence[Looked], margins: Margins) -> list[ComparedCase]:
    """What became of each, the worse ones first."""
    worse = _confirmed([one.evidence.worse if one.evidence else {} for one in cases], margins)
    better = _confirmed([one.evidence.better if one.evidence else {} for one in cases], margins)
    found = [_changed(*one, margins) for one in zip(cases, worse, better, strict=True)]
    return sorted(found, key=lambda one: (_ORDER[one.change], one.index))


def _confirmed(p_values: Sequence[dict[str, float]], margins: Margins) -> list[set[str]]:
    """Of each case, what stays when all that was tested is considered."""
    flat = [(place, what, p) for place, named in enumerate(p_values) for what, p in named.items()]
    kept = families.confirmed([p for *_, p in flat], margins.false_alarms / 100)
    found: list[set[str]] = [set() for _ in p_values]
    for (place, what, _), keep in zip(flat, kept, strict=True):
        if keep:
            found[place].add(what)
    return found


def _changed(case: Looked, worse: set[str], better: set[str], margins: Margins) -> ComparedCase:
    seen = case.evidence
    change, why = _unmeasured(case) if seen is None else _measured(case, seen, worse, better, margins)
    return ComparedCase(
        index=case.index,
        case_id=case.case_id,
        change=change,
        why=why,
        before=case.before,
        after=case.after,
        errors=seen.errors if seen else None,
        latency=seen.latency if seen else None,
        more_requests=seen.more_requests if seen and change is Change.UNCERTAIN else None,
    )


def _unmeasured(case: Looked) -> tuple[Change, str]:
    before, after = (one.outcome is CaseOutcome.MEASURED for one in (case.before, case.after))
    if before and after:
        return Change.UNCERTAIN, "its samples are not stored"
    if after and case.after.verdict is Verdict.PASSED:
        return Change.NEW, f"not measured before{_because(case.before)}"
    if after:
        return Change.UNCERTAIN, f"not measured before{_because(case.before)}, and it does not pass"
    if case.after.reason.startswith(ON_PURPOSE):
        return Change.EXCLUDED, case.after.reason
    if before:
        return Change.UNCERTAIN, f"not measured any more{_because(case.after)}"
    return Change.UNMEASURED, case.after.reason


def _because(side: CaseSide) -> str:
    return f": {side.reason}" if side.reason else ", the run did not come to it" if side.outcome is None else ""


def _measured(case: Looked, seen: Evidence, worse: set[str], better: set[str], margins: Margins) -> tuple[Change, str]:
    words = {"errors": _errors_in_words(case, seen), "latency": _latency_in_words(seen.latency, margins)}
    if worse:
        return Change.WORSE, "; ".join(words[what] for what in words if what in worse)
    if _really_differs(case):
        # The samples are of requests with rules, so they say nothing of what real faults have found.
        words_of = f"{case.before.verdict}, then {case.after.verdict}, by real faults"
        reason = case.after.reason or case.before.reason
        return Change.UNCERTAIN, f"{words_of} ({reason})" if reason else words_of
    if case.flipped:
        return Change.UNCERTAIN, f"misses its limits now ({case.after.reason}), which may be chance"
    # Whoever fails less has other requests among its successes: their latency need not be told.
    if "errors" in better:
        return Change.BETTER, words["errors"]
    unsure = [*([] if seen.errors_within else ["errors"]), *([] if seen.latency_within else ["latency"])]
    if unsure:
        return Change.UNCERTAIN, "; ".join(_doubt(what, case, seen, words[what], margins) for what in unsure)
    return (Change.BETTER, words["latency"]) if better else (Change.SAME, "")


def _really_differs(case: Looked) -> bool:
    by = (case.before.found_by, case.after.found_by)
    return FoundBy.REAL_FAULTS in by and case.before.verdict is not case.after.verdict


def _doubt(what: str, case: Looked, seen: Evidence, words: str, margins: Margins) -> str:
    if what == "errors":
        if seen.errors.low > margins.errors:
            return f"{words}: may be chance among so many cases"
        return f"errors may have risen by up to {seen.errors.high:.0f} points"
    if seen.latency is not None and seen.latency.finding is Finding.REGRESSION:
        return f"{words}: may be chance among so many cases"
    if seen.latency is not None and seen.latency.low is None:
        return f"{margins.percentile} {_lacking(case, seen.latency, margins)}"
    return words


def _lacking(case: Looked, latency: Comparison, margins: Margins) -> str:
    needed = least_successes(margins.percentile.share, margins.confidence / 100)
    if min(case.before.successes or 0, case.after.successes or 0) < needed:
        return f"needs {needed} successful requests, {_successes(case)} are there"
    more = f", about {latency.more_requests} more" if latency.more_requests else ""
    return f"needs more requests than {_successes(case)}{more}: those that are slow together tell less than others"


def _successes(case: Looked) -> str:
    before, after = case.before.successes, case.after.successes
    return str(after) if before == after else f"{before} and {after}"


def _errors_in_words(case: Looked, seen: Evidence) -> str:
    rise = seen.errors
    surely = rise.low if rise.points > 0 else -rise.high
    way = "up" if rise.points > 0 else "down"
    told = f", surely {way} by {surely:.1f} points" if surely > 0 else ""
    return f"errors {_percent(case.before)}, then {_percent(case.after)}{told}"


def _percent(side: CaseSide) -> str:
    return "?" if side.error_rate is None else f"{side.error_rate:g}%"


def _latency_in_words(found: Comparison | None, margins: Margins) -> str:
    if found is None or found.ratio is None:
        return f"{margins.percentile} cannot be told"
    between = f" ({found.low:.2f} to {found.high:.2f})" if found.low is not None and found.high is not None else ""
    return f"{found.percentile} is {found.ratio:.2f} times what it was{between}, {found.limit:.2f} allowed"

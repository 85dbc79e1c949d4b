"""Decides what became of every case, over all cases together.

Among that many cases, one looks worse by chance alone. A case is therefore worse only if its error rate or its
percentile is surely above what the margins allow. The test bounds the chance of a false alarm anywhere among the cases
(`domain/measuring/statistics/families.py`). If a case passed before and misses the same limits now, any sure rise
counts. A case is the same only if it is surely within the margins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.calls.model import FoundBy
from domain.executions.execution import Verdict
from domain.measuring.comparison import Comparison, Finding
from domain.measuring.load import CaseOutcome
from domain.measuring.statistics import families
from domain.measuring.statistics.support import least_successes
from domain.plans.exclusions import ON_PURPOSE
from reports.compare.case_evidence import Evidence
from reports.compare.model import CaseSide, Change, ComparedCase, Margins

_ORDER = {change: place for place, change in enumerate(Change)}


@dataclass(frozen=True)
class UndecidedCase:
    """One case in both runs, before the decision."""

    index: int
    case_id: str
    before: CaseSide
    after: CaseSide
    evidence: Evidence | None = None
    """None if one of the runs has no samples of the case."""
    newly_failing: bool = False
    """Whether the case has begun to miss its limits. Both runs have the same limits."""


def is_newly_failing(before: CaseSide, after: CaseSide, *, same_limits: bool) -> bool:
    """Return whether a case misses limits that it did not miss before."""
    return same_limits and after.verdict is Verdict.FAILED and before.verdict not in (None, Verdict.FAILED)


def changes(cases: Sequence[UndecidedCase], margins: Margins) -> list[ComparedCase]:
    """Return what became of each case, the worse ones first."""
    worse = _confirmed([case.evidence.worse if case.evidence else {} for case in cases], margins)
    better = _confirmed([case.evidence.better if case.evidence else {} for case in cases], margins)
    changed = [_changed(*entry, margins) for entry in zip(cases, worse, better, strict=True)]
    return sorted(changed, key=lambda case: (_ORDER[case.change], case.index))


def _confirmed(p_values: Sequence[dict[str, float]], margins: Margins) -> list[set[str]]:
    """Return, for each case, the changes confirmed over all tests together."""
    flat = [(place, what, p) for place, named in enumerate(p_values) for what, p in named.items()]
    kept = families.confirmed([p for *_, p in flat], margins.false_alarms / 100)
    confirmed: list[set[str]] = [set() for _ in p_values]
    for (place, what, _), keep in zip(flat, kept, strict=True):
        if keep:
            confirmed[place].add(what)
    return confirmed


def _changed(case: UndecidedCase, worse: set[str], better: set[str], margins: Margins) -> ComparedCase:
    evidence = case.evidence
    change, why = _unmeasured(case) if evidence is None else _measured(case, evidence, worse, better, margins)
    return ComparedCase(
        index=case.index,
        case_id=case.case_id,
        change=change,
        why=why,
        before=case.before,
        after=case.after,
        errors=evidence.errors if evidence else None,
        latency=evidence.latency if evidence else None,
        more_requests=evidence.more_requests if evidence and change is Change.UNCERTAIN else None,
    )


def _unmeasured(case: UndecidedCase) -> tuple[Change, str]:
    before, after = (side.outcome is CaseOutcome.MEASURED for side in (case.before, case.after))
    if before and after:
        return Change.UNCERTAIN, "its samples are not stored"
    if after and case.after.verdict is Verdict.PASSED:
        return Change.NEW, f"not measured before{_because(case.before)}"
    if after:
        return Change.UNCERTAIN, f"not measured before{_because(case.before)}, and it does not pass"
    if case.after.reason.startswith(ON_PURPOSE):
        return Change.EXCLUDED, case.after.reason
    if before:
        return Change.UNCERTAIN, f"no longer measured{_because(case.after)}"
    return Change.UNMEASURED, case.after.reason


def _because(side: CaseSide) -> str:
    return f": {side.reason}" if side.reason else ", the run did not reach it" if side.outcome is None else ""


def _measured(
    case: UndecidedCase, evidence: Evidence, worse: set[str], better: set[str], margins: Margins
) -> tuple[Change, str]:
    words = {"errors": _errors_in_words(case, evidence), "latency": _latency_in_words(evidence.latency, margins)}
    if worse:
        return Change.WORSE, "; ".join(words[what] for what in words if what in worse)
    if _really_differs(case):
        # The samples come from requests with rules, so they prove nothing about what real faults found.
        words_of = f"{case.before.verdict}, then {case.after.verdict}, by real faults"
        reason = case.after.reason or case.before.reason
        return Change.UNCERTAIN, f"{words_of} ({reason})" if reason else words_of
    if case.newly_failing:
        return Change.UNCERTAIN, f"now misses its limits ({case.after.reason}), which may be chance"
    # A lower error rate changes which requests succeed, so latencies are no longer comparable. Report only errors.
    if "errors" in better:
        return Change.BETTER, words["errors"]
    unsure = [*([] if evidence.errors_within else ["errors"]), *([] if evidence.latency_within else ["latency"])]
    if unsure:
        return Change.UNCERTAIN, "; ".join(_doubt(what, case, evidence, words[what], margins) for what in unsure)
    return (Change.BETTER, words["latency"]) if better else (Change.SAME, "")


def _really_differs(case: UndecidedCase) -> bool:
    by = (case.before.found_by, case.after.found_by)
    return FoundBy.REAL_FAULTS in by and case.before.verdict is not case.after.verdict


def _doubt(what: str, case: UndecidedCase, evidence: Evidence, words: str, margins: Margins) -> str:
    if what == "errors":
        if evidence.errors.low > margins.errors:
            return f"{words}: may be chance among so many cases"
        return f"errors may have risen by up to {evidence.errors.high:.0f} points"
    if evidence.latency is not None and evidence.latency.finding is Finding.REGRESSION:
        return f"{words}: may be chance among so many cases"
    if evidence.latency is not None and evidence.latency.low is None:
        return f"{margins.percentile} {_lacking(case, evidence.latency, margins)}"
    return words


def _lacking(case: UndecidedCase, latency: Comparison, margins: Margins) -> str:
    needed = least_successes(margins.percentile.share, margins.confidence / 100)
    if min(case.before.successes or 0, case.after.successes or 0) < needed:
        return f"needs {needed} successful requests, has {_successes(case)}"
    more = f", about {latency.more_requests} more" if latency.more_requests else ""
    return f"needs more requests than {_successes(case)}{more}: requests that are slow together prove less"


def _successes(case: UndecidedCase) -> str:
    before = case.before.successes
    after = case.after.successes
    return str(after) if before == after else f"{before} and {after}"


def _errors_in_words(case: UndecidedCase, evidence: Evidence) -> str:
    rise = evidence.errors
    surely = rise.low if rise.points > 0 else -rise.high
    direction = "up" if rise.points > 0 else "down"
    bound = f", surely {direction} by {surely:.1f} points" if surely > 0 else ""
    return f"errors {_percent(case.before)}, then {_percent(case.after)}{bound}"


def _percent(side: CaseSide) -> str:
    return "?" if side.error_rate is None else f"{side.error_rate:g}%"


def _latency_in_words(comparison: Comparison | None, margins: Margins) -> str:
    if comparison is None or comparison.ratio is None:
        return f"{margins.percentile} is not known"
    between = (
        f" ({comparison.low:.2f} to {comparison.high:.2f})"
        if comparison.low is not None and comparison.high is not None
        else ""
    )
    return (
        f"{comparison.percentile} is {comparison.ratio:.2f} times what it was{between}, {comparison.limit:.2f} allowed"
    )

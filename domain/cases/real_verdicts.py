"""Final verdict of a case, from its rules and from real faults.

The verdict by rules stands unless really broken services answer differently, or the case is in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from domain.calls.model import Doubt, DoubtKind, FoundBy, RealAnswer
from domain.cases.thresholds import Thresholds
from domain.cases.verdicts import case_verdict
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.pairs.comparing import differences, last_answer
from domain.plans.slo import Percentile
from domain.traffic.exchange import Measurement

ALLOW_TWO = "allow two faults at once (HOLDFAST_MAX_ACTIVE_FAULTS=2) to see such pairs really broken"
"""Hint for a worker that allows only one fault at once."""


_MOST_LUCK = 0.05
"""Accepted probability that all real requests succeeded by chance. It assumes that as many fail as by rules."""


class Real(NamedTuple):
    """What a case did while its services were really broken."""

    differs: Sequence[str]
    """How its answers differ, in status or body, from the rules'. Empty if they agree."""
    verdict: Verdict
    reason: str
    weak: str = ""
    """Why this does not disprove a failure by rules. Empty if it does."""


class Settled(NamedTuple):
    """Final result of a measured case."""

    outcome: CaseOutcome
    verdict: Verdict | None
    reason: str
    found_by: FoundBy | None


def real_verdict(
    real: Measurement, rules: Measurement, meets: Thresholds, baseline: Measurement | None
) -> tuple[Verdict, str]:
    """Judge what was measured with real faults by the case's limits.

    Only success counts. Latency does not: services that have just restarted, with recordings on, are slow.
    """
    return limits_verdict(real.model_copy(update=_without_latency(real)), rules, meets, baseline)


def limits_verdict(
    measured: Measurement, rules: Measurement, meets: Thresholds, baseline: Measurement | None
) -> tuple[Verdict, str]:
    """Judge a measurement by the case's limits, including those on latency.

    Not by `slo.regression`: that takes more requests than anybody wants to send to broken services.
    """
    with_control = measured.model_copy(update={"control": rules.control})
    return case_verdict(with_control, replace(meets, regression=None), baseline)


def _without_latency(real: Measurement) -> dict[str, int]:
    """Pretend that successful requests took no time.

    If none succeeded, a latency limit is still missed.
    """
    names = [f"success_{percentile}_us" for percentile in Percentile]
    return {name: 0 for name in names if getattr(real, name) is not None}


def weakness(real: Measurement, rules: Measurement, baseline: Measurement | None) -> str:
    """Return why real requests that all succeeded do not disprove a failure.

    `rules`: the measurement that failed by rules. Empty if they do disprove it.
    """
    last = last_answer(real)
    # A service may be up again before its fault is over, for example if Kubernetes restarts its container.
    if baseline is not None and not differences(baseline, [RealAnswer(status=last.status, body=last.body)]):
        return "but their answers are those of a healthy system"
    chance = (1 - rules.error_rate / 100) ** real.requests
    return "but with too few requests" if chance > _MOST_LUCK else ""


def settled(
    rules: tuple[Verdict, str],
    by_limits: Verdict,
    reals: Sequence[Real] = (),
    doubt: Doubt | None = None,
    hint: str = "",
) -> Settled:
    """Decide the final result of a measured case.

    A real verdict counts if status or body differ from those by rules. If some requests fail and others are answered as
    by rules, nothing is decided.

    Args:
        rules: verdict and reason by rules.
        by_limits: the verdict by rules without `slo.regression`, the way real measurements are judged.
        reals: what the case did with its services really broken, once per time that it was tried.
        doubt: the doubt of the case, if any.
        hint: added to the reason if the doubt makes the case inconclusive.
    """
    verdict, reason = rules
    found = _by_real_faults(verdict, reason, by_limits, reals)
    if found is not None:
        return found
    if reals or doubt is None:
        return Settled(CaseOutcome.MEASURED, verdict, reason, FoundBy.RULES)
    if doubt.kind is DoubtKind.UNANSWERED:
        return Settled(CaseOutcome.INVALID, None, doubt.reason, None)
    if verdict is Verdict.PASSED:
        why = f"{doubt.reason}; {hint}" if hint else doubt.reason
        return Settled(CaseOutcome.MEASURED, Verdict.INCONCLUSIVE, why, FoundBy.RULES)
    return Settled(CaseOutcome.MEASURED, verdict, reason, FoundBy.RULES)


def _by_real_faults(verdict: Verdict, reason: str, by_limits: Verdict, reals: Sequence[Real]) -> Settled | None:
    """Return what real faults make of a case; None if nothing changes."""
    others = [real for real in reals if real.differs]
    failing = next((real for real in others if real.verdict is Verdict.FAILED), None)
    # Real answers win, because a rule is only the stand-in for them.
    if failing is not None and verdict is not Verdict.FAILED:
        return _real_result(failing)
    # The rules made the failure up, unless the real requests prove too little.
    if reals and len(others) == len(reals) and failing is None and by_limits is Verdict.FAILED:
        weak = next((real.weak for real in others if real.weak), "")
        return (
            _undecided_result(f"{reason}; real faults do not confirm this, {weak}") if weak else _real_result(others[0])
        )
    unsteady = next((real for real in reals if real.verdict is Verdict.FAILED), None)
    if unsteady is not None and verdict is Verdict.PASSED:
        # Some of its answers are the one by rules. Neither side is wrong, and neither is the whole truth.
        return _undecided_result(f"some requests fail with real faults, but none by rules: {unsteady.reason}")
    return None


def _undecided_result(reason: str) -> Settled:
    return Settled(CaseOutcome.MEASURED, Verdict.INCONCLUSIVE, reason, FoundBy.REAL_FAULTS)


def _real_result(real: Real) -> Settled:
    found = f"found with real faults: {', '.join(real.differs)}"
    reason = f"{real.reason}; {found}" if real.reason else found
    return Settled(CaseOutcome.MEASURED, real.verdict, reason, FoundBy.REAL_FAULTS)

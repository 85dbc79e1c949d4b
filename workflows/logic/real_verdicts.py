"""What becomes of a case: the verdict by its rules, unless really broken services differ, or it is in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from workflows.contracts.calls import Doubt, DoubtKind, FoundBy, RealAnswer
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import Verdict
from workflows.contracts.load import CaseOutcome
from workflows.contracts.slo import Percentile
from workflows.logic.fidelity import differences, last_answer
from workflows.logic.thresholds import Thresholds
from workflows.logic.verdicts import case_verdict

ALLOW_TWO = "allow two faults at once (HOLDFAST_MAX_ACTIVE_FAULTS=2) to see such pairs really broken"
"""The hint where the worker allows only one."""


_MOST_LUCK = 0.05
"""Probability with which all requests may succeed by chance, although as many fail as by rules."""


class Real(NamedTuple):
    """What a case did while its services were really broken."""

    differs: Sequence[str]
    """In what its answers differ, in status or body, from the one by rules; empty when they agree."""
    verdict: Verdict
    reason: str
    weak: str = ""
    """Why this does not disprove a failure by rules; empty when it does."""


class Settled(NamedTuple):
    """What became of a measured case."""

    outcome: CaseOutcome
    verdict: Verdict | None
    reason: str
    found_by: FoundBy | None


def real_verdict(
    real: Measurement, rules: Measurement, meets: Thresholds, baseline: Measurement | None
) -> tuple[Verdict, str]:
    """The verdict of what was measured with real faults, by the limits of its case.

    By whether requests succeed, not by how long they take: services that have just begun again, under recordings, are
    slow.
    """
    return limits_verdict(real.model_copy(update=_at_once(real)), rules, meets, baseline)


def limits_verdict(
    measured: Measurement, rules: Measurement, meets: Thresholds, baseline: Measurement | None
) -> tuple[Verdict, str]:
    """The verdict by the limits of a case alone, those on latency among them.

    Not by `slo.regression`: that takes more requests than anybody wants to send to broken services.
    """
    asked = measured.model_copy(update={"control": rules.control})
    return case_verdict(asked, replace(meets, regression=None), baseline)


def _at_once(real: Measurement) -> dict[str, int]:
    """As if successful requests had taken no time; where none succeeded a limit on latency is missed all the same."""
    names = [f"success_{percentile}_us" for percentile in Percentile]
    return {name: 0 for name in names if getattr(real, name) is not None}


def weakness(real: Measurement, rules: Measurement, baseline: Measurement | None) -> str:
    """Return why requests to broken services, which all succeeded, do not disprove that those by rules failed."""
    last = last_answer(real)
    if baseline is not None and not differences(baseline, [RealAnswer(status=last.status, body=last.body)]):
        return "whose answers are those of a healthy system"
    lucky = (1 - rules.error_rate / 100) ** real.requests
    return "of too few requests" if lucky > _MOST_LUCK else ""


def settled(
    rules: tuple[Verdict, str],
    by_limits: Verdict,
    reals: Sequence[Real] = (),
    doubt: Doubt | None = None,
    hint: str = "",
) -> Settled:
    """Settle a measured case.

    `rules`: verdict and reason by its rules; `by_limits`: the same without `slo.regression`, as the real ones are
    judged. A real verdict counts where status or body differ; where some requests fail and others are answered as by
    rules, nothing is decided.
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
    """What real faults make of a case; None where it stays as it is."""
    others = [real for real in reals if real.differs]
    failing = next((real for real in others if real.verdict is Verdict.FAILED), None)
    if failing is not None and verdict is not Verdict.FAILED:
        return _really(failing)
    if reals and len(others) == len(reals) and failing is None and by_limits is Verdict.FAILED:
        weak = next((real.weak for real in others if real.weak), "")
        return _undecided(f"{reason}; not so with real faults, {weak}") if weak else _really(others[0])
    unsteady = next((real for real in reals if real.verdict is Verdict.FAILED), None)
    if unsteady is not None and verdict is Verdict.PASSED:
        # One of its answers is that by rules, so neither is wrong, and neither is the whole truth.
        return _undecided(f"some requests fail with real faults, and none by rules: {unsteady.reason}")
    return None


def _undecided(reason: str) -> Settled:
    return Settled(CaseOutcome.MEASURED, Verdict.INCONCLUSIVE, reason, FoundBy.REAL_FAULTS)


def _really(real: Real) -> Settled:
    found = f"found with real faults: {', '.join(real.differs)}"
    reason = f"{real.reason}; {found}" if real.reason else found
    return Settled(CaseOutcome.MEASURED, real.verdict, reason, FoundBy.REAL_FAULTS)

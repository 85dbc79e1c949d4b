"""Whether the plan's request behaves as it should with nothing broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from domain.base import Contract
from domain.plans.plan import Plan
from domain.units import format_duration, format_percent


class SteadyAnswer(Contract):
    """One answer to the plan's request, in a steady-state check."""

    status: int | None
    """None if there was no answer."""
    error_kind: str = ""
    latency_us: int
    body: str = ""


def unmet(answers: Sequence[SteadyAnswer], plan: Plan) -> str:
    """Return why these answers miss the steady state, or nothing.

    The reason includes the measured value.
    """
    reasons = [reason for answer in answers if (reason := _mismatch(answer, plan))]
    share = 100 * len(reasons) / len(answers)
    if share <= plan.steady_state.error_rate:
        return ""
    counted = ", ".join(f"{reason} ({count} of {len(answers)})" for reason, count in Counter(reasons).most_common(3))
    return f"{counted}; the limit is {format_percent(plan.steady_state.error_rate)}"


def _mismatch(answer: SteadyAnswer, plan: Plan) -> str:
    steady = plan.steady_state
    if answer.status is None:
        return answer.error_kind or "no answer"
    if steady.status is None and not 200 <= answer.status < 400:
        return f"status {answer.status}"
    if steady.status is not None and answer.status not in steady.status:
        return f"status {answer.status}, not {' or '.join(map(str, steady.status))}"
    if steady.within is not None and timedelta(microseconds=answer.latency_us) > steady.within:
        return f"later than {format_duration(steady.within)}"
    if steady.body_contains is not None and steady.body_contains not in answer.body:
        return "a body without steady_state.body_contains"
    return ""

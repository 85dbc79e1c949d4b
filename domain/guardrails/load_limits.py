"""Check of a plan's load against what the worker allows.

It is repeated before every batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

from domain.cases.cases import BATCH_SIZE, batches_in, case_count, cases_in, pair_count
from domain.errors import Problem
from domain.executions.windows import MOST_ROUNDS
from domain.guardrails.model import FAULTS_OF_A_PAIR, Guardrails
from domain.measuring.blocks import GROUP_SIZE, groups_of, has_control
from domain.measuring.load import CaseRange
from domain.pairs.comparing import MOST_PAIRS
from domain.plans.durations import (
    ANALYSIS_SENDS,
    CALL_LOOKS,
    MOST_DISCOVERY_PAIRS,
    pair_requests,
    single_requests,
)
from domain.plans.exclusions import PlanExclusions
from domain.plans.plan import Plan
from domain.units import format_duration, format_rate

MAX_RATE = "HOLDFAST_MAX_RATE"
MAX_IN_FLIGHT = "HOLDFAST_MAX_IN_FLIGHT"
MAX_REQUESTS = "HOLDFAST_MAX_REQUESTS"
MAX_LOAD_DURATION = "HOLDFAST_MAX_LOAD_DURATION"

IN_FLIGHT = 1_000
"""Most requests in flight in a batch of an open model. Each has a socket, and a process has only a few thousand."""

_WHERE = "where the worker is started"


def load_problems(plan: Plan, rails: Guardrails) -> Iterator[Problem]:
    """List every load limit of the worker that a plan exceeds."""
    yield from _rate(plan, rails)
    requests = in_flight(plan)
    field = "concurrency" if plan.load.rate is None else "rate"
    if requests > rails.max_in_flight:
        lower = "lower it" if plan.load.rate is None else "lower it or request.timeout"
        yield Problem(
            path=f"load.{field}",
            message=f"up to {requests} requests under way at once; the worker allows {rails.max_in_flight}",
            hint=f"{lower}, or raise {MAX_IN_FLIGHT} {_WHERE}",
        )
    bound = _most_load(plan)
    if bound + _beside_load(plan, rails) > rails.max_requests or _least_duration(plan, bound) > rails.max_load_duration:
        # Counting case by case takes seconds for a thousand services: do it only if the upper bound is too high.
        yield from _totals(plan, rails, _counted_load(plan))


def overrun(plan: Plan, rails: Guardrails, since_load_began: timedelta) -> list[Problem]:
    """Return the problem if the load has used up its time.

    Empty if another batch may be sent.
    """
    if since_load_began <= rails.max_load_duration:
        return []
    most = format_duration(rails.max_load_duration)
    message = f"the load of {plan.name} has taken longer than the {most} that the worker allows"
    return [Problem(path="load", message=message, hint=f"make it smaller, or raise {MAX_LOAD_DURATION} {_WHERE}")]


def in_flight(plan: Plan) -> int:
    """Return the most requests that the load test may have in flight.

    The bound assumes that every answer is as late as its timeout permits.
    """
    load = plan.load
    if load.rate is None:
        return load.concurrency
    held = max(1, math.ceil(load.rate * plan.request.timeout.total_seconds()))
    return min(held, IN_FLIGHT * load.batches_at_once)


def groups_and_controls(plan: Plan) -> tuple[int, int]:
    """Count the groups of cases, and those that have a control."""
    return _counts(plan)[1:]


def _counts(plan: Plan) -> tuple[int, int, int]:
    """Count the measured cases, their groups, and the groups with a control."""
    on_purpose = PlanExclusions(plan)
    names = plan.service_names
    measured = 0
    groups = 0
    controls = 0
    for batch in batches_in(CaseRange(first=0, end=case_count(len(plan.services))), BATCH_SIZE):
        cases = [case for case in cases_in(names, batch) if on_purpose.reason(case) is None]
        found = groups_of(plan, cases)
        measured += len(cases)
        groups += len(found)
        controls += sum(has_control(plan, group) for group in found)
    return measured, groups, controls


def _rate(plan: Plan, rails: Guardrails) -> Iterator[Problem]:
    rates = {"load.rate": plan.load.rate}
    if plan.stop.request.error_rate is not None:
        rates["stop.request.every"] = 1 / plan.stop.request.every.total_seconds()
    if plan.stop.health.url is not None:
        rates["stop.health.every"] = 1 / plan.stop.health.every.total_seconds()
    for path, rate in rates.items():
        if rate is not None and rate > rails.max_rate:
            allowed = format_rate(rails.max_rate)
            yield Problem(
                path=path,
                message=f"{format_rate(rate)} is more than the {allowed} that the worker allows",
                hint=f"{'lower' if path == 'load.rate' else 'lengthen'} it, or raise {MAX_RATE} {_WHERE}",
            )


def _totals(plan: Plan, rails: Guardrails, load: int) -> Iterator[Problem]:
    field = "requests" if plan.load.max_requests is None else "max_requests"
    requests = load + _beside_load(plan, rails)
    if requests > rails.max_requests:
        yield Problem(
            path=f"load.{field}",
            message=f"up to {requests} requests in one run; the worker allows {rails.max_requests}",
            hint=f"lower it, exclude cases, or raise {MAX_REQUESTS} {_WHERE}",
        )
    duration = _least_duration(plan, load)
    if duration > rails.max_load_duration:
        yield Problem(
            path="load.rate",
            message=f"up to {load} requests at this rate take {format_duration(_whole(duration))}; "
            f"the worker allows {format_duration(rails.max_load_duration)}",
            hint=f"send fewer or faster, or raise {MAX_LOAD_DURATION} {_WHERE}",
        )


def _most_load(plan: Plan) -> int:
    """Return an upper bound on the load test's requests, ignoring exclusions."""
    cases = case_count(len(plan.services))
    compared = plan.slo.compares
    # The groups of a batch have six cases each, except for the last one, and the baseline is a group of its own.
    groups = cases // GROUP_SIZE + -(-cases // BATCH_SIZE) + 1 if compared else cases
    return cases * plan.load.most_requests + groups * (plan.warm_up + compared * plan.load.most_requests)


def _counted_load(plan: Plan) -> int:
    measured, groups, controls = _counts(plan)
    return (measured + controls) * plan.load.most_requests + groups * plan.warm_up


def _beside_load(plan: Plan, rails: Guardrails) -> int:
    steady = 3 * plan.steady_state.requests if plan.steady_state.check else 0
    calls = 1 + CALL_LOOKS * MOST_ROUNDS + len(plan.services) * single_requests(plan)
    return ANALYSIS_SENDS + steady + calls + _most_real_pairs(plan, rails) * pair_requests(plan)


def _most_real_pairs(plan: Plan, rails: Guardrails) -> int:
    """Return the most pairs that may run with two real faults."""
    if rails.max_active_faults < FAULTS_OF_A_PAIR:
        return 0
    return min(pair_count(len(plan.services)), MOST_DISCOVERY_PAIRS + MOST_PAIRS)


def _least_duration(plan: Plan, load: int) -> timedelta:
    """Return the least time that the load takes, however fast answers come.

    0 if the plan gives no rate: then nothing is known.
    """
    if plan.load.rate is None:
        return timedelta(0)
    return timedelta(seconds=min(load / plan.load.rate, timedelta(days=100_000).total_seconds()))


def _whole(span: timedelta) -> timedelta:
    return timedelta(seconds=math.ceil(span.total_seconds()))

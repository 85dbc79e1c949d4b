"""The steady state: the plan's request, sent while nothing is broken."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.base import poll_until
from activities.clocks import Deadline, deadline
from activities.permit import OF_THE_RUN, Permit, acts
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import LogLevel
from domain.executions.windows import WindowKind
from domain.measuring import steady_state
from domain.measuring.steady_report import SteadyMoment, SteadyOrder, SteadyReport
from domain.measuring.steady_state import SteadyAnswer
from domain.traffic.exchange import RequestSample
from domain.units import format_duration


class SteadyActivities:
    """Checks the plan's steady state, before and after a run."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="check_steady_state")
    @acts(OF_THE_RUN)
    async def check(self, order: SteadyOrder, permit: Permit) -> SteadyReport:
        """Check the steady state with the plan's request as it is.

        Before the run it is checked once. After the run it is checked until it is met, or `timeouts.stability` ends.

        Raises:
            HoldfastError: NO_PERMIT.
        """
        subject = permit.subject
        if order.moment is SteadyMoment.BEFORE:
            # Once: a system that needs several tries is not in its steady state.
            unmet = await _why_unmet(self._tools, subject)
        else:
            # Repeatedly: after the run, the system may still be settling.
            unmet = await wait_until_steady(self._tools, subject, deadline(subject.plan.timeouts.stability))
        level = LogLevel.ERROR if unmet else LogLevel.INFO
        outcome = f"not met: {unmet}" if unmet else "met"
        report = SteadyReport(met=not unmet, detail=unmet)
        await self._tools.store.progress.save_steady(order.execution_id, order.moment, report)
        await self._tools.store.logs.add(order.execution_id, f"steady:{order.moment}", level, f"steady state {outcome}")
        return report


async def wait_until_steady(tools: Toolbox, subject: Subject, end: Deadline) -> str:
    """Check repeatedly until the steady state is met. Return what is still unmet at `end`; empty if met."""
    unmet = ""

    async def is_met() -> bool:
        nonlocal unmet
        unmet = await _why_unmet(tools, subject)
        return not unmet

    await poll_until(is_met, end=end, every=subject.execution.timing.stability_poll)
    return unmet


async def was_touched(tools: Toolbox, execution_id: int) -> bool:
    """Return whether the run may have switched anything on.

    It may have if it has a window besides its lock.
    """
    return any(row.kind is not WindowKind.LOCK for row in await tools.store.ledger.of(execution_id))


async def _why_unmet(tools: Toolbox, subject: Subject) -> str:
    """Send the plan's requests one by one. Return what is unmet; empty if the steady state is met."""
    probe = tools.probe(subject.plan).prepare(None)
    longest = subject.plan.timeouts.stability
    answers: list[SteadyAnswer] = []
    try:
        async with asyncio.timeout(longest.total_seconds()):
            for _ in range(subject.plan.steady_state.requests):
                sample, body = await probe.send_and_read()
                answers.append(_answer(sample, body))
    except TimeoutError:
        wanted = subject.plan.steady_state.requests
        return f"{len(answers)} of {wanted} answers within timeouts.stability, {format_duration(longest)}"
    return steady_state.unmet(answers, subject.plan)


def _answer(sample: RequestSample, body: str) -> SteadyAnswer:
    kind = sample.error_kind if sample.status is None else ""
    return SteadyAnswer(status=sample.status, error_kind=kind, latency_us=sample.latency_us, body=body)

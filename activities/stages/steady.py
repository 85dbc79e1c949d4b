"""The steady state: the plan's request, sent while nothing is broken."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.base import poll
from activities.clocks import Deadline, deadline
from activities.permit import OF_THE_RUN, Permit, acts
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import LogLevel
from domain.executions.windows import WindowKind
from domain.measuring.steady_report import SteadyMoment, SteadyOrder, SteadyReport
from domain.measuring.steady_state import SteadyAnswer, unmet
from domain.traffic.exchange import RequestSample
from domain.units import format_duration


class SteadyActivities:
    """Checks whether the system does what it is there for."""

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
            why = await _ask(self._tools, subject)
        else:
            # Repeatedly: after the run, the system may still be settling.
            why = await steady_again(self._tools, subject, deadline(subject.plan.timeouts.stability))
        level = LogLevel.ERROR if why else LogLevel.INFO
        words = f"not met: {why}" if why else "met"
        report = SteadyReport(met=not why, detail=why)
        await self._tools.store.progress.save_steady(order.execution_id, order.moment, report)
        await self._tools.store.logs.add(order.execution_id, f"steady:{order.moment}", level, f"steady state {words}")
        return report


async def steady_again(tools: Toolbox, subject: Subject, end: Deadline) -> str:
    """Check until the steady state is met; return why not after `end`."""
    why = ""

    async def look() -> bool | None:
        nonlocal why
        why = await _ask(tools, subject)
        return None if why else True

    await poll(look, end=end, every=subject.execution.timing.stability_poll)
    return why


async def was_touched(tools: Toolbox, execution_id: int) -> bool:
    """Return whether the run may have switched anything on.

    It may have if it has a window besides its lock.
    """
    return any(row.kind is not WindowKind.LOCK for row in await tools.store.ledger.of(execution_id))


async def _ask(tools: Toolbox, subject: Subject) -> str:
    """Send the requests one by one; return what is wrong, or nothing."""
    probe = tools.probe(subject.plan).prepare(None)
    longest, answers = subject.plan.timeouts.stability, []
    try:
        async with asyncio.timeout(longest.total_seconds()):
            for _ in range(subject.plan.steady_state.requests):
                sample, body = await probe.ask()
                answers.append(_answer(sample, body))
    except TimeoutError:
        wanted = subject.plan.steady_state.requests
        return f"{len(answers)} of {wanted} answers within timeouts.stability, {format_duration(longest)}"
    return unmet(answers, subject.plan)


def _answer(sample: RequestSample, body: str) -> SteadyAnswer:
    kind = sample.error_kind if sample.status is None else ""
    return SteadyAnswer(status=sample.status, error_kind=kind, latency_us=sample.latency_us, body=body)

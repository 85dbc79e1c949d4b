"""The watch over the conditions that end a run early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import activity

from activities.permit import OF_THE_RUN, Permit, acts, obtain_permit
from activities.toolbox import Subject, Toolbox
from clients.peers.stability import answer_of
from clients.store.read_models import LogLevel
from domain.cases.tokens import analysis_marker
from domain.executions.execution import ExecutionRef
from domain.measuring.samples import is_error
from domain.measuring.stop_conditions import FailingHealth, FailingRequests
from domain.plans.stop import Tripped

Ask = Callable[[], Awaitable[str]]
"""Sends one request, and returns why its answer is bad, or nothing."""


class StopActivities:
    """Watches the stop conditions of a run."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="watch_stop_conditions")
    @acts(OF_THE_RUN)
    async def watch(self, order: ExecutionRef, permit: Permit) -> Tripped:
        """Probe the plan's request and the health URL until a condition trips.

        It ends only when a condition trips, when cancelled, or when refused a permit, which is checked before each
        probe. If another worker takes over, it starts counting from zero.

        Raises:
            HoldfastError: NO_PERMIT.
        """
        subject = permit.subject
        stop = subject.plan.stop
        watching: list[Awaitable[str]] = []
        if stop.request.error_rate is not None:
            judge = FailingRequests(stop.request).answered
            watching.append(_watch(self._with_permit(order, self._request(subject)), judge, stop.request.every))
        if stop.health.url is not None:
            judge = FailingHealth(stop.health).answered
            health = self._health(subject, stop.health.url)
            watching.append(_watch(self._with_permit(order, health), judge, stop.health.every))
        reason = await _first_reason(watching)
        await self._tools.store.logs.add(order.execution_id, "stop:tripped", LogLevel.ERROR, reason)
        return Tripped(reason=reason)

    def _with_permit(self, order: ExecutionRef, look: Ask) -> Ask:
        async def asked() -> str:
            await obtain_permit(self._tools, OF_THE_RUN, order.execution_id)
            return await look()

        return asked

    def _request(self, subject: Subject) -> Ask:
        # With the analysis marker: while the proxy records, a request without it would look like lost baggage.
        probe = self._tools.probe(subject.plan).prepare(analysis_marker(subject.execution.record_id))

        async def send() -> str:
            sample = await probe.send_once()
            return (sample.error_kind or f"status {sample.status}") if is_error(sample) else ""

        return send

    def _health(self, subject: Subject, url: str) -> Ask:
        async def look() -> str:
            answer = await answer_of(url, subject.plan.stop.health.within)
            return "" if answer.startswith("2") else f"status {answer}" if answer.isdigit() else answer

        return look


async def _watch(look: Ask, judge: Callable[[str], str], every: timedelta) -> str:
    while True:
        reason = judge(await look())
        if reason:
            return reason
        await asyncio.sleep(every.total_seconds())


async def _first_reason(watching: list[Awaitable[str]]) -> str:
    """Return the first reason, once the other watches are cancelled and ended."""
    tasks = [asyncio.ensure_future(watch) for watch in watching]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

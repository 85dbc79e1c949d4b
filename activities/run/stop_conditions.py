"""The conditions that end a run early, watched while it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import activity

from activities.permit import OF_THE_RUN, Permit, acts, ask
from activities.toolbox import Subject, Toolbox
from clients.http.requests import prepare
from clients.peers.stability import answer_of
from clients.store.read_models import LogLevel
from domain.cases.tokens import marker
from domain.executions.execution import ExecutionRef
from domain.measuring.samples import is_error
from domain.measuring.stop_conditions import FailingHealth, FailingRequests
from domain.plans.stop import Tripped

Ask = Callable[[], Awaitable[str]]
"""Asks once: why the answer is a bad one, or nothing."""


class StopActivities:
    """Watches for a run that must end early."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="watch_stop_conditions")
    @acts(OF_THE_RUN)
    async def watch(self, order: ExecutionRef, permit: Permit) -> Tripped:
        """Ask the plan's request and the health URL again and again, until one of them says that the run must end.

        Ends no other way than that, or cancelled, or refused: the permit is asked for again before each look. Another
        worker begins to count anew.

        Raises:
            HoldfastError: NO_PERMIT.
        """
        subject = permit.subject
        stop = subject.plan.stop
        watching: list[Awaitable[str]] = []
        if stop.request.error_rate is not None:
            judge = FailingRequests(stop.request).answered
            watching.append(_watch(self._permitted(order, self._request(subject)), judge, stop.request.every))
        if stop.health.url is not None:
            judge = FailingHealth(stop.health).answered
            health = self._health(subject, stop.health.url)
            watching.append(_watch(self._permitted(order, health), judge, stop.health.every))
        reason = await _first(watching)
        await self._tools.store.log(order.execution_id, "stop:tripped", LogLevel.ERROR, reason)
        return Tripped(reason=reason)

    def _permitted(self, order: ExecutionRef, look: Ask) -> Ask:
        async def asked() -> str:
            await ask(self._tools, OF_THE_RUN, order.execution_id)
            return await look()

        return asked

    def _request(self, subject: Subject) -> Ask:
        # With the marker of the analysed request: while the proxy records, one without it would look like lost baggage.
        request = prepare(subject.plan.request, self._tools.secrets, marker(subject.execution.record_id))

        async def send() -> str:
            sample = await self._tools.load.send_once(request)
            return (sample.error_kind or f"status {sample.status}") if is_error(sample) else ""

        return send

    def _health(self, subject: Subject, url: str) -> Ask:
        async def look() -> str:
            seen = await answer_of(url, subject.plan.stop.health.within)
            return "" if seen.startswith("2") else f"status {seen}" if seen.isdigit() else seen

        return look


async def _watch(look: Ask, judge: Callable[[str], str], every: timedelta) -> str:
    while True:
        reason = judge(await look())
        if reason:
            return reason
        await asyncio.sleep(every.total_seconds())


async def _first(watching: list[Awaitable[str]]) -> str:
    """The first reason; the others are asked to end, and waited for."""
    tasks = [asyncio.ensure_future(one) for one in watching]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""The conditions that end a run early, watched while it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import activity

from activities.base import step
from activities.toolbox import Subject, Toolbox
from clients.requests import prepare
from clients.stability import answer_of
from clients.store.read_models import LogLevel
from workflows.contracts.execution import ExecutionRef
from workflows.contracts.stop import Tripped
from workflows.logic.samples import is_error
from workflows.logic.stopping import FailingHealth, FailingRequests
from workflows.logic.tokens import marker

Ask = Callable[[], Awaitable[str]]
"""Asks once: why the answer is a bad one, or nothing."""


class StopActivities:
    """Watches for a run that must end early."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="watch_stop_conditions")
    @step
    async def watch(self, order: ExecutionRef) -> Tripped:
        """Ask the plan's request and the health URL again and again, until one of them says that the run must end.

        Ends no other way than that, or cancelled. Another worker begins to count anew.
        """
        subject = await self._tools.subject(order.execution_id)
        stop = subject.plan.stop
        watching: list[Awaitable[str]] = []
        if stop.request.error_rate is not None:
            judge = FailingRequests(stop.request).answered
            watching.append(_watch(self._request(subject), judge, stop.request.every))
        if stop.health.url is not None:
            judge = FailingHealth(stop.health).answered
            watching.append(_watch(self._health(subject, stop.health.url), judge, stop.health.every))
        reason = await _first(watching)
        await self._tools.store.log(order.execution_id, "stop:tripped", LogLevel.ERROR, reason)
        return Tripped(reason=reason)

    def _request(self, subject: Subject) -> Ask:
        # With the marker of the analysed request: while the proxy records, one without it would look like lost baggage.
        request = prepare(subject.plan.request, self._tools.secrets, marker(subject.execution.record_id))

        async def ask() -> str:
            sample = await self._tools.load.send_once(request)
            return (sample.error_kind or f"status {sample.status}") if is_error(sample) else ""

        return ask

    def _health(self, subject: Subject, url: str) -> Ask:
        async def ask() -> str:
            seen = await answer_of(url, subject.plan.stop.health.within)
            return "" if seen.startswith("2") else f"status {seen}" if seen.isdigit() else seen

        return ask


async def _watch(ask: Ask, judge: Callable[[str], str], every: timedelta) -> str:
    while True:
        reason = judge(await ask())
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

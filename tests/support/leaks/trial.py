"""One run amid a sequence of troubles, from its start until everything of it has ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any, Self

from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from lab import Misbehaviour
from tests.support.leaks import checker
from tests.support.leaks.aftermath import sweeping
from tests.support.leaks.duo import REQUESTS, Duo
from tests.support.leaks.limits import off_by_limits, with_short_limits
from tests.support.leaks.places import Moment
from tests.support.leaks.sequences import CALLS, DEATHS, GONE, MEASURING, Sequence, Step
from tests.support.leaks.stages import Run, workflows_of
from tests.support.leaks.troubles import ACTS, SWEPT
from tests.support.runs.bench import until
from worker import running

LOAD = 40
"""Requests per case where something is to happen while they arrive."""

NEVER = ("when the test says so", Moment.BEFORE)
"""Place and moment for a worker that is killed from outside instead."""


class Trial:
    """Exposes a run, its workers, peers and windows to a sequence."""

    def __init__(self, bench: Duo, sequence: Sequence) -> None:
        self.bench = bench
        self.sequence = sequence
        self.applied: list[Step] = []
        self.runs: list[Run] = []
        """All runs in the order of their beginning.

        The run, those that it was reset to, and the second run.
        """
        self.interrupted = 0
        """Workers lost amid their work, which a later worker repeats."""
        self.held = True
        """Whether nobody took a window away, or made it close."""
        self.too_long: list[str] = []
        """What was on for longer than the peers' own time limits promise."""
        self.reset_to: list[Run] = []
        self._stranded: Run | None = None
        self._pending = [step for step in sequence.steps if step.is_outside and step.trouble != "time-out"]
        self._process: asyncio.subprocess.Process | None = None
        self._working = AsyncExitStack()
        self._sweeping = AsyncExitStack()
        self._swept = False

    async def __aenter__(self) -> Self:
        self.bench.lab.misbehave(self.sequence.misbehaviour)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sweeping.aclose()
        await self._gone(signal.SIGTERM)

    @property
    def requests(self) -> int:
        """Requests per case."""
        measuring = any(step.moment in MEASURING for step in self.sequence.steps)
        return LOAD if measuring else REQUESTS

    @property
    def plan(self) -> dict[str, Any]:
        """The plan of the run.

        Its times are short where peers lie until they are over, and otherwise longer than any trouble.
        """
        plan = self.bench.plan(load={"requests": self.requests, "concurrency": 1})
        if self.sequence.has(GONE):
            return with_short_limits(plan)
        times = {"analyze": "40s", "fault_running": "6s", "replay": "6s", "rules_ready": "6s", "stability": "15s"}
        if self.sequence.has("analysis-stalls"):
            times["analyze"] = "8s"
        plan["timeouts"] = times | {"recovery": "3s" if self.sequence.lying else "40s"}
        if self.sequence.has("heals"):
            experiment = {"scope": "pod", "target": "pod", "action": "delete", "matchers": {"labels": ["app=left"]}}
            plan["services"][0]["fault"] = {"type": "restart", "experiment": experiment}
        return plan

    @property
    def run(self) -> Run:
        """The run that things happen to."""
        return self.reset_to[-1] if self.reset_to else self.runs[0]

    def was_started(self, run: Run) -> None:
        """Add a run that ends on its own."""
        self.runs.append(self._exactly(run))

    def was_reset(self, new: Run, where: str) -> None:
        """Add the run that the server has begun anew.

        If it was reset to its last task it holds nothing, and may wait for ever.
        """
        self.runs.append(new)
        self.reset_to.append(new)
        self._stranded = new if where == "LastWorkflowTask" else None

    async def __call__(self) -> None:
        """Run from the beginning to the end of everything."""
        await self._come()
        run = await self.bench.start_limited(self.plan, self.sequence.limit)
        self.was_started(run)
        async for step in self._steps():
            await self._apply(step)
        # A run that is ended before it holds anything has only the sweeper to record its end.
        if await self.bench.store.executions.unfinished():
            await self._sweep()
        if self._swept and not self.sequence.lying:
            await until(self._settled, "a ledger without anything open, and a record without a missing end")

    async def put_right(self) -> None:
        """Make the peers honest again. The sweeper closes whatever they left on."""
        self.bench.lab.misbehave(Misbehaviour())
        await self._sweep()
        await until(self._settled, "a ledger without anything open")

    async def _settled(self) -> bool:
        return not (await self.bench.store.ledger.unsettled() or await self.bench.store.executions.unfinished())

    async def _steps(self) -> AsyncIterator[Step]:
        """Yield each step when its moment has come, until everything is over."""
        over = asyncio.create_task(self._over())
        try:
            while not over.done():
                due = next((step for step in self._pending if self._is_due(step)), None)
                if due is not None:
                    self._pending.remove(due)
                    yield due
                    # There may be more runs to wait for.
                    over.cancel()
                    over = asyncio.create_task(self._over())
                await asyncio.wait([over], timeout=0.01)
            await over
        finally:
            over.cancel()

    def _is_due(self, step: Step) -> bool:
        if step.moment in DEATHS:
            return self._armed is step and self._process is not None and self._process.returncode is not None
        if step.moment in MEASURING:
            return len(self._tokens()) >= MEASURING[step.moment]
        endpoint, nth = CALLS[step.moment]
        return self.bench.lab.calls[endpoint] >= nth

    def _tokens(self) -> list[str]:
        return [header for header in checker.cases_in(self.bench.lab.counters) if header]

    async def _apply(self, step: Step) -> None:
        self.applied.append(step)
        if step.kills:
            await self._gone(signal.SIGKILL)
        if step.trouble == GONE:
            self.too_long += await off_by_limits(self.bench, self.plan)
        act = ACTS[step.trouble.removesuffix("-down")]
        try:
            # A run that has just ended by itself cannot be ended any more.
            with suppress(RPCError):
                await act(self)
        finally:
            if step.trouble == "restart":
                await self._gone(signal.SIGTERM)
            if step.kills or step.trouble == "restart":
                await self._come()
        if step.trouble.removesuffix("-down") in SWEPT:
            await self._sweep()

    async def _come(self) -> None:
        """Start a worker.

        It dies by itself at the next such moment, can be killed, or runs in this process.
        """
        if not any(step.kills for step in self._pending):
            await self._working.enter_async_context(running(self.bench.temporal, self.bench.settings))
            return
        self._process = await self.bench.dying_worker(*(DEATHS[self._armed.moment] if self._armed else NEVER))

    @property
    def _armed(self) -> Step | None:
        return next((step for step in self._pending if step.moment in DEATHS), None)

    async def _gone(self, how: signal.Signals) -> None:
        self.interrupted += 1
        if self._process is not None:
            if self._process.returncode is None:
                self._process.send_signal(how)
            await self._process.wait()
            self._process = None
        await self._working.aclose()

    async def _sweep(self) -> None:
        if not self._swept:
            self._swept = True
            await self._sweeping.enter_async_context(sweeping(self.bench))

    async def _over(self) -> None:
        """Wait until every run, its lock and its windows have ended."""
        for run in list(self.runs):
            if run is self._stranded:
                with suppress(RPCError):
                    await run.terminate("a test")
            await _ended(run)
            async for _, handle in workflows_of(self.bench.temporal, run):
                await _ended(handle)

    def _exactly(self, run: Run) -> Run:
        return self.bench.temporal.get_workflow_handle(run.id, run_id=run.result_run_id)


async def _ended(run: Run) -> None:
    with suppress(WorkflowFailureError):
        await run.result()

"""The workflow of the second kind of execution."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow

from domain.executions.board import ExecutionBoard
from domain.executions.execution import ExecutionSummary, Verdict
from tests.support.kinds.countdown import NAME, Countdown, CountdownState, check
from workflows.execution.execution_workflow import ExecutionWorkflow


@workflow.defn(name="Countdown", failure_exception_types=[Exception])
class CountdownWorkflow(ExecutionWorkflow[CountdownState]):
    def __init__(self) -> None:
        super().__init__(ExecutionBoard(CountdownState()))

    @workflow.run
    async def run(self, raw: Any = None) -> ExecutionSummary:
        countdown, problems = check(raw)
        if countdown is None:
            self._refuse(problems)
        self._board.begun(countdown.name, workflow.now())
        return await self._run_to_end(self._count(countdown), timedelta(minutes=5))

    async def _count(self, countdown: Countdown) -> ExecutionSummary:
        await self._open_record(NAME, countdown.model_dump_json())
        for done in range(countdown.start):
            percent = 100 * done // countdown.start
            await self._begin_step(
                f"{countdown.start - done}{countdown.step}", percent, f"{countdown.start - done} to go"
            )
            await workflow.sleep(countdown.pause_seconds)
        return self._conclude(Verdict.PASSED)

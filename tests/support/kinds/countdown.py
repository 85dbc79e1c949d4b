"""A second kind of execution, as small as one can be: it counts down, and passes if it may reach zero."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio import workflow

from domain.base import StrictModel
from domain.errors import Problem
from domain.executions.board import ExecutionBoard
from domain.executions.execution import ExecutionSummary, Verdict
from domain.executions.kinds import Kind
from domain.executions.starting import Label
from domain.executions.state import ExecutionState
from domain.plans.validation.problems import problems_of
from workflows.execution.execution_workflow import ExecutionWorkflow

NAME = "countdown"


class Countdown(StrictModel):
    countdown: Label
    start: int
    pause_seconds: float = 0.2
    step: str = ""

    @property
    def name(self) -> str:
        return self.countdown


class CountdownState(ExecutionState):
    kind: str = NAME
    left: int = 0


def check(raw: object) -> tuple[Countdown | None, list[Problem]]:
    try:
        return Countdown.model_validate(raw), []
    except ValidationError as error:
        return None, problems_of(error, raw, Countdown)


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


KIND = Kind(
    name=NAME,
    workflow_type="Countdown",
    state=CountdownState,
    summary=ExecutionSummary,
    recognises=lambda document: NAME in document,
    check=check,
    as_input=lambda document, _options, _who: document,
    summarised=lambda countdown: f"countdown {countdown.name} from {countdown.start}",
)

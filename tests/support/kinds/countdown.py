"""A second kind of execution, as small as one can be: it counts down, and passes if it may reach zero."""

from __future__ import annotations

from pydantic import ValidationError

from domain.base import StrictModel
from domain.errors import Problem
from domain.executions.execution import ExecutionSummary
from domain.executions.kinds import Kind
from domain.executions.starting import Label
from domain.executions.state import ExecutionState
from domain.plans.validation.problems import problems_of

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

"""Recordings that are stopped while the proxy is still starting them, before any of them is active."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.executions.windows import Closing, WindowKind
from domain.resilience.model import Phase, PhaseChange
from domain.traffic.summary import RecordingsOrder
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.activities.permits import called_by, entitled, opened, row_of
from tests.support.activities.recordings import recordings
from tests.support.activities.stage import Stage
from tests.support.runs.bench import until

STILL_BEGINNING = {"success": True, "data": {"taskId": "t", "status": "APPLYING_RULES"}}


@pytest.fixture
def slow(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage whose proxy starts recording only after `Timing.settle`.

    The proxy accepts the analysis at once.
    """
    settings = stage.lab.settings.model_copy(update={"initializing": 0.9})
    monkeypatch.setattr(stage.lab._cluster, "settings", settings)
    return stage


def stopping(stage: Stage) -> RecordingsOrder:
    return RecordingsOrder(execution_id=stage.execution.execution_id)


async def has_begun(stage: Stage) -> None:
    async def look() -> bool:
        return len(await recordings(stage.lab)) == len(stage.plan.services)

    await until(look, "recordings")


async def nothing_stays(stage: Stage) -> None:
    """Assert that the lab has no active recording once all have begun."""
    await has_begun(stage)
    assert [entry.service for entry in await recordings(stage.lab) if entry.off_at is None] == []


async def test_stop_is_verified_only_when_no_recording_can_come_on_later(slow: Stage) -> None:
    """The first looks find none active, which proves nothing."""
    await slow.do(slow.traffic.start, slow.ref)
    assert await slow.do(slow.traffic.stop, stopping(slow)) == Closing(verified=True)
    await nothing_stays(slow)


async def test_the_task_id_of_a_cancelled_analysis_call_is_stored(slow: Stage) -> None:
    """The activity awaits the proxy's answer before it ends.

    Otherwise nobody could ask whether the analysis is still starting.
    """
    answers_late = Instruction(endpoint=Endpoint.ANALYZE, action=Action.SLOW, seconds=0.3)
    slow.lab.misbehave(Misbehaviour(instructions=[answers_late]))
    caller = await entitled(slow.tools.store, slow.execution, slow.plan, slow.traffic.start, slow.ref)
    environment = called_by(caller)
    call: asyncio.Future[Any] = asyncio.ensure_future(environment.run(slow.traffic.start, slow.ref))

    async def asked() -> bool:
        return slow.lab.calls[Endpoint.ANALYZE] > 0

    await until(asked, "the call")
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await slow.tools.store.executions.row(slow.execution.execution_id)).analyze_task_id
    assert await slow.do(slow.traffic.stop, stopping(slow)) == Closing(verified=True)
    await nothing_stays(slow)


@pytest.mark.parametrize(
    "instruction",
    [
        Instruction(endpoint=Endpoint.ANALYZE_STATUS, action=Action.REPLACE, body=STILL_BEGINNING),
        Instruction(endpoint=Endpoint.ANALYZE_STATUS, action=Action.REFUSE_500),
    ],
    ids=["begins for ever", "cannot be asked"],
)
async def test_stop_does_not_wait_for_an_analysis_lost_in_a_proxy_restart(
    stage: Stage, instruction: Instruction
) -> None:
    """The status of the lost analysis never changes.

    When nothing has come on for as long as a rollout takes, nothing will.
    """
    lost = PhaseChange(
        execution_id=stage.execution.execution_id, phase=Phase.ANALYZING_PATTERNS, analyze_task_id="task_1"
    )
    await stage.tools.store.executions.change_phase(lost)
    await opened(stage.tools.store, row_of(WindowKind.RECORDING, stage.execution, stage.plan))
    stage.lab.misbehave(Misbehaviour(instructions=[instruction]))
    assert await stage.do(stage.traffic.stop, stopping(stage)) == Closing(verified=True)

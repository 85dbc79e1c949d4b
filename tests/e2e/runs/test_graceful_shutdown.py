"""A worker that is asked to stop in the middle of a run: what is nearly done is done, the rest goes on elsewhere."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType

from domain.executions.execution import Recovery, Verdict
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.runs.bench import Bench, until

REPLAY = "replay_and_capture"
SLOW_REPLAY = Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.SLOW, seconds=2.5)])


@pytest.mark.exhaustive
@pytest.mark.parametrize(("grace", "attempts"), [("20s", 1), ("0s", 2)])
async def test_activities_have_time_to_end_when_a_worker_stops(idle_bench: Bench, grace: str, attempts: int) -> None:
    bench = idle_bench
    first = await bench.worker(HOLDFAST_SHUTDOWN_GRACE=grace)
    bench.lab.misbehave(SLOW_REPLAY)
    run = await bench.start(bench.small_plan())

    async def replaying() -> bool:
        return bench.lab.calls[Endpoint.REPLAY] > 0

    await until(replaying, "a replay")
    first.terminate()
    assert await first.wait() == 0
    bench.lab.misbehave(Misbehaviour())
    await bench.worker()
    summary = await run.result()
    await bench.lock_ended(run)
    assert (summary.verdict, summary.recovery) == (Verdict.PASSED, Recovery.VERIFIED)
    assert await first_replay(bench, summary.execution_id) == attempts


async def first_replay(bench: Bench, execution_id: int) -> int:
    """Return at which attempt the first replay of a run succeeded."""
    window = bench.temporal.get_workflow_handle(f"fault/{execution_id}/reviews")
    scheduled: dict[int, str] = {}
    async for event in window.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            if scheduled.get(started.scheduled_event_id) == REPLAY:
                return started.attempt
    raise AssertionError("there was no replay")

"""An analysis whose start got no answer is found again while the proxy remembers the call, and started anew later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.traffic.summary import AnalysisOrder, RecordingsOrder
from lab import LogEntry, Misbehaviour
from tests.support.activities.recordings import recordings
from tests.support.activities.stage import TIMING, Stage
from tests.support.leaks.checker import by_itself
from tests.support.runs.bench import until


async def until_recording(stage: Stage) -> list[LogEntry]:
    """Wait until every service is being recorded. Returns the whole log."""

    async def look() -> list[LogEntry] | None:
        log = await recordings(stage.lab)
        on = {entry.service for entry in log if entry.off_at is None}
        return log if on == set(stage.plan.service_names) else None

    log: list[LogEntry] = await until(look, "a recording of every service")
    return log


async def test_a_repeated_start_finds_the_first_analysis_while_the_proxy_remembers_it(stage: Stage) -> None:
    """The call is identical: there is one analysis, and the answer names its task."""
    first = await stage.do(stage.traffic.start, stage.ref)
    again = await stage.do(stage.traffic.start, stage.ref, attempt=2, age=timedelta(seconds=1))
    assert again.task_id == first.task_id
    assert len(await until_recording(stage)) == len(stage.plan.services)


async def test_a_late_repeated_start_stops_the_first_analysis_before_the_second(stage: Stage) -> None:
    """Two analyses never run side by side: all recordings of the first are off before any of the second come on."""
    first = await stage.do(stage.traffic.start, stage.ref)
    await until_recording(stage)
    again = await stage.do(stage.traffic.start, stage.ref, attempt=2, age=TIMING.analyze_dedupe)
    assert again.task_id != first.task_id
    log = await until_recording(stage)
    ended = [entry.off_at.monotonic for entry in log if entry.off_at is not None]
    began = [entry.on_at.monotonic for entry in log if entry.off_at is None]
    assert len(ended) == len(began) == len(stage.plan.services)
    assert max(ended) < min(began)


async def test_start_gives_up_when_no_time_is_left_for_a_second_analysis(stage: Stage) -> None:
    """Nothing is asked of the proxy."""
    with pytest.raises(ApplicationError) as raised:
        await stage.do(stage.traffic.start, stage.ref, attempt=3, age=TIMING.analyze_dedupe * 2.5)
    assert raised.value.type == ErrorCode.ANALYZE_FAILED
    assert await recordings(stage.lab) == []


async def test_the_store_and_the_log_name_the_analysis_task(stage: Stage) -> None:
    """When a run can no longer be queried, this id leads to its task at the proxy."""
    execution_id = stage.execution.execution_id
    started = await stage.do(stage.traffic.start, stage.ref)
    assert (await stage.tools.store.executions.row(execution_id)).analyze_task_id == started.task_id
    assert started.task_id in " ".join(entry.message for entry in await stage.tools.store.logs.of(execution_id))


async def test_recordings_of_a_stalled_analysis_are_stopped(stage: Stage) -> None:
    """We stop them: none is left to the proxy's own time limit."""
    stage.lab.misbehave(Misbehaviour(analysis_stalls=True))
    started = await stage.do(stage.traffic.start, stage.ref)
    await until_recording(stage)
    order = AnalysisOrder(execution_id=stage.execution.execution_id, task_id=started.task_id)
    with pytest.raises(ApplicationError) as raised:
        await stage.do(stage.traffic.await_patterns, order, age=stage.plan.timeouts.analyze)
    assert raised.value.type == ErrorCode.ANALYZE_TIMEOUT
    nearly_over = stage.plan.timeouts.recovery - timedelta(seconds=30)
    closing = await stage.do(stage.traffic.stop, RecordingsOrder(execution_id=order.execution_id), age=nearly_over)
    assert closing.verified, closing.detail
    log = await recordings(stage.lab)
    assert len(log) == len(stage.plan.services)
    assert all(entry.off_at is not None for entry in log)
    assert by_itself(log) == []

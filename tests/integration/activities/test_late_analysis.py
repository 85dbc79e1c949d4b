"""An analysis whose beginning nobody answered: found again while the proxy remembers the call, begun anew later."""

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
    """Wait until every service is being recorded; the whole log."""

    async def look() -> list[LogEntry] | None:
        log = await recordings(stage.lab)
        on = {entry.service for entry in log if entry.off_at is None}
        return log if on == set(stage.plan.service_names) else None

    log: list[LogEntry] = await until(look, "a recording of every service")
    return log


async def test_while_the_proxy_remembers_the_first_call_is_found_again(stage: Stage) -> None:
    """The identical call: one analysis, the first one's task."""
    first = await stage.do(stage.traffic.start, stage.ref)
    again = await stage.do(stage.traffic.start, stage.ref, attempt=2, age=timedelta(seconds=1))
    assert again.task_id == first.task_id
    assert len(await until_recording(stage)) == len(stage.plan.services)


async def test_later_the_first_one_is_stopped_before_a_second_begins(stage: Stage) -> None:
    """Never two analyses side by side: what the first one had switched on is off before the second one's comes on."""
    first = await stage.do(stage.traffic.start, stage.ref)
    await until_recording(stage)
    again = await stage.do(stage.traffic.start, stage.ref, attempt=2, age=TIMING.analyze_dedupe)
    assert again.task_id != first.task_id
    log = await until_recording(stage)
    ended = [entry.off_at.monotonic for entry in log if entry.off_at is not None]
    began = [entry.on_at.monotonic for entry in log if entry.off_at is None]
    assert len(ended) == len(began) == len(stage.plan.services)
    assert max(ended) < min(began)


async def test_when_no_time_is_left_to_begin_again_it_is_given_up(stage: Stage) -> None:
    """And nothing is asked of the proxy."""
    with pytest.raises(ApplicationError) as raised:
        await stage.do(stage.traffic.start, stage.ref, attempt=3, age=TIMING.analyze_dedupe * 2.5)
    assert raised.value.type == ErrorCode.ANALYZE_FAILED
    assert await recordings(stage.lab) == []


async def test_the_store_has_the_analysis_task(stage: Stage) -> None:
    """Whoever looks at a run that cannot be asked any more finds the proxy's task by this id, and in the log."""
    execution_id = stage.execution.execution_id
    started = await stage.do(stage.traffic.start, stage.ref)
    assert (await stage.tools.store.execution_row(execution_id)).analyze_task_id == started.task_id
    assert started.task_id in " ".join(one.message for one in await stage.tools.store.log_entries(execution_id))


async def test_what_a_stalled_analysis_left_on_is_stopped(stage: Stage) -> None:
    """By us: nothing of it is left to the time limit that the proxy has for it."""
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
    assert all(one.off_at is not None for one in log)
    assert by_itself(log) == []

"""A run that a schedule starts, from its trigger to the verdict that `holdfast schedule` shows."""

from __future__ import annotations

from operations import schedules
from operations.definitions import PlanFile, validate_definition
from operations.runs.find import find_run
from operations.runs.find_stored import find_stored_run
from operations.schedules import NewSchedule, ScheduleFacts, Times
from tests.support.runs.bench import Bench, until


async def test_a_scheduled_run_is_found_by_its_plan_with_its_verdict(bench: Bench) -> None:
    """At the server and in the store, although its workflow id has a time at its end."""
    file, problems = validate_definition(bench.small_plan())
    assert isinstance(file, PlanFile), problems
    new = NewSchedule(file, Times(crons=("0 3 1 1 *",)), bench.settings.task_queue)
    await schedules.create(bench.temporal, new)
    try:
        handle, _ = await schedules.find(bench.temporal, bench.name)
        await handle.trigger()

        async def verdict() -> ScheduleFacts | None:
            _, described = await schedules.find(bench.temporal, bench.name)
            facts = await schedules.facts_of(bench.temporal, described)
            return facts if facts.runs and facts.runs[0].status == "COMPLETED" else None

        facts: ScheduleFacts = await until(verdict, "the end of a scheduled run")
        [run] = facts.runs
        assert (run.verdict, run.recovery) == ("passed", "verified")
        found = await find_run(bench.temporal, bench.name)
        await bench.lock_ended(found)
        row = await find_stored_run(bench.store, bench.name)
        assert run.workflow_id == found.id == row.workflow_id
        assert row.plan == bench.name
        assert bench.lab.state().clean
    finally:
        await handle.delete()

"""Executions of a kind without a plan, in the store."""

from __future__ import annotations

from clients.store.read_models import RunFilter
from clients.store.repositories.executions import LONGEST_STEP
from clients.store.store import Store
from domain.errors import ErrorCode
from domain.executions.execution import Ending, FinalStep, NewRecord, Recovery, RunStatus, StepChange, Verdict
from domain.kinds import as_state, as_summary, registered
from domain.plans.canonical import canonical_json
from domain.resilience.kind import KIND as PLAN
from domain.resilience.model import NewExecution
from domain.timing import Timing
from operations.runs.find_stored import find_stored_run
from tests.support.kinds.countdown import KIND
from tests.support.store.samples import new_execution, shop_plan

NEW = NewRecord(kind="countdown", definition_json='{"countdown":"x"}', workflow_id="countdown/x", run_id="run-9")


async def test_a_record_is_created_once_per_run(store: Store) -> None:
    first = await store.executions.create_record(NEW, "x", Timing())
    assert await store.executions.create_record(NEW, "x", Timing()) == first
    row = await store.executions.row(first.execution_id)
    assert (row.kind, row.name, row.plan, row.namespace, row.run_status) == ("countdown", "x", "x", "", "running")
    assert row.parent_execution_id is None


async def test_a_child_knows_its_parent(store: Store) -> None:
    child = NEW.model_copy(update={"parent_execution_id": 7})
    found = await store.executions.row((await store.executions.create_record(child, "x", Timing())).execution_id)
    assert found.parent_execution_id == 7


async def test_a_definition_equal_to_a_plans_text_is_not_that_plan(store: Store) -> None:
    """Definitions are stored once per content, and the kind is part of it."""
    run = await new_execution(store, "run-1")
    text = (await store.executions.plan(run.execution_id)).model_dump_json()
    other = NEW.model_copy(update={"definition_json": text})
    record = await store.executions.create_record(other, "y", Timing())
    assert (await store.executions.row(record.execution_id)).task_id != run.task_id


async def test_steps_of_any_length_are_stored_until_the_end(store: Store) -> None:
    run = (await store.executions.create_record(NEW, "x", Timing())).execution_id
    await store.executions.change_step(StepChange(execution_id=run, step="\ud800" + "s" * 500))
    assert (await store.executions.row(run)).status == "\ufffd" + "s" * (LONGEST_STEP - 1)
    end = Ending(
        execution_id=run, status=RunStatus.FAILED, phase=FinalStep.FAILED, recovery=Recovery.VERIFIED,
        verdict=Verdict.FAILED, error_code=ErrorCode.ABORTED, error_phase="t" * 500,
    )  # fmt: skip
    await store.executions.finish(end)
    await store.executions.change_step(StepChange(execution_id=run, step="late"))
    row = await store.executions.row(run)
    assert (row.status, row.error_phase, row.verdict) == ("FAILED", "t" * LONGEST_STEP, Verdict.FAILED)


async def test_lists_are_narrowed_by_kind(store: Store) -> None:
    run = (await new_execution(store, "run-1")).execution_id
    other = (await store.executions.create_record(NEW, "x", Timing())).execution_id
    assert {row.execution_id for row in await store.executions.newest(9)} == {run, other}
    for kind, expected in (("countdown", other), ("resilience-test", run)):
        rows = await store.executions.newest(9, RunFilter(kinds=(kind,)))
        assert [row.execution_id for row in rows] == [expected]


async def test_a_step_leaves_a_resilience_test_as_it_is(store: Store) -> None:
    """It has phases. With any other text there, nobody could read, close or end it."""
    run = (await new_execution(store, "run-1")).execution_id
    await store.executions.change_step(StepChange(execution_id=run, step="7 to go"))
    assert (await store.executions.row(run)).status == "GENERATING_CASES"


async def test_a_failure_in_an_unknown_phase_keeps_the_row_readable(store: Store) -> None:
    """A newer worker may have phases that this version does not know."""
    run = (await new_execution(store, "run-1")).execution_id
    end = Ending(
        execution_id=run, status=RunStatus.FAILED, phase=FinalStep.FAILED, recovery=Recovery.VERIFIED,
        error_code=ErrorCode.ABORTED, error_phase="COOLING_DOWN",
    )  # fmt: skip
    await store.executions.finish(end, "run-1")
    assert (await store.executions.row(run)).error_phase == "COOLING_DOWN"


def test_states_and_results_of_other_versions_are_read() -> None:
    """An older worker names no kind. A newer one may name a kind that we do not know."""
    assert type(as_state({"plan": "shop"})).__name__ == "ResilienceState"
    assert as_state({"kind": "flow", "name": "checkout", "steps": []}).name == "checkout"
    summary = {
        "execution_id": 1, "plan": "shop", "namespace": "n", "verdict": "passed", "recovery": "verified", "cases": {},
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert type(as_summary(summary)).__name__ == "ResilienceSummary"
    assert type(as_summary(summary | {"kind": "flow"})).__name__ == "ExecutionSummary"


async def test_of_two_executions_of_one_name_the_running_one_is_meant(store: Store) -> None:
    """Names of two kinds may be equal. What runs is what somebody wants to cancel or watch."""
    with registered(KIND):
        mine = NEW.model_copy(update={"workflow_id": KIND.workflow_id("shop")})
        going_on = (await store.executions.create_record(mine, "shop", Timing())).execution_id
        plan = NewExecution(plan_json=canonical_json(shop_plan()), workflow_id=PLAN.workflow_id("shop"), run_id="r")
        ended = (await store.executions.create(plan, shop_plan(), Timing())).execution_id
        end = Ending(execution_id=ended, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED)
        await store.executions.finish(end)
        assert (await find_stored_run(store, "shop")).execution_id == going_on

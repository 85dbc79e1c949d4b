"""Runs, their plans and their logs in the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from operator import attrgetter
from typing import Any

import pytest
from sqlalchemy import text

from clients.store.engine import writing
from clients.store.read_models import CheckedPair, LogLevel, RunFilter
from clients.store.repositories import executions, logs
from clients.store.store import Store
from domain.calls.model import CallRound, FallbackCall, RealCase
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Ending, Execution, FinalStep, Recovery, RunStatus, Verdict
from domain.executions.windows import ServiceStability, StabilityMoment
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.names import record_id
from domain.pairs.fidelity import PairFinding, PairOutcome
from domain.plans.canonical import canonical_json, content_id, sha256
from domain.plans.environments import environment_of
from domain.resilience.model import NewExecution, Phase, PhaseChange
from tests.support.store.counting import row_counts
from tests.support.store.samples import (
    FAST,
    answer,
    entry,
    exchange,
    measured,
    measurement,
    new_execution,
    shop_plan,
    skipped,
    stored_case,
)


async def test_a_run_id_has_one_execution(store: Store, other_store: Store) -> None:
    """However often and from however many workers a run is created, there is one row, one id and one answer."""
    created = await asyncio.gather(*(new_execution(writer) for writer in (store, other_store) * 5))
    assert len({returned.model_dump_json() for returned in created}) == 1
    assert await store.executions.get(created[0].execution_id) == created[0]
    assert (await row_counts(store, created[0].execution_id))["task_execution"] == 1


async def test_a_new_run_has_its_ids_plan_timing_and_first_status(store: Store, execution: Execution) -> None:
    """Its 53-bit id begins with the time. Plan and request have content ids."""
    plan = shop_plan()
    assert execution.execution_id < 2**53
    assert abs((execution.execution_id >> 21) - time.time()) < 60
    assert execution.task_id == content_id(canonical_json(plan))
    assert execution.plan_sha256 == sha256(canonical_json(plan))
    assert 0 < execution.req_def_id < 2**53
    assert execution.record_id == record_id(execution.execution_id)
    assert execution.services == plan.service_names
    assert execution.timing == FAST
    assert execution.environment == environment_of(plan, {})
    assert await store.executions.plan(execution.execution_id) == plan
    row = await store.executions.row(execution.execution_id)
    assert (row.status, row.run_status, row.plan) == (Phase.GENERATING_CASES, RunStatus.RUNNING, plan.name)
    assert (row.verdict, row.recovery, row.error_code, row.finished_at) == (None, None, None, None)
    assert (row.workflow_id, row.run_id, row.requested_by) == ("resilience-test/shop", "run-1", "somebody")


async def test_equal_plans_are_stored_once(store: Store) -> None:
    """Two runs of one plan are two runs of one task."""
    first, second = await new_execution(store, "run-1"), await new_execution(store, "run-2")
    assert first.execution_id != second.execution_id
    assert first.task_id == second.task_id


async def test_a_repeated_creation_returns_the_stored_run(store: Store, execution: Execution) -> None:
    """A newer worker that writes the plan differently continues the run under its first digest."""
    newer = shop_plan(description="written by a newer worker")
    again = NewExecution(plan_json=canonical_json(newer), workflow_id="resilience-test/shop", run_id="run-1")
    assert await store.executions.create(again, newer, FAST) == execution


async def test_a_taken_execution_id_is_not_used_again(
    store: Store, execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If chance picks the id of an existing run, a new one is drawn."""
    drawn = iter([execution.execution_id, execution.execution_id, execution.execution_id + 1])
    monkeypatch.setattr(executions, "new_execution_id", lambda: next(drawn))
    assert (await new_execution(store, "run-2")).execution_id == execution.execution_id + 1


async def test_a_change_of_phase_keeps_the_ids_that_it_omits(store: Store, run: int) -> None:
    """These are ids at the peers. A repetition changes nothing."""
    await store.executions.change_phase(
        PhaseChange(execution_id=run, phase=Phase.ANALYZING_PATTERNS, analyze_task_id="t-1")
    )
    change = PhaseChange(execution_id=run, phase=Phase.RULES_READY, intercept_record_id="hf1x")
    for _ in range(2):
        await store.executions.change_phase(change)
    row = await store.executions.row(run)
    assert (row.status, row.analyze_task_id, row.intercept_record_id) == (Phase.RULES_READY, "t-1", "hf1x")


DONE = {"status": RunStatus.COMPLETED, "phase": Phase.DONE, "recovery": Recovery.VERIFIED}
FAILED = {
    "status": RunStatus.FAILED,
    "phase": Phase.FAILED,
    "recovery": Recovery.UNVERIFIED,
    "error_code": ErrorCode.RECOVERY_UNVERIFIED,
    "error_phase": Phase.RULES_READY,
    "error_message": "the rules are still on",
}


async def test_a_plans_name_stands_for_the_runs_of_its_schedule(store: Store) -> None:
    """The server adds the time to their ids. A plan whose own name ends like that is another plan."""
    first = "resilience-test/shop_50%"
    for number, workflow_id in enumerate(
        [
            first,
            f"{first}-2026-11-30T03:00:00Z",
            f"{first}-2026-full-regression",
            "resilience-test/shopx50y-2026-11-30T03:00:00Z",
        ]
    ):
        await new_execution(store, run_id=f"run-{number}", workflow_id=workflow_id)
    newest = await store.executions.latest_of(first)
    assert newest is not None
    assert newest.workflow_id == f"{first}-2026-11-30T03:00:00Z"


async def test_a_repeated_ending_changes_only_its_time_of_writing(store: Store, run: int) -> None:
    """The stored verdict is kept."""
    await store.executions.set_verdict(run, Verdict.PASSED)
    done = Ending.model_validate({"execution_id": run} | DONE)
    await store.executions.finish(done)
    first = await store.executions.row(run)
    await store.executions.finish(done)
    again = await store.executions.row(run)
    assert again.model_copy(update={"updated_at": first.updated_at}) == first
    assert (first.verdict, first.recovery) == (Verdict.PASSED, Recovery.VERIFIED)


@pytest.mark.parametrize(("first", "later"), [(DONE, FAILED), (FAILED, DONE)], ids=["completed", "failed"])
async def test_an_ended_execution_keeps_its_ending(
    store: Store, run: int, first: dict[str, Any], later: dict[str, Any]
) -> None:
    """Status, verdict, error, phase and time stay. A later ending with the same status changes only the recovery."""
    await store.executions.finish(Ending.model_validate({"execution_id": run} | first))
    ended = await store.executions.row(run)
    await store.executions.finish(Ending.model_validate({"execution_id": run, "verdict": Verdict.PASSED} | later))
    await store.executions.set_verdict(run, Verdict.PASSED)
    await store.executions.change_phase(PhaseChange(execution_id=run, phase=Phase.RULES_READY, analyze_task_id="t"))
    assert await store.executions.row(run) == ended
    corrected_recovery = Recovery.UNVERIFIED if first["recovery"] is Recovery.VERIFIED else Recovery.VERIFIED
    await store.executions.finish(
        Ending.model_validate({"execution_id": run} | first | {"recovery": corrected_recovery})
    )
    corrected = await store.executions.row(run)
    assert corrected == ended.model_copy(update={"recovery": corrected_recovery, "updated_at": corrected.updated_at})


async def test_the_ending_of_a_different_run_is_refused(store: Store, run: int) -> None:
    """The server is asked about a run by its id. A wrong id must not end this execution."""
    with pytest.raises(HoldfastError) as raised:
        await store.executions.finish(Ending.model_validate({"execution_id": run} | DONE), "another run")
    assert raised.value.code is ErrorCode.STORE_CONFLICT
    assert (await store.executions.row(run)).finished_at is None


async def test_an_ended_execution_refuses_all_further_results(store: Store, run: int) -> None:
    """A worker that was thought dead may still write, and so may a person who calls its activities."""
    cases = [stored_case(index) for index in range(4)]
    await store.cases.save(run, cases)
    await store.results.save(run, measured(0))
    await store.executions.finish(Ending.model_validate({"execution_id": run} | FAILED))
    before = await row_counts(store, run)
    results = await store.results.all(run)
    finding = PairFinding(case_id="s0+s1", outcome=PairOutcome.UNCHECKED)
    writes: list[Coroutine[Any, Any, object]] = [
        store.results.save(run, measured(0, p50_ms=1)),
        store.results.save_group(run, [measured(1)], []),
        store.results.save_unmeasured(run, [skipped(2)]),
        store.results.invalidate(run, [0], "no"),
        store.results.save_verdicts(run, {0: (Verdict.PASSED, "")}),
        store.cases.save(run, cases),
        store.cases.save_tokens(run, {"reviews": "t"}),
        store.traffic.save_captured(run, "remove", [answer()]),
        store.traffic.save_exchanges(run, [exchange()]),
        store.traffic.save_propagation(run, {"reviews": True}),
        store.pairs.save(run, CheckedPair(case_index=3, finding=finding)),
        store.traffic.add_exchanges(run, "reviews", [exchange()]),
        store.calls.save(
            run, [FallbackCall(service="a", method="GET", path="/", case_index=1, times=1, new=True, round=1)]
        ),
        store.calls.save_real_case(run, RealCase(case_index=3, answers=[], measurement=measurement())),
        store.calls.save_round(run, CallRound(round=1, complete=True)),
        store.ledger.intent(entry(run)),
    ]
    for write in writes:
        with pytest.raises(HoldfastError) as raised:
            await write
        assert raised.value.code is ErrorCode.STORE_CONFLICT, write
    # A late close must not fail because of this write.
    await store.stability.save(run, StabilityMoment.AFTER_RULES, [ServiceStability(service="reviews", stable=True)])
    assert await row_counts(store, run) == before
    assert await store.results.all(run) == results
    assert await store.stability.of(run) == {}


async def test_the_latest_run_of_a_workflow_is_the_last_created(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even within one second, in which ids have no order."""
    assert await store.executions.latest_of("resilience-test/shop") is None
    drawn = iter([300, 200, 100])
    monkeypatch.setattr(executions, "new_execution_id", lambda: next(drawn))
    for number in range(3):
        await new_execution(store, f"run-{number}")
    latest = await store.executions.latest_of("resilience-test/shop")
    assert latest is not None
    assert (latest.execution_id, latest.run_id) == (100, "run-2")


async def test_a_run_is_readable_without_a_readable_plan(store: Store, run: int) -> None:
    """A version that does not understand the plan can still show the status."""
    async with writing(store.engine) as work:
        await work.execute(text("UPDATE plan_snapshot SET canonical_json = '{}'"))
    assert (await store.executions.row(run)).plan == shop_plan().name


@pytest.mark.parametrize(
    "name",
    [
        "executions.get",
        "executions.plan",
        "executions.row",
        "executions.change_phase",
        "executions.finish",
        "executions.set_verdict",
        "logs.add",
        "cases.save",
    ],
)
async def test_an_unknown_run_is_not_found(store: Store, name: str) -> None:
    ending = Ending(execution_id=1, status=RunStatus.FAILED, phase=FinalStep.FAILED, recovery=Recovery.NOT_NEEDED)
    arguments: dict[str, tuple[object, ...]] = {
        "executions.change_phase": (PhaseChange(execution_id=1, phase=Phase.DONE),),
        "executions.finish": (ending,),
        "executions.set_verdict": (1, Verdict.PASSED),
        "logs.add": (1, "key", LogLevel.INFO, "message"),
        "cases.save": (1, []),
    }
    with pytest.raises(HoldfastError) as raised:
        await attrgetter(name)(store)(*arguments.get(name, (1,)))
    assert raised.value.code is ErrorCode.NOT_FOUND


async def test_a_log_key_has_one_line(store: Store, other_store: Store, run: int) -> None:
    """A repeated activity keeps its first line. Lines are in the order of their writing."""
    for number in range(3):
        await store.logs.add(run, f"key-{number}", LogLevel.WARN, f"line {number}")
        await other_store.logs.add(run, f"key-{number}", LogLevel.ERROR, "repeated")
    entries = await store.logs.of(run)
    assert [line.message for line in entries] == ["line 0", "line 1", "line 2"]
    assert {line.level for line in entries} == {LogLevel.WARN}


async def test_long_log_keys_stay_distinct(store: Store, run: int) -> None:
    """Two keys that differ only after many characters are two lines."""
    for end in ("a", "b"):
        await store.logs.add(run, "k" * 400 + end, LogLevel.INFO, end)
    assert [line.message for line in await store.logs.of(run)] == ["a", "b"]


async def test_log_ids_have_the_form_of_the_peers(store: Store, run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are epoch milliseconds and 20 bits of sequence.

    A line whose id is taken by a different process is not lost.
    """
    assert abs((logs.new_log_id() >> 20) - time.time() * 1000) < 60_000
    taken = logs.new_log_id()
    drawn = iter([taken, taken, taken + 1])
    monkeypatch.setattr(logs, "new_log_id", lambda: next(drawn))
    await store.logs.add(run, "first", LogLevel.INFO, "first")
    await store.logs.add(run, "second", LogLevel.INFO, "second")
    assert len(await store.logs.of(run)) == 2


async def test_runs_are_listed_newest_first(store: Store) -> None:
    """As many as requested, of all plans or of one, in the order of creation."""
    ids = [(await new_execution(store, f"run-{number}")).execution_id for number in range(5)]
    different = shop_plan(name="other")
    new = NewExecution(plan_json=canonical_json(different), workflow_id="w", run_id="run-5")
    ids.append((await store.executions.create(new, different, FAST)).execution_id)
    assert [row.execution_id for row in await store.executions.newest(10)] == ids[::-1]
    assert [row.execution_id for row in await store.executions.newest(2)] == ids[:-3:-1]
    assert [row.plan for row in await store.executions.newest(10, RunFilter(plan="other"))] == ["other"]
    assert [row.execution_id for row in await store.executions.newest(3, RunFilter(plan="shop"))] == ids[4:1:-1]
    assert await store.executions.newest(10, RunFilter(plan="nobody's")) == []
    assert (await store.executions.newest(1))[0] == await store.executions.row(ids[-1])


async def test_the_number_of_listed_runs_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a caller requests."""
    monkeypatch.setattr(executions, "MOST_LISTED", 2)
    for number in range(4):
        await new_execution(store, f"run-{number}")
    assert len(await store.executions.newest(1_000_000)) == 3


async def test_free_text_is_cleaned_before_it_is_stored(store: Store, run: int) -> None:
    """Log lines, the error of an ending and the trouble of a steady state may quote what a peer or a system said."""
    store.keep_out(lambda said: said.replace("sesame", "[removed]"))
    await store.logs.add(run, "key", LogLevel.INFO, "opened by sesame")
    await store.progress.save_steady(run, SteadyMoment.BEFORE, SteadyReport(met=False, detail="answered sesame"))
    await store.executions.finish(Ending.model_validate({"execution_id": run} | FAILED | {"error_message": "sesame"}))
    assert [line.message for line in await store.logs.of(run)] == ["opened by [removed]"]
    assert (await store.progress.steady(run))[SteadyMoment.BEFORE].detail == "answered [removed]"
    assert (await store.executions.row(run)).error_message == "[removed]"

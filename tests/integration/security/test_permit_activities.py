"""Every activity that acts or writes refuses hostile input: nothing comes on at the peers, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.load.batches import LoadActivities
from activities.permit import Duty
from activities.run.executions import ExecutionActivities
from activities.run.ledger import LedgerActivities
from activities.run.lock import LockActivities
from activities.run.stop_conditions import StopActivities
from activities.stages.calls import CallActivities
from activities.stages.capturing_calls import CaptureActivities
from activities.stages.pairs import PairActivities
from activities.stages.rules import RulesActivities
from activities.stages.steady import SteadyActivities
from activities.toolbox import Toolbox
from clients.peers.proxy import ProxyClient
from clients.store.store import Store
from clients.temporal.runs import RunDirectory
from domain.calls.model import AskOrder, CallsOrder
from domain.errors import ErrorCode
from domain.executions.execution import (
    Ending,
    Execution,
    ExecutionRecord,
    NewRecord,
    Recovery,
    RunStatus,
    StepChange,
    Verdict,
)
from domain.executions.permit_facts import Caller
from domain.executions.windows import Closing, LedgerState, LedgerUpdate, PreflightOrder, WindowKind
from domain.faults.model import FaultOrder
from domain.guardrails.model import Guardrails
from domain.kinds import registered
from domain.measuring.load import BatchOrder, CaseRange, LoadShare, RulesOrder
from domain.measuring.steady_report import SteadyMoment, SteadyOrder
from domain.names import WorkflowType
from domain.pairs.model import PairOrder
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution, Phase
from domain.traffic.summary import AnalysisOrder, RecordingsOrder
from tests.support.activities.fixtures import stage
from tests.support.activities.offered import name_of, offered
from tests.support.activities.permits import called_by, entitled, opened, own_fault_name, row_of
from tests.support.activities.stage import Stage
from tests.support.kinds.countdown import KIND
from tests.support.runs.bench import RAILS, until
from tests.support.store.counting import row_counts

__all__ = ["stage"]

SERVICE = "reviews"
Work = tuple[Callable[..., Awaitable[Any]], Any]


def acting(stage: Stage) -> dict[str, Work]:
    """Return every activity that acts, with an order that its own workflow would give."""
    tools, run = stage.tools, stage.execution.execution_id
    fault = FaultOrder(execution_id=run, service=SERVICE, fault_name=own_fault_name(stage.execution, SERVICE))
    return {
        "inject_fault": (stage.faults.inject, fault),
        "replay_and_capture": (stage.faults.replay, fault),
        "capture_calls": (CaptureActivities(tools).capture, fault),
        "start_analysis": (stage.traffic.start, stage.ref),
        "start_recordings": (CallActivities(tools).start, stage.ref),
        "send_healthy": (CallActivities(tools).send_healthy, stage.ref),
        "read_calls": (CallActivities(tools).read, CallsOrder(execution_id=run, round=1)),
        "ask_broken": (
            CallActivities(tools).ask_broken,
            AskOrder(execution_id=run, case_index=1, faults={SERVICE: fault.fault_name}),
        ),
        "await_patterns": (stage.traffic.await_patterns, AnalysisOrder(execution_id=run, task_id="t")),
        "upsert_rules": (RulesActivities(tools).upsert, RulesOrder(execution_id=run, services=[])),
        "measure_batch": (
            LoadActivities(tools).measure_batch,
            BatchOrder(execution_id=run, cases=CaseRange(first=0, end=1)),
        ),
        "check_steady_state": (
            SteadyActivities(tools).check,
            SteadyOrder(execution_id=run, moment=SteadyMoment.BEFORE),
        ),
        "watch_stop_conditions": (StopActivities(tools).watch, stage.ref),
        "compare_pair": (
            PairActivities(tools).compare,
            PairOrder(execution_id=run, case_index=9, case_id="a+b", faults={"a": "hf-1", "b": "hf-2"}),
        ),
        "preflight": (
            LockActivities(tools, cast("RunDirectory", None)).preflight,
            PreflightOrder(execution_id=run),
        ),
    }


ACTING = [
    "inject_fault", "replay_and_capture", "start_analysis", "await_patterns", "upsert_rules", "measure_batch",
    "check_steady_state", "watch_stop_conditions", "preflight", "start_recordings", "send_healthy", "read_calls",
    "ask_broken", "capture_calls", "compare_pair",
]  # fmt: skip


async def refused(stage: Stage, work: Any, order: Any, caller: Caller | None) -> ApplicationError:
    """Return the refusal, which is final.

    Nothing was switched on, and nothing was sent.
    """
    environment = called_by(caller or Caller(), scheduled_time=datetime.now(UTC)) if caller else ActivityEnvironment()
    before = await stage.counters()
    with pytest.raises(ApplicationError) as raised:
        await environment.run(work, order)
    assert (raised.value.type, raised.value.non_retryable) == (ErrorCode.NO_PERMIT, True), raised.value
    assert stage.lab.state().clean
    assert await stage.counters() == before
    return raised.value


@pytest.mark.parametrize("name", ACTING)
async def test_an_activity_that_acts_refuses_every_wrong_circumstance(stage: Stage, name: str) -> None:
    """Standalone, from a stranger, without rows, with narrower rails, while halted, and when the run has ended."""
    work, order = acting(stage)[name]
    store, tools = stage.tools.store, stage.tools
    nobody = Caller(workflow_type="", workflow_id="", run_id="")
    await refused(stage, work, order, None)
    await refused(stage, work, order, nobody)
    entitled_type = cast("Any", work).need.callers[0]
    stranger = Caller(workflow_type=entitled_type, workflow_id=f"fault/{order.execution_id}/{SERVICE}", run_id="x")
    await refused(stage, work, order, stranger)
    if name == "preflight":
        return
    mine = await entitled(store, stage.execution, stage.plan, work, order)
    await refused(stage, work, order, mine.model_copy(update={"workflow_type": "Evil"}))
    if not cast("Any", work).need.covered_by or cast("Any", work).need.of_the_run:
        await refused(stage, work, order, mine.model_copy(update={"run_id": "another"}))
    for rails in (RAILS.model_copy(update={"namespaces": ["books"]}), Guardrails(hosts=["shop.example"])):
        tools.rails = rails
        assert "does not allow this plan any more" in (await refused(stage, work, order, mine)).message
    tools.rails = RAILS
    await store.halting.halt("a fire", "a test")
    assert "a fire" in (await refused(stage, work, order, mine)).message
    await store.halting.unhalt()
    await ended(store, order.execution_id)
    assert "has ended" in (await refused(stage, work, order, mine)).message


async def ended(store: Store, execution_id: int, status: RunStatus = RunStatus.FAILED) -> None:
    facts = {"status": status, "phase": Phase.FAILED, "recovery": Recovery.VERIFIED, "error_code": ErrorCode.ABORTED}
    await store.executions.finish(Ending.model_validate({"execution_id": execution_id} | facts))


async def stored(stage: Stage, plan: Plan) -> Stage:
    """Store a run of another plan, as an older version or somebody else would.

    Returns the same stage with that run.
    """
    new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="1b")
    execution: Execution = await stage.tools.store.executions.create(new, plan, stage.execution.timing)
    return Stage(stage.lab, stage.tools, plan, execution)


def experiment(**changes: Any) -> dict[str, Any]:
    facts = {"scope": "pod", "target": "pod", "action": "delete", "matchers": {"labels": [f"app={SERVICE}"]}}
    return {"type": "gone", "experiment": facts | changes}


@pytest.mark.parametrize(
    "fault",
    [
        experiment(scope="node", action="kill", matchers={"namespace": ["kube-system"]}),
        experiment(matchers={"names": ["*"]}),
        experiment(matchers={"labels": ["="]}),
        experiment(matchers={"kubeconfig": ["/root/.kube/config"]}),
        experiment(matchers={"evict-percent": ["100"]}),
        experiment(matchers={"namespace": ["kube-system"]}),
    ],
    ids=str,
)
async def test_an_old_plan_that_reaches_too_far_meets_todays_rules(stage: Stage, fault: dict[str, Any]) -> None:
    """It parses and is stored, but nothing of it reaches the fault service, even with every row in place."""
    document = stage.plan.model_dump(mode="json", by_alias=True)
    for service in document["services"]:
        if service["name"] == SERVICE:
            service["fault"] = fault
    older = await stored(stage, Plan.model_validate_json(json.dumps(document)))
    order = FaultOrder(execution_id=older.execution.execution_id, service=SERVICE)
    row = await opened(older.tools.store, row_of(WindowKind.FAULT, older.execution, older.plan, SERVICE))
    await opened(older.tools.store, row_of(WindowKind.LOCK, older.execution, older.plan))
    mine = Caller(workflow_type=WorkflowType.FAULT_WINDOW, workflow_id=row.window_id, run_id=row.run_id)
    assert "breaks today's rules" in (await refused(stage, older.faults.inject, order, mine)).message


async def test_a_plan_that_only_parses_is_not_stored(stage: Stage) -> None:
    """`create_execution` does the full validation itself, and only for the run that asks."""
    document = json.loads(canonical_json(stage.plan))
    document["services"][0]["fault"] = experiment(scope="node")
    records = ExecutionActivities(stage.tools, stage.execution.timing)
    new = NewExecution(plan_json=json.dumps(document), workflow_id="evil", run_id="9")
    run = Caller(workflow_type=WorkflowType.RESILIENCE_TEST, workflow_id="evil", run_id="9")
    with pytest.raises(ApplicationError) as raised:
        await called_by(run).run(records.create, new)
    assert (raised.value.type, raised.value.non_retryable) == (ErrorCode.VALIDATION_ERROR, True)
    valid = new.model_copy(update={"plan_json": canonical_json(stage.plan)})
    for caller in (
        Caller(),
        run.model_copy(update={"workflow_type": "Evil"}),
        run.model_copy(update={"run_id": "8"}),
    ):
        await refused(stage, records.create, valid, caller)
    assert [row.run_id for row in await stage.tools.store.executions.newest(9)] == ["1"]


async def test_only_an_executions_own_workflow_makes_and_moves_its_record(stage: Stage) -> None:
    """Whatever its kind. A plan's record is made by `create_execution` alone, which asks more."""
    store = stage.tools.store
    records = ExecutionActivities(stage.tools, stage.execution.timing)
    new = NewRecord(kind="countdown", definition_json='{"countdown": "x", "start": 1}', workflow_id="c", run_id="9")
    own = Caller(workflow_type="Countdown", workflow_id="c", run_id="9")
    await refused(stage, records.create_record, new, own)
    with registered(KIND):
        others = [own.model_copy(update=other) for other in ({"run_id": "8"}, {"workflow_type": "Evil"})]
        for caller in (Caller(), *others):
            await refused(stage, records.create_record, new, caller)
        plan = new.model_copy(update={"kind": "resilience-test", "definition_json": canonical_json(stage.plan)})
        await refused(stage, records.create_record, plan, own.model_copy(update={"workflow_type": "ResilienceTest"}))
        with pytest.raises(ApplicationError, match="start"):
            await called_by(own).run(records.create_record, new.model_copy(update={"definition_json": "{}"}))
        assert [row.run_id for row in await store.executions.newest(9)] == ["1"]
        record: ExecutionRecord = await called_by(own).run(records.create_record, new)
    change = StepChange(execution_id=record.execution_id, step="2")
    for caller in (Caller(), *others[:1]):
        await refused(stage, records.change_step, change, caller)
    assert (await store.executions.row(record.execution_id)).status == ""
    await called_by(own).run(records.change_step, change)
    assert (await store.executions.row(record.execution_id)).status == "2"


async def test_an_order_cannot_choose_the_fault_the_service_or_the_time(stage: Stage) -> None:
    """Names come from the ledger, where they follow from the window's run. Times come from the plan."""
    order = FaultOrder(execution_id=stage.execution.execution_id, service=SERVICE)
    mine = await entitled(stage.tools.store, stage.execution, stage.plan, stage.faults.inject, order)
    for changes in ({"fault_name": "health"}, {"service": "shipping"}):
        await refused(stage, stage.faults.inject, order.model_copy(update=changes), mine)
    await called_by(mine).run(stage.faults.inject, order)
    assert list(stage.lab.state().faults) == [own_fault_name(stage.execution, SERVICE)]
    assert (await stage.do(stage.faults.recover, order.model_copy(
        update={"fault_name": own_fault_name(stage.execution, SERVICE)}
    ))).verified  # fmt: skip


async def test_rules_live_only_as_long_as_the_plan_allows(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten years in the order are not passed on, nor is a service that the plan does not have."""
    rules = RulesActivities(stage.tools)
    given: list[int] = []

    async def noted(_client: ProxyClient, **facts: Any) -> None:
        given.append(facts["ttl_seconds"])

    monkeypatch.setattr(ProxyClient, "upsert_rules", noted)
    for ttl in (315_360_000, 0, -1):
        order = RulesOrder(execution_id=stage.execution.execution_id, services=[SERVICE], ttl_seconds=ttl)
        await stage.do(rules.upsert, order)
    assert len(set(given)) == 1
    assert 0 < given[0] <= timedelta(days=7).total_seconds()
    strange = order.model_copy(update={"services": ["kube-dns"]})
    mine = await entitled(stage.tools.store, stage.execution, stage.plan, rules.upsert, order)
    await refused(stage, rules.upsert, strange, mine)


@pytest.mark.parametrize("share", [LoadShare(lane=0, of=0), LoadShare(lane=0, of=9), LoadShare(lane=-1, of=1)])
async def test_a_batch_takes_no_more_than_its_share(stage: Stage, share: LoadShare) -> None:
    load = LoadActivities(stage.tools)
    order = BatchOrder(execution_id=stage.execution.execution_id, cases=CaseRange(first=0, end=1), share=share)
    mine = await entitled(stage.tools.store, stage.execution, stage.plan, load.measure_batch, order)
    await refused(stage, load.measure_batch, order, mine)
    stranger = mine.model_copy(update={"workflow_id": "load/1/0"})
    await refused(stage, load.measure_batch, order.model_copy(update={"share": None}), stranger)


class Server:
    """A Temporal server where every window has this parent."""

    def __init__(self, parent: tuple[str, str] | None) -> None:
        self.parent = parent

    async def parent_of(self, *_: str) -> tuple[str, str] | None:
        return self.parent


def ledger_of(tools: Toolbox, parent: tuple[str, str] | None = ("w", "1")) -> LedgerActivities:
    return LedgerActivities(tools, cast("RunDirectory", Server(parent)))


async def test_an_intent_is_written_by_its_own_window_and_bounded_by_the_plan(stage: Stage) -> None:
    """A window that claims to stay open until 2058 must close at the plan's time, which the sweeper obeys."""
    row = row_of(WindowKind.FAULT, stage.execution, stage.plan, SERVICE)
    mine = Caller(workflow_type=WorkflowType.FAULT_WINDOW, workflow_id=row.window_id, run_id=row.run_id)
    ledger = ledger_of(stage.tools)
    wrong = [
        {"window_id": f"fault/{stage.execution.execution_id}/shipping"},
        {"run_id": "another"},
        {"kind": WindowKind.RULES},
        {"kind": WindowKind.LOCK},
        {"service": "shipping"},
        {"peer_name": "hf-1-a-00000000-1"},
        {"parent_workflow_id": "evil"},
        {"parent_run_id": "2"},
    ]
    for changes in wrong:
        await refused(stage, ledger.record_intent, row.model_copy(update=changes), mine)
    for caller in (Caller(), mine.model_copy(update={"workflow_type": "Evil"})):
        await refused(stage, ledger.record_intent, row, caller)
    for parent in (None, ("evil", "1"), ("w", "2")):
        await refused(stage, ledger_of(stage.tools, parent).record_intent, row, mine)
    assert await stage.tools.store.ledger.of(row.execution_id) == []
    late = row.model_copy(update={
        "close_by": datetime(2058, 1, 1, tzinfo=UTC), "created_at": datetime(2058, 1, 1, tzinfo=UTC),
        "state": LedgerState.CLOSED,
    })  # fmt: skip
    await called_by(mine).run(ledger.record_intent, late)
    (written,) = await stage.tools.store.ledger.of(row.execution_id)
    assert written.close_by < datetime.now(UTC) + timedelta(hours=2)
    assert written.state is LedgerState.INTENT
    assert written.created_at is not None
    assert written.created_at <= datetime.now(UTC)


async def test_a_row_is_updated_only_by_its_own_window(stage: Stage) -> None:
    """Settled by somebody else, it would be forgotten while something of its window is still active."""
    row = await opened(stage.tools.store, row_of(WindowKind.RULES, stage.execution, stage.plan))
    update = LedgerUpdate(window_id=row.window_id, run_id=row.run_id, state=LedgerState.CLOSED)
    thief = Caller(workflow_type=WorkflowType.RULES_WINDOW, workflow_id=row.window_id, run_id="another")
    for caller in (Caller(), thief):
        await refused(stage, ledger_of(stage.tools).update_ledger, update, caller)
    (found,) = await stage.tools.store.ledger.of(row.execution_id)
    assert found.state is LedgerState.OPEN


@pytest.mark.parametrize("name", ["", "blade-0123456789ab", "hf-1-reviews-00000000-1", "health", "../admin"])
async def test_faults_of_others_are_not_deleted(stage: Stage, name: str) -> None:
    """Closing needs no permit, but it deletes only our own faults."""
    order = FaultOrder(execution_id=stage.execution.execution_id, service=SERVICE, fault_name=name)
    mine = await entitled(stage.tools.store, stage.execution, stage.plan, stage.faults.inject, order)
    error = await refused(stage, stage.faults.recover, order, mine)
    assert "is not a fault of execution" in error.message


async def test_a_lock_made_with_other_settings_is_refused(stage: Stage) -> None:
    """Its record was made by a worker that had no name for this fault service."""
    tools = stage.tools
    order = PreflightOrder(execution_id=stage.execution.execution_id)
    preflight = LockActivities(tools, cast("RunDirectory", None)).preflight
    lock = row_of(WindowKind.LOCK, stage.execution, stage.plan)
    await tools.store.ledger.intent(lock)
    mine = Caller(workflow_type=WorkflowType.ENVIRONMENT_LOCK, workflow_id=lock.window_id, run_id=lock.run_id)
    tools.rails = RAILS.model_copy(update={"environments": {stage.execution.environment: "prod"}})
    with pytest.raises(ApplicationError, match=r"must hold the lock environment/prod/") as raised:
        await called_by(mine).run(preflight, order)
    assert raised.value.type == ErrorCode.OUTSIDE_GUARDRAILS
    assert stage.lab.state().clean


async def test_closing_works_when_nothing_else_is_permitted(stage: Stage) -> None:
    """Halted, outside the rails, without a lock and after the end, everything active is still switched off."""
    order = FaultOrder(execution_id=stage.execution.execution_id, service=SERVICE)
    await stage.do(stage.faults.inject, order)
    await stage.tools.store.halting.halt("a fire", "a test")
    stage.tools.rails = Guardrails(namespaces=[], hosts=[])
    await ended(stage.tools.store, order.execution_id)
    named = order.model_copy(update={"fault_name": own_fault_name(stage.execution, SERVICE)})
    closing = await called_by(Caller()).run(stage.faults.recover, named)
    assert closing.verified
    assert stage.lab.state().clean


async def test_recordings_of_others_are_not_stopped(stage: Stage) -> None:
    """An execution that never intended a recording has none: an active recording is somebody else's."""
    recording = row_of(WindowKind.RECORDING, stage.execution, stage.plan)
    await stage.do(stage.traffic.start, stage.ref)
    second = await stored(stage, stage.plan)
    order = RecordingsOrder(execution_id=second.execution.execution_id)
    closing: Closing = await called_by(Caller()).run(second.traffic.stop, order)
    assert closing.detail == "nothing was recorded: no intent of it is in the ledger"

    async def recorded() -> bool:
        return bool(stage.lab.state().recordings)

    await until(recorded, "recordings")
    mine = RecordingsOrder(execution_id=recording.execution_id)
    assert (await stage.do(stage.traffic.stop, mine)).verified


async def test_a_failed_run_cannot_be_turned_into_a_passed_run(stage: Stage) -> None:
    """Neither by a stranger nor, once it has ended, by the run itself."""
    records = ExecutionActivities(stage.tools, stage.execution.timing)
    run = stage.execution.execution_id
    facts = {"status": RunStatus.COMPLETED, "phase": Phase.DONE, "recovery": Recovery.VERIFIED}
    passed = Ending.model_validate({"execution_id": run, "verdict": Verdict.PASSED} | facts)
    for caller in (Caller(), Caller(workflow_type=WorkflowType.RESILIENCE_TEST, workflow_id="w", run_id="2")):
        await refused(stage, records.finish, passed, caller)
    await ended(stage.tools.store, run)
    before = await stage.tools.store.executions.row(run)
    await called_by(Caller(workflow_type=WorkflowType.RESILIENCE_TEST, workflow_id="w", run_id="1")).run(
        records.finish, passed
    )
    assert await stage.tools.store.executions.row(run) == before


async def test_a_batch_on_an_ended_run_changes_nothing(stage: Stage) -> None:
    load = LoadActivities(stage.tools)
    order = BatchOrder(execution_id=stage.execution.execution_id, cases=CaseRange(first=0, end=1))
    mine = await entitled(stage.tools.store, stage.execution, stage.plan, load.measure_batch, order)
    await ended(stage.tools.store, order.execution_id)
    before = await row_counts(stage.tools.store, order.execution_id)
    await refused(stage, load.measure_batch, order, mine)
    assert await row_counts(stage.tools.store, order.execution_id) == before


def test_every_activity_that_acts_is_tried(stage: Stage) -> None:
    """A new activity belongs in the list above."""
    assert set(acting(stage)) == {name_of(work) for work in offered() if work.duty is Duty.ACTS} == set(ACTING)

"""Closing that a worker gets to only long after its deadline is still done and verified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.clocks import Deadline
from activities.recovery import sweeping
from activities.recovery.orphans import close_orphan
from activities.recovery.sweeping import SweepActivities
from activities.stages.faults import FaultActivities
from activities.stages.rules import RulesActivities
from activities.stages.stability import StabilityActivities
from activities.stages.traffic import TrafficActivities
from activities.toolbox import Toolbox
from clients.load.engine import LoadGenerator
from clients.peers.canary import CanaryClient
from clients.secrets.values import Secrets
from clients.store.engine import writing
from clients.store.store import Store
from clients.temporal.runs import RunDirectory
from domain.executions.execution import Execution
from domain.executions.sweeping import LONGEST_SWEEP, SweepOrder, SweepReport
from domain.executions.windows import Closing, LedgerEntry, StabilityOrder, WindowKind
from domain.faults.driving import FaultIntent
from domain.faults.model import FaultOrder
from domain.measuring.load import RulesOrder
from domain.names import WorkflowType
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution
from domain.timing import Timing, TimingPreset
from domain.traffic.summary import RecordingsOrder
from lab import Lab, PortChoice
from tests.support.activities.permits import opened, own_fault_name, row_of
from tests.support.leaks import checker
from tests.support.leaks.duo import BRISK, LEFT, RIGHT, TOPOLOGY, Duo
from tests.support.leaks.stages import workflows_of
from tests.support.runs.bench import until
from tests.support.store.template import put_database
from worker import running

LATE = timedelta(days=1)


class Stage:
    """A lab and one run in the store, without any workflow."""

    def __init__(self, lab: Lab, tools: Toolbox, plan: Plan, execution: Execution) -> None:
        self.lab, self.tools, self.plan, self.execution = lab, tools, plan, execution

    async def late(self, activity: Any, order: Any) -> Any:
        """Run an activity that was scheduled long ago."""
        environment = ActivityEnvironment()
        now = datetime.now(UTC)
        environment.info = replace(environment.info, attempt=2, scheduled_time=now - LATE, started_time=now)
        return await environment.run(activity, order)

    async def analyze(self) -> None:
        """Request recordings, with their intent in the ledger.

        They come on some time after the answer.
        """
        await opened(self.tools.store, row_of(WindowKind.RECORDING, self.execution, self.plan))
        await self.tools.proxy(self.plan).analyze(
            req_def_id=self.execution.req_def_id,
            namespace="duo",
            services=[LEFT, RIGHT],
            execution_id=self.execution.execution_id,
            duration_seconds=600,
        )

    async def none_left_and_none_to_come(self) -> None:
        log = (await checker.look(self.lab.addresses.admin)).log
        assert [(entry.service, entry.reason) for entry in log] == [
            (LEFT, "stopped by call"),
            (RIGHT, "stopped by call"),
        ]


class Nobody:
    """A server where nobody holds a namespace and every window is over."""

    async def holder(self, _: str) -> None:
        return None

    async def is_running(self, *_: str) -> bool:
        return False

    async def closed_at(self, *_: str) -> datetime:
        """Return a time so long ago that no call is in flight."""
        return datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
async def stage(temporal: Client, tmp_path: Path) -> AsyncIterator[Stage]:
    async with (
        Lab(TOPOLOGY, settings=BRISK.model_copy(update={"initializing": 0.3}), ports=PortChoice.FREE) as lab,
        LoadGenerator() as load,
        CanaryClient() as canary,
    ):
        plan = Plan.model_validate(Duo(temporal, lab, tmp_path).plan())
        store = await Store.open(put_database(tmp_path / "holdfast.db"))
        new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="1")
        execution = await store.executions.create(new, plan, Timing.of(TimingPreset.FAST))
        await store.cases.save_tokens(execution.execution_id, {LEFT: "chaos.left=1", RIGHT: "chaos.right=1"})
        tools = Toolbox(store=store, secrets=Secrets({}), load=load, canary=canary)
        yield Stage(lab, tools, plan, execution)
        await tools.close()


async def test_late_closing_removes_a_fault_and_verifies_that_it_is_gone(stage: Stage) -> None:
    """A single look is not enough for that."""
    intent = FaultIntent(fault=stage.plan.service(LEFT).fault, service=LEFT, namespace="duo")
    name = own_fault_name(stage.execution, LEFT)
    await stage.tools.faults(stage.plan).inject(name, timedelta(minutes=10), intent)
    order = FaultOrder(execution_id=stage.execution.execution_id, service=LEFT, fault_name=name)
    closing = await stage.late(FaultActivities(stage.tools).recover, order)
    assert closing == Closing(verified=True)
    assert stage.lab.state().faults == {}


async def test_late_closing_stops_recordings_and_verifies_that_they_are_off(stage: Stage) -> None:
    await stage.analyze()

    async def recording() -> bool:
        return len(stage.lab.state().recordings) == 2

    await until(recording, "recordings")
    order = RecordingsOrder(execution_id=stage.execution.execution_id)
    assert await stage.late(TrafficActivities(stage.tools).stop, order) == Closing(verified=True)
    assert stage.lab.state().recordings == []


async def test_recordings_that_come_on_after_the_first_look_are_stopped_too(stage: Stage) -> None:
    """The proxy accepts an analysis at once, and switches the recordings on later."""
    await stage.analyze()
    assert stage.lab.state().recordings == []
    order = RecordingsOrder(execution_id=stage.execution.execution_id)
    assert await stage.late(TrafficActivities(stage.tools).stop, order) == Closing(verified=True)
    await stage.none_left_and_none_to_come()


async def test_the_sweeper_also_waits_for_recordings_that_are_still_coming_on(stage: Stage) -> None:
    """The window was terminated while the proxy was still working for it."""
    await stage.analyze()
    row = LedgerEntry(
        window_id="recording/1",
        run_id="1",
        execution_id=stage.execution.execution_id,
        parent_workflow_id="w",
        parent_run_id="1",
        kind=WindowKind.RECORDING,
        close_by=datetime.now(UTC),
    )
    await stage.tools.store.ledger.intent(row)
    end = Deadline.after(timedelta(seconds=30))

    async def swept(_: None) -> Closing:
        return await close_orphan(
            stage.tools, cast("RunDirectory", Nobody()), row, end, "a test", clock=lambda: datetime.now(UTC)
        )

    assert await ActivityEnvironment().run(swept, None) == Closing(verified=True)
    await stage.none_left_and_none_to_come()


@pytest.mark.parametrize(
    "damage", ["kind = 'invented', window_id = 'nothing legible', peer_name = ''", "close_by = 'x'"]
)
async def test_the_sweeper_closes_the_other_rows_beside_a_damaged_row(stage: Stage, damage: str) -> None:
    """The oldest row is swept first, and that is the damaged one. It is closed too if its names are legible."""
    store, tools = stage.tools.store, stage.tools
    left = [row_of(WindowKind.FAULT, stage.execution, stage.plan, service) for service in (LEFT, RIGHT)]
    for row in left:
        await store.ledger.intent(row)
        fault = stage.plan.service(row.service).fault
        intent = FaultIntent(fault=fault, service=row.service, namespace="duo")
        await tools.faults(stage.plan).inject(row.peer_name, timedelta(minutes=10), intent)
    async with writing(store.engine) as work:
        await work.execute(text(f"UPDATE ledger SET {damage} WHERE service = '{LEFT}'"))  # noqa: S608 - ours
    report = await stage.late(SweepActivities(tools, cast("RunDirectory", Nobody())).sweep, SweepOrder())
    assert left[1].window_id in report.closed
    still_on = set(stage.lab.state().faults)
    assert left[1].peer_name not in still_on
    if "close_by" in damage:
        assert (left[0].window_id in report.closed, still_on) == (True, set())
    else:
        assert (len(report.failed), still_on) == (1, {left[0].peer_name})


async def _sweep_abandoned_faults(stage: Stage, number: int) -> SweepReport:
    for window in range(number):
        row = row_of(WindowKind.FAULT, stage.execution, stage.plan, LEFT, f"0190aaaa-0000-7000-8000-{window:012x}")
        await opened(stage.tools.store, row)
    activities = SweepActivities(stage.tools, cast("RunDirectory", Nobody()))
    return await ActivityEnvironment().run(activities.sweep, SweepOrder())


async def test_rows_of_a_dead_peer_do_not_use_up_a_sweep(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row takes long when its peer does not answer, and other rows do not wait for it."""
    together = asyncio.Barrier(4)
    closed: list[WindowKind] = []

    async def close_slowly(_: Toolbox, __: RunDirectory, row: LedgerEntry, *___: Any, **____: Any) -> Closing:
        if row.kind is not WindowKind.LOCK:
            await together.wait()
        closed.append(row.kind)
        return Closing(verified=True)

    monkeypatch.setattr(sweeping, "close_orphan", close_slowly)
    await opened(stage.tools.store, row_of(WindowKind.LOCK, stage.execution, stage.plan))
    report = await _sweep_abandoned_faults(stage, 8)
    assert (len(report.closed), report.failed) == (9, [])
    # Closing a lock records whether its run's windows are closed.
    assert closed == [WindowKind.FAULT] * 8 + [WindowKind.LOCK]


async def test_a_window_that_never_closes_keeps_no_lock_from_being_closed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close(_: Toolbox, __: RunDirectory, row: LedgerEntry, *___: Any, **____: Any) -> Closing:
        if row.kind is not WindowKind.LOCK:
            await asyncio.Event().wait()
        return Closing(verified=True)

    monkeypatch.setattr(sweeping, "close_orphan", close)
    monkeypatch.setattr(sweeping, "ROW_LIMIT", timedelta(milliseconds=100))
    await opened(stage.tools.store, row_of(WindowKind.LOCK, stage.execution, stage.plan))
    report = await _sweep_abandoned_faults(stage, 2)
    assert (len(report.closed), len(report.failed)) == (1, 2)


async def test_no_row_always_comes_first(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise rows that can never be closed would always use up the time of the same others."""
    order: list[str] = []

    async def fail(_: Toolbox, __: RunDirectory, row: LedgerEntry, *___: Any, **____: Any) -> Closing:
        order.append(row.run_id)
        return Closing(verified=False)

    monkeypatch.setattr(sweeping, "close_orphan", fail)
    await _sweep_abandoned_faults(stage, 30)
    await _sweep_abandoned_faults(stage, 30)
    assert set(order[:30]) == set(order[30:])
    assert order[:30] != order[30:]


def test_a_sweep_has_time_for_all_that_it_begins() -> None:
    """The last window leaves time for locks, and the last lock is done before the sweep's time is over."""
    assert sweeping.WINDOWS_UNTIL + sweeping.ROW_LIMIT < sweeping.LOCKS_UNTIL
    assert sweeping.LOCKS_UNTIL + sweeping.ROW_LIMIT <= LONGEST_SWEEP


async def test_rows_that_a_sweep_has_no_time_for_are_left_to_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "WINDOWS_UNTIL", timedelta(0))
    report = await _sweep_abandoned_faults(stage, 2)
    assert (report.closed, report.failed) == ([], [])
    assert len(await stage.tools.store.ledger.unsettled()) == 2


async def test_late_closing_removes_rules_and_verifies_that_none_acts(stage: Stage) -> None:
    order = RulesOrder(execution_id=stage.execution.execution_id, services=[LEFT, RIGHT], ttl_seconds=600)
    closing = await stage.late(RulesActivities(stage.tools).remove, order)
    assert closing == Closing(verified=True)


async def test_a_late_stability_check_still_finds_the_services_stable(stage: Stage) -> None:
    """This takes several good answers."""
    order = StabilityOrder(execution_id=stage.execution.execution_id, services=[LEFT, RIGHT])
    report = await stage.late(StabilityActivities(stage.tools).await_stability, order)
    assert report.unstable == []


async def test_no_closing_activity_has_a_schedule_to_close_timeout(temporal: Client, tmp_path: Path) -> None:
    """A limit on all attempts together would expire before a worker is back."""
    async with Lab(TOPOLOGY, settings=BRISK, ports=PortChoice.FREE) as lab, Duo(temporal, lab, tmp_path) as bench:
        async with running(temporal, bench.settings):
            run = await bench.start()
            await run.result()
            await bench.lock_ended(run)
        limits: dict[str, dict[str, timedelta]] = {}
        async for kind, window in workflows_of(temporal, run):
            # Keep the last activity of each name: those at the beginning may have a limit.
            async for event in window.fetch_history_events():
                scheduled = event.activity_task_scheduled_event_attributes
                if scheduled.activity_id:
                    limit = scheduled.schedule_to_close_timeout.ToTimedelta()
                    limits.setdefault(kind, {})[scheduled.activity_type.name] = limit
    closing = {
        WorkflowType.RECORDING_WINDOW: ["stop_recordings", "await_stability", "update_ledger"],
        WorkflowType.FAULT_WINDOW: ["recover_fault", "await_stability", "update_ledger"],
        WorkflowType.RULES_WINDOW: ["remove_rules", "await_stability", "update_ledger"],
        WorkflowType.ENVIRONMENT_LOCK: ["await_windows_settled", "verify_environment", "finish_from_server"],
    }
    limited = {name for kind, names in closing.items() for name in names if limits[kind][name]}
    assert limited == set()

"""How long the steady state is checked: activities as the worker runs them, with made-up peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities.run.lock import LockActivities
from activities.stages.steady import SteadyActivities
from activities.toolbox import Toolbox
from clients.secrets.values import Secrets
from clients.store.store import Store
from domain.executions.execution import Execution, ExecutionRef
from domain.executions.permit_facts import Caller
from domain.executions.windows import LedgerEntry, WindowKind
from domain.measuring.steady_report import SteadyMoment, SteadyOrder
from domain.names import WorkflowType
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution
from domain.timing import Timing, TimingPreset
from domain.traffic.exchange import RequestSample
from tests.support.activities.permits import called_by, opened, row_of
from tests.support.plans.builders import good
from tests.support.runs.bench import RAILS
from tests.support.store.template import put_database


class Peers:
    """Peers at which nothing is active."""

    async def check(self, **_: str) -> Any:
        class Nothing:
            recording = False

        return Nothing

    async def names(self, _: str) -> list[str]:
        return []


class Answers:
    """The system's answers to the plan's request: one status after the other, then the last one for ever."""

    def __init__(self, *statuses: int, takes: float = 0) -> None:
        self._left = list(statuses)
        self._takes = takes

    async def send_and_read(self, *_: object) -> tuple[RequestSample, str]:
        await asyncio.sleep(self._takes)
        status = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return RequestSample(latency_us=1, status=status), ""


class Tools(Toolbox):
    """A toolbox with made-up peers."""

    def proxy(self, plan: Plan) -> Any:
        return Peers()

    def faults(self, plan: Plan) -> Any:
        return Peers()


Begin = Callable[..., Any]


@pytest.fixture
async def begin(tmp_path: Path) -> Any:
    """Return a function that stores a run which has touched something. It gives the run and its activities' toolbox."""
    stores = []

    async def stored(answers: Answers, **plan: Any) -> tuple[Tools, Execution]:
        store = await Store.open(put_database(tmp_path / "holdfast.db"))
        stores.append(store)
        parsed = Plan.model_validate(good() | {"steady_state": {"requests": 2}} | plan)
        new = NewExecution(plan_json=canonical_json(parsed), workflow_id="w", run_id="1")
        execution = await store.executions.create(new, parsed, Timing.of(TimingPreset.FAST))
        await store.ledger.intent(
            LedgerEntry(
                window_id="rules/1",
                run_id="1",
                execution_id=execution.execution_id,
                parent_workflow_id="w",
                parent_run_id="1",
                kind=WindowKind.RULES,
                close_by=datetime.now(UTC),
            )
        )
        nobody = cast("Any", None)
        await opened(store, row_of(WindowKind.LOCK, execution, parsed))
        return Tools(store, Secrets({}), cast("Any", answers), nobody, RAILS), execution

    yield stored
    for store in stores:
        await store.close()


async def scheduled(tools: Tools, execution: Execution, ago: timedelta) -> ActivityEnvironment:
    """Return the environment of an activity that the run's lock scheduled this long ago."""
    lock = row_of(WindowKind.LOCK, execution, await tools.store.executions.plan(execution.execution_id))
    caller = Caller(workflow_type=WorkflowType.ENVIRONMENT_LOCK, workflow_id=lock.window_id, run_id=lock.run_id)
    now = datetime.now(UTC)
    return called_by(caller, scheduled_time=now - ago, started_time=now)


async def test_the_lock_waits_for_the_steady_state_however_late_the_peers_were(begin: Begin) -> None:
    """Checking that nothing is active may take its whole time; the system then still has its own."""
    tools, execution = await begin(Answers(503, 503, 503, 200), timeouts={"stability": "1m"})
    lock = LockActivities(tools, cast("Any", None))
    late = await scheduled(tools, execution, timedelta(seconds=61))
    closing = await late.run(lock.verify, ExecutionRef(execution_id=execution.execution_id))
    assert closing.verified, closing.detail


async def test_the_lock_gives_up_on_a_system_that_stays_unhealthy(begin: Begin) -> None:
    """It reports what it saw last."""
    tools, execution = await begin(Answers(503), timeouts={"stability": "1m"})
    lock = LockActivities(tools, cast("Any", None))
    over = await scheduled(tools, execution, timedelta(minutes=3))
    closing = await over.run(lock.verify, ExecutionRef(execution_id=execution.execution_id))
    assert not closing.verified
    assert closing.detail == "nothing is on, but the steady state is not met: status 503 (2 of 2); the limit is 0%"


async def test_requests_that_exceed_the_stability_timeout_are_reported_with_its_name(begin: Begin) -> None:
    """Each request may be as slow as the plan lets it, but all of them together have `timeouts.stability`."""
    tools, execution = await begin(Answers(200, takes=30), timeouts={"stability": "1ms"})
    order = SteadyOrder(execution_id=execution.execution_id, moment=SteadyMoment.BEFORE)
    run = Caller(workflow_type=WorkflowType.RESILIENCE_TEST, workflow_id="w", run_id="1")
    report = await called_by(run).run(SteadyActivities(tools).check, order)
    assert (report.met, report.detail) == (False, "0 of 2 answers within timeouts.stability, 1ms")

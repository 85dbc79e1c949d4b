"""An analysis whose beginning nobody answered: found again while the proxy remembers the call, begun anew later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.toolbox import Toolbox
from activities.traffic import TrafficActivities
from cli.pointing import point_at
from clients.canary import CanaryClient
from clients.load import LoadGenerator
from clients.plan_files import read_plan_file
from clients.secrets import Secrets
from clients.store.store import Store
from lab import Lab, LabSettings, PortChoice, load_topology
from lab.journal import Kind, LogEntry
from tests.cli.terminal import ROOT
from tests.e2e.bench import until
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import Execution, ExecutionRef, NewExecution
from workflows.contracts.plan import Plan
from workflows.contracts.timing import Timing, TimingPreset
from workflows.contracts.traffic import AnalysisStarted
from workflows.logic.canonical import canonical_json

TIMING = Timing.of(TimingPreset.FAST)


class Stage:
    """A shop whose proxy remembers a call shorter than the run's timing says, as it must; one run in the store."""

    def __init__(self, lab: Lab, tools: Toolbox, plan: Plan, execution: Execution) -> None:
        self.lab, self.tools, self.plan, self.execution = lab, tools, plan, execution
        self.activities = TrafficActivities(tools)

    async def start(self, *, attempt: int, age: timedelta) -> AnalysisStarted:
        """The activity, as if it had been scheduled so long ago."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt, scheduled_time=datetime.now(UTC) - age)
        return await environment.run(self.activities.start, ExecutionRef(execution_id=self.execution.execution_id))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    settings = LabSettings(rollout=0.05, dedupe_seconds=3)
    topology = load_topology(ROOT / "examples" / "shop-topology.yaml")
    async with (
        Lab(topology, settings=settings, ports=PortChoice.FREE) as lab,
        LoadGenerator() as load,
        CanaryClient() as canary,
    ):
        plan = Plan.model_validate(point_at(read_plan_file(ROOT / "examples" / "shop.yaml"), lab.addresses))
        store = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/holdfast.db")
        new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="1")
        execution = await store.create_execution(new, plan, TIMING)
        tools = Toolbox(store=store, secrets=Secrets({}), load=load, canary=canary)
        yield Stage(lab, tools, plan, execution)
        await tools.close()


async def recordings(lab: Lab) -> list[LogEntry]:
    """Everything that the lab has recorded, from when to when."""
    async with httpx.AsyncClient(trust_env=False) as client:
        log = (await client.get(f"{lab.addresses.admin}/lab/log")).json()
    return [entry for entry in map(LogEntry.model_validate, log) if entry.kind is Kind.RECORDING]


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
    first = await stage.start(attempt=1, age=timedelta(0))
    again = await stage.start(attempt=2, age=timedelta(seconds=1))
    assert again.task_id == first.task_id
    assert len(await until_recording(stage)) == len(stage.plan.services)


async def test_later_the_first_one_is_stopped_before_a_second_begins(stage: Stage) -> None:
    """Never two analyses side by side: what the first one had switched on is off before the second one's comes on."""
    first = await stage.start(attempt=1, age=timedelta(0))
    await until_recording(stage)
    again = await stage.start(attempt=2, age=TIMING.analyze_dedupe)
    assert again.task_id != first.task_id
    log = await until_recording(stage)
    ended = [entry.off_at.monotonic for entry in log if entry.off_at is not None]
    began = [entry.on_at.monotonic for entry in log if entry.off_at is None]
    assert len(ended) == len(began) == len(stage.plan.services)
    assert max(ended) < min(began)


async def test_when_no_time_is_left_to_begin_again_it_is_given_up(stage: Stage) -> None:
    """And nothing is asked of the proxy."""
    with pytest.raises(ApplicationError) as raised:
        await stage.start(attempt=3, age=TIMING.analyze_dedupe * 2.5)
    assert raised.value.type == ErrorCode.ANALYZE_FAILED
    assert await recordings(stage.lab) == []

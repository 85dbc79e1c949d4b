"""The stage that activities are tried on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.toolbox import Toolbox
from cli.pointing import point_at
from clients.canary import CanaryClient
from clients.load.engine import LoadGenerator
from clients.plan_files import read_plan_file
from clients.secrets import Secrets
from clients.store.store import Store
from lab import Lab, LabSettings, PortChoice, load_topology
from tests.activities.stage import TIMING, Stage
from tests.cli.terminal import ROOT
from tests.e2e.bench import RAILS
from workflows.contracts.execution import NewExecution
from workflows.contracts.plan import Plan
from workflows.logic.canonical import canonical_json


@pytest.fixture
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A shop whose proxy remembers a call shorter than the run's timing says, as it must; one run in the store.

    A test's parameter, where it has one, is the plan's `timeouts`.
    """
    settings = LabSettings(
        rollout=0.05, dedupe_seconds=3, fault_start=0.05, fault_stop=0.05, execute_wait=0.01, collect=60
    )
    topology = load_topology(ROOT / "examples" / "shop-topology.yaml")
    async with (
        Lab(topology, settings=settings, ports=PortChoice.FREE) as lab,
        LoadGenerator() as load,
        CanaryClient() as canary,
    ):
        document = point_at(read_plan_file(ROOT / "examples" / "shop.yaml"), lab.addresses)
        plan = Plan.model_validate(document | {"timeouts": getattr(request, "param", {})})
        store = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/holdfast.db")
        new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="1")
        execution = await store.create_execution(new, plan, TIMING)
        tools = Toolbox(store=store, secrets=Secrets({}), load=load, canary=canary, rails=RAILS)
        yield Stage(lab, tools, plan, execution)
        await tools.close()

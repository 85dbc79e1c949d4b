"""The stage on which activities are tested."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.toolbox import Toolbox
from cli.demo.lab_addresses import with_lab_addresses
from clients.load.engine import LoadGenerator
from clients.peers.canary import CanaryClient
from clients.plans.files import read_plan_file
from clients.secrets.values import Secrets
from clients.store.store import Store
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution
from lab import Lab, LabSettings, PortChoice, load_topology
from tests.support.activities.stage import TIMING, Stage
from tests.support.paths import ROOT
from tests.support.runs.bench import RAILS
from tests.support.store.template import put_database


@pytest.fixture
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Yield a shop, a store with one run, and the tools of activities.

    The proxy remembers a call for less time than the run's timing assumes, as it must. A test's parameter, if any, is
    the plan's `timeouts`.
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
        document = with_lab_addresses(read_plan_file(ROOT / "examples" / "shop.yaml"), lab.addresses)
        plan = Plan.model_validate(document | {"timeouts": getattr(request, "param", {})})
        store = await Store.open(put_database(tmp_path / "holdfast.db"))
        new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="1")
        execution = await store.executions.create(new, plan, TIMING)
        tools = Toolbox(store=store, secrets=Secrets({}), load=load, canary=canary, rails=RAILS)
        yield Stage(lab, tools, plan, execution)
        await tools.close()

"""Bodies of any size stay in the store, so Temporal's histories do not grow with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from temporalio.client import Client

from lab import Lab, PortChoice, Topology
from tests.support.leaks.stages import workflows_of
from tests.support.paths import ROOT
from tests.support.runs.bench import Bench
from tests.support.runs.fixtures import QUICK
from worker import running

LARGE = "x" * 500_000
LARGEST_EVENT = 16_384


@pytest.mark.exhaustive
async def test_large_bodies_are_in_no_history(temporal: Client, tmp_path: Path) -> None:
    """Services answer with half a megabyte each, recorded, replayed and measured. The store has the bodies in full."""
    topology = yaml.safe_load((ROOT / "examples" / "shop-topology.yaml").read_text())
    for service in topology["services"]:
        for route in service["routes"]:
            route["body"] = {"large": LARGE}
    async with Lab(Topology.model_validate(topology), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        async with running(temporal, bench.settings), bench:
            handle = await bench.start(bench.small_plan())
            summary = await handle.result()
            await bench.lock_ended(handle)
            assert summary.cases.measured == 4
            (recorded,) = await bench.store.traffic.exchanges(summary.execution_id, "reviews")
            assert LARGE in recorded.response_body
            workflows = [handle, *[child async for _, child in workflows_of(temporal, handle)]]
            assert len(workflows) == 8  # the run, its lock, two recordings, two faults, rules, a page
            for workflow in workflows:
                events = (await workflow.fetch_history()).events
                assert max(event.ByteSize() for event in events) < LARGEST_EVENT, workflow.id

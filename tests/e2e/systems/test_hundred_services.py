"""A run with a hundred services and 4,951 cases, from beginning to end, and what it leaves in Temporal."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from benchmarks.support.weighing import LARGEST_PAYLOAD, MOST_EVENTS, history_weights
from domain.executions.execution import Recovery
from domain.names import WorkflowType
from lab import Lab, PortChoice
from lab.generated.generate import generate_topology
from lab.generated.graphs import Shape
from lab.generated.plan_for import plan_for
from tests.support.runs.bench import Bench
from tests.support.runs.fixtures import QUICK

SERVICES = 99
"""Services that fail; the entry is the hundredth."""

LONGEST_HISTORY = MOST_EVENTS // 2
"""Most events of any workflow of this run.

Ten times as many services must still fit (`benchmarks/b4_*.py` tries those).
"""


@pytest.mark.exhaustive
@pytest.mark.timeout(3 * 60 * 60)
async def test_a_hundred_services_are_tested_within_the_limits_of_temporal(temporal: Client, tmp_path: Path) -> None:
    """Two load workers measure every case, nothing stays on, and histories and payloads keep their bounds."""
    # In a tree a request reaches each service once; with layers it would be thousands of calls.
    topology, _ = generate_topology(Shape.TREE, SERVICES + 1, seed=5, weaknesses=0)
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        plan = plan_for(topology, lab.addresses) | {"name": bench.name}
        plan["services"] = [{"name": service["name"], "fault": "error"} for service in plan["services"]]
        plan["load"] = {"requests": 1, "concurrency": 4, "batches_at_once": 4}
        plan["slo"] = {"error_rate": "1%"}
        async with bench:
            await bench.worker(only="control")
            for _ in range(2):
                await bench.worker(only="load", HOLDFAST_LOAD_AT_ONCE="2")
            run = await bench.start(plan)
            summary = await run.result()
            await bench.lock_ended(run)
            results = await bench.store.results.all(summary.execution_id)
            weights = [weight async for weight in history_weights(temporal, run)]
        assert lab.state().clean
    assert summary.cases.measured == len(results) == 1 + SERVICES + SERVICES * (SERVICES - 1) // 2
    assert summary.recovery is Recovery.VERIFIED
    assert {WorkflowType.RULES_WINDOW, WorkflowType.LOAD_PAGE} < {workflow.kind for workflow in weights}
    assert max(weight.events for weight in weights) < LONGEST_HISTORY
    assert max(weight.largest_payload for weight in weights) < LARGEST_PAYLOAD // 10

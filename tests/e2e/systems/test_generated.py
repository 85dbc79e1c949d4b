"""A generated system and its plan, as `holdfast lab --generate` writes them: the run finds the planted weaknesses."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from temporalio.client import Client

from domain.executions.execution import Recovery, Verdict
from lab import Lab, PortChoice
from lab.generated.generate import generate_topology
from lab.generated.graphs import Shape
from lab.generated.plan_for import plan_for
from tests.support.runs.bench import Bench, unhurried
from tests.support.runs.fixtures import QUICK
from worker import running


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.parametrize("shape", [Shape.LAYERED, Shape.CHAIN])
async def test_a_run_finds_exactly_the_planted_weaknesses(temporal: Client, tmp_path: Path, shape: Shape) -> None:
    """Every failing case was planted, every planted case fails, and nothing is left on."""
    hasty, planted = generate_topology(shape, 13, seed=7)
    topology = unhurried(hasty)
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        plan = plan_for(topology, lab.addresses) | {"name": bench.name}
        async with running(temporal, bench.settings), bench:
            summary = await bench.run(plan)
            results = await bench.store.results.all(summary.execution_id)
        assert lab.state().clean
    cases = {case for weakness in planted for case in weakness.cases}
    fatal = {case[0] for case in cases if len(case) == 1}
    pairs = combinations([service.name for service in topology.services[1:]], 2)
    assert planted
    assert {result.case_id for result in results if result.verdict is Verdict.FAILED} == {
        *("+".join(case) for case in cases),
        *("+".join(pair) for pair in pairs if fatal & {*pair}),
    }
    assert summary.cases.measured == len(results) == 1 + 12 + 66
    assert summary.recovery is Recovery.VERIFIED

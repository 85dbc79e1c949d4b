"""A removed service refuses connections although its calls are recorded, because its sidecar goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from domain.calls.model import FoundBy
from domain.executions.execution import Verdict
from lab import Lab, LabSettings, PortChoice, Topology
from lab.generated.plan_for import plan_for
from tests.support.runs.bench import Bench
from worker import running

SYSTEM = Topology.model_validate(
    {
        "namespace": "refused",
        "entry": "page",
        "services": [
            {
                "name": "page",
                "routes": [{"path": "/api/page", "body": {"page": 1}}],
                "calls": [
                    {
                        "service": "prices",
                        "path": "/api/prices/1",
                        "fallback_service": "catalog",
                        "fallback_path": "/api/listprices/1",
                        "fallback_on": "no_answer",
                    },
                    {"service": "catalog", "path": "/api/items/1", "fallback": {"items": []}},
                ],
            },
            {
                "name": "catalog",
                "routes": [
                    {"path": "/api/items/1", "body": {"items": [1]}},
                    {"path": "/api/listprices/1", "body": {"price": 2}},
                ],
            },
            {"name": "prices", "routes": [{"path": "/api/prices/1", "body": {"price": 1}}]},
        ],
    }
)
"""The page falls back without an answer, but not on an error status."""

QUICK = LabSettings(rollout=0.1, fault_start=0.1, fault_stop=0.1, execute_wait=0.02, collect_every=0.05)


@pytest.mark.exhaustive
async def test_a_removed_service_refuses_connections_while_it_is_recorded(temporal: Client, tmp_path: Path) -> None:
    """Its rule has to answer 503, which the page does not take for a refused connection, so the real answers count.

    A sidecar that stayed would answer 503 as well, and real faults would agree with the rule.
    """
    async with (
        Lab(SYSTEM, settings=QUICK, ports=PortChoice.FREE) as lab,
        Bench(temporal, lab, tmp_path) as bench,
        running(temporal, bench.settings),
    ):
        plan = plan_for(SYSTEM, lab.addresses) | {"name": bench.name, "slo": {"error_rate": "1%"}}
        plan["services"] = [{"name": name, "fault": "remove"} for name in ("catalog", "prices")]
        summary = await bench.run(plan)
        results = {result.case_id: result for result in await bench.store.results.all(summary.execution_id)}
        calls = await bench.store.calls.all(summary.execution_id)
        real = {case.case_index: case.answers for case in await bench.store.calls.real_cases(summary.execution_id)}
        assert lab.state().clean
    assert {answer.status for answer in real[2]} == {200}
    assert [(call.case_index, call.service, call.path) for call in calls] == [(2, "catalog", "/api/listprices/1")]
    assert (results["prices"].verdict, results["prices"].found_by) == (Verdict.PASSED, FoundBy.REAL_FAULTS)
    assert results["catalog+prices"].verdict is Verdict.FAILED

"""A worker's guardrails hold whatever a plan declares."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure
from domain.executions.outcome import ExitCode, code_for
from tests.support.runs.bench import Bench


async def test_a_plan_cannot_widen_the_workers_guardrails(idle_bench: Bench) -> None:
    """It is refused before anything is asked or stored, with every problem and the setting that would allow it."""
    bench = idle_bench
    allows = {"HOLDFAST_ALLOWED_HOSTS": "elsewhere.test", "HOLDFAST_LONGEST_FAULT": "1m"}
    await bench.worker(HOLDFAST_ALLOWED_NAMESPACES="books", **allows)
    handle = await bench.start(bench.small_plan("reviews"))
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    failure = RunFailure.model_validate(raised.value.cause.details[0])
    assert (failure.code, failure.recovery) == (ErrorCode.OUTSIDE_GUARDRAILS, Recovery.NOT_NEEDED)
    assert code_for(failure.code) is ExitCode.INVALID
    found = [problem.path for problem in failure.problems]
    assert found[:3] == ["system.namespace", "system.proxy", "system.faults"]
    assert found[-2:] == ["request.url", "safety.fault_ttl"]
    assert "HOLDFAST_ALLOWED_HOSTS" in failure.message
    assert await bench.store.executions.newest(1) == []
    assert bench.lab.state().clean
    log = (bench.folder / "worker.log").read_text()
    assert "namespaces books; hosts elsewhere.test, never localhost:" in log
    assert "; at most 1 fault at once, none longer than 1m; at most 10000/s, " in log

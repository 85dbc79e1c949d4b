"""Every exit code of `holdfast run`: from a real process and a real run, beside its outcome and its JUnit XML.

A pipeline sees nothing else of a run. `tests/unit/cli/test_cli_exit_codes.py` has the codes of all other endings.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from xml.etree import ElementTree as Xml

import pytest

from domain.executions.outcome import ExitCode
from domain.resilience.kind import KIND
from domain.resilience.model import Phase
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.runs.bench import FAILING_PAIR, Bench, unseen
from tests.support.runs.endings import LONG_LOAD
from tests.support.runs.hand import Said, holdfast
from tests.support.runs.steady import break_for_good

ERRORS_ONLY = {"error_rate": "1%"}
"""An SLO without a latency. Both services may be missing, because the page loads without them."""


class Ended(NamedTuple):
    """What a pipeline sees of a run."""

    said: Said
    outcome: dict[str, Any]
    failures: set[str]
    """Names of the test cases that failed."""


def command(bench: Bench, plan: dict[str, Any]) -> asyncio.Task[Said]:
    """Start `holdfast run`, which will write its outcome and its test cases."""
    path = bench.write_input(plan)
    return asyncio.create_task(
        holdfast(bench, "run", str(path), "--yes", "--json", "outcome.json", "--junit", "junit.xml")
    )


async def ended(bench: Bench, running: asyncio.Task[Said]) -> Ended:
    result = await running
    outcome = json.loads((bench.folder / "outcome.json").read_text())
    assert outcome["exit_code"] == result.code, result
    root = Xml.parse(bench.folder / "junit.xml").getroot()  # noqa: S314 - of our own making
    failures = {case.get("name", "") for case in root.iter("testcase") if case.find("failure") is not None}
    # The file alone must not show a broken run as green, nor a sound run as broken.
    assert bool(failures) is (result.code != ExitCode.PASSED), failures
    return Ended(result, outcome, failures)


async def test_0_means_the_run_passed(bench: Bench) -> None:
    """Every case meets the plan's SLO."""
    found = await ended(bench, command(bench, bench.small_plan(slo=ERRORS_ONLY)))
    assert found.said.code == ExitCode.PASSED, found


async def test_1_means_a_case_misses_the_slo(bench: Bench) -> None:
    """The page has nothing left to show without both, so the pair is the only failure."""
    found = await ended(bench, command(bench, bench.small_plan(*FAILING_PAIR)))
    assert (found.said.code, found.failures) == (ExitCode.VERDICT_FAILED, {"+".join(FAILING_PAIR)}), found


async def test_2_means_the_plan_is_invalid(bench: Bench) -> None:
    """The output names the path. Nothing is started, and no file is left that looks like a run's."""
    result = await command(bench, bench.small_plan(slo={"p96": "1s"}))
    assert (result.code, "slo.p96" in result.err) == (ExitCode.INVALID, True), result
    assert not [run async for run in bench.temporal.list_workflows(f'WorkflowId = "{KIND.workflow_id(bench.name)}"')]
    assert not (bench.folder / "junit.xml").exists()


async def test_3_means_the_run_failed(bench: Bench) -> None:
    """A peer reports success and does nothing."""
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.UPSERT, action=Action.LIE)]))
    found = await ended(bench, command(bench, bench.small_plan(timeouts={"rules_ready": "1s"})))
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.RUN_FAILED, "verified"), found
    assert "the run comes to a verdict" in found.failures


async def test_4_means_the_run_was_stopped(bench: Bench) -> None:
    """The system was unhealthy before the run."""
    found = await ended(bench, command(bench, bench.small_plan(steady_state={"body_contains": "no such words"})))
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.STOPPED, "verified"), found
    assert found.outcome["failure"]["code"] == "STEADY_STATE_NOT_MET"


@pytest.mark.exhaustive
async def test_5_means_something_may_still_be_on(bench: Bench) -> None:
    """This code takes precedence over the verdict, which failed as well."""
    async with going_on(bench, load={"requests": 60, "concurrency": 1}, timeouts={"stability": "3s"}) as running:
        await break_for_good(bench)
        found = await ended(bench, running)
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.RECOVERY_UNVERIFIED, "unverified"), found
    assert found.outcome["summary"]["verdict"] == "failed"
    assert "everything is off again" in found.failures


@pytest.mark.exhaustive
async def test_6_means_too_little_was_measured(bench: Bench) -> None:
    """Nothing was recorded of one of two services."""
    bench.lab.misbehave(unseen("reviews"))
    found = await ended(bench, command(bench, bench.small_plan(slo=ERRORS_ONLY)))
    assert (found.said.code, found.failures) == (ExitCode.INCONCLUSIVE, {"the run comes to a verdict"}), found


@pytest.mark.exhaustive
async def test_7_means_the_namespace_is_taken(bench: Bench) -> None:
    """A different run holds it, and goes on untouched."""
    holder = await bench.start(bench.small_plan(load=LONG_LOAD), workflow_id=f"other/{bench.name}")
    await bench.until_phase(holder, Phase.LOAD_TEST_BASELINE)
    found = await ended(bench, command(bench, bench.small_plan()))
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.REFUSED, "not_needed"), found
    assert f"other/{bench.name}" in found.said.err + found.said.out
    state = await bench.status(holder)
    assert state is not None
    assert state.finished_at is None
    await holder.cancel()
    await bench.lock_ended(holder)


@pytest.mark.exhaustive
async def test_130_means_the_run_was_cancelled(bench: Bench) -> None:
    """Somebody else cancels it. The command that follows the run ends when everything is off."""
    async with going_on(bench, load=LONG_LOAD) as running:
        assert (await holdfast(bench, "cancel", bench.name)).code == ExitCode.PASSED
        found = await ended(bench, running)
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.CANCELLED, "verified"), found
    assert bench.lab.state().clean


@asynccontextmanager
async def going_on(bench: Bench, **plan: Any) -> AsyncIterator[asyncio.Task[Said]]:
    """Run a command, and yield it while its run measures cases."""
    running = command(bench, bench.small_plan(**plan))
    try:
        run = bench.temporal.get_workflow_handle(KIND.workflow_id(bench.name))
        await bench.until_phase(run, Phase.LOAD_TEST_BASELINE)
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

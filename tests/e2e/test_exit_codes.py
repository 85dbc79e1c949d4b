"""Every exit code of `holdfast run`: by a real process, of a real run, beside what its outcome and its JUnit XML say.

Pipelines know nothing else of a run. What the numbers are for any other end, `tests/cli/test_cli_exit_codes.py` tells.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from xml.etree import ElementTree as Xml

from cli.exit_codes import ExitCode
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.e2e.bench import Bench, unseen
from tests.e2e.hand import Said, holdfast
from tests.e2e.test_endings import LONG_LOAD
from tests.e2e.test_steady_state import break_for_good
from workflows.contracts.execution import Phase
from workflows.names import run_workflow_id

ERRORS_ONLY = {"error_rate": "1%"}
"""Both services may be missing: the page comes without them."""


class Ended(NamedTuple):
    """What a pipeline has of a run."""

    said: Said
    outcome: dict[str, Any]
    failures: set[str]
    """Names of the testcases that failed."""


def command(bench: Bench, plan: dict[str, Any]) -> asyncio.Task[Said]:
    """`holdfast run`, under way, that will leave its outcome and its testcases."""
    path = bench.write_input(plan)
    return asyncio.create_task(
        holdfast(bench, "run", str(path), "--yes", "--json", "outcome.json", "--junit", "junit.xml")
    )


async def ended(bench: Bench, running: asyncio.Task[Said]) -> Ended:
    said = await running
    outcome = json.loads((bench.folder / "outcome.json").read_text())
    assert outcome["exit_code"] == said.code, said
    root = Xml.parse(bench.folder / "junit.xml").getroot()  # noqa: S314 - of our own making
    failures = {case.get("name", "") for case in root.iter("testcase") if case.find("failure") is not None}
    # Whoever looks at the file alone sees no broken run as green, and no sound one as broken.
    assert bool(failures) is (said.code != ExitCode.PASSED), failures
    return Ended(said, outcome, failures)


async def test_0_passed(bench: Bench) -> None:
    """Every case meets what the plan asks for."""
    found = await ended(bench, command(bench, bench.small_plan(slo=ERRORS_ONLY)))
    assert found.said.code == ExitCode.PASSED, found


async def test_1_a_case_misses_the_slo(bench: Bench) -> None:
    """Two retries are too slow; the pair alone is what failed."""
    found = await ended(bench, command(bench, bench.small_plan()))
    assert (found.said.code, found.failures) == (ExitCode.VERDICT_FAILED, {"reviews+shipping"}), found


async def test_2_a_plan_that_is_none(bench: Bench) -> None:
    """The place is named, nothing is started, and no file is left that looks like one of a run."""
    said = await command(bench, bench.small_plan(slo={"p96": "1s"}))
    assert (said.code, "slo.p96" in said.err) == (ExitCode.INVALID, True), said
    assert not [one async for one in bench.temporal.list_workflows(f'WorkflowId = "{run_workflow_id(bench.name)}"')]
    assert not (bench.folder / "junit.xml").exists()


async def test_3_the_run_fails(bench: Bench) -> None:
    """A peer says yes, and does nothing."""
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.UPSERT, action=Action.LIE)]))
    found = await ended(bench, command(bench, bench.small_plan(timeouts={"rules_ready": "1s"})))
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.RUN_FAILED, "verified"), found
    assert "the run comes to a verdict" in found.failures


async def test_4_the_run_is_stopped(bench: Bench) -> None:
    """The system was ill before."""
    found = await ended(bench, command(bench, bench.small_plan(steady_state={"body_contains": "no such words"})))
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.STOPPED, "verified"), found
    assert found.outcome["failure"]["code"] == "STEADY_STATE_NOT_MET"


async def test_5_something_may_still_be_on(bench: Bench) -> None:
    """Wins over the verdict, which failed as well."""
    async with going_on(bench, load={"requests": 60, "concurrency": 1}, timeouts={"stability": "3s"}) as running:
        await break_for_good(bench)
        found = await ended(bench, running)
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.RECOVERY_UNVERIFIED, "unverified"), found
    assert found.outcome["summary"]["verdict"] == "failed"
    assert "everything is off again" in found.failures


async def test_6_too_little_was_measured(bench: Bench) -> None:
    """Nothing was recorded of one of two services."""
    bench.lab.misbehave(unseen("reviews"))
    found = await ended(bench, command(bench, bench.small_plan(slo=ERRORS_ONLY)))
    assert (found.said.code, found.failures) == (ExitCode.INCONCLUSIVE, {"the run comes to a verdict"}), found


async def test_7_the_namespace_is_taken(bench: Bench) -> None:
    """By another run, which goes on untouched."""
    other = await bench.start(bench.small_plan(load=LONG_LOAD), workflow_id=f"other/{bench.name}")
    await bench.until_phase(other, Phase.LOAD_TEST_BASELINE)
    found = await ended(bench, command(bench, bench.small_plan()))
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.REFUSED, "not_needed"), found
    assert f"other/{bench.name}" in found.said.err + found.said.out
    state = await bench.status(other)
    assert state is not None
    assert state.finished_at is None
    await other.cancel()
    await bench.lock_ended(other)


async def test_130_the_run_is_cancelled(bench: Bench) -> None:
    """By somebody else: whoever follows it is told so, when everything is off."""
    async with going_on(bench, load=LONG_LOAD) as running:
        assert (await holdfast(bench, "cancel", bench.name)).code == ExitCode.PASSED
        found = await ended(bench, running)
    assert (found.said.code, found.outcome["recovery"]) == (ExitCode.CANCELLED, "verified"), found
    assert bench.lab.state().clean


@asynccontextmanager
async def going_on(bench: Bench, **plan: Any) -> AsyncIterator[asyncio.Task[Said]]:
    """A command whose run measures its cases."""
    running = command(bench, bench.small_plan(**plan))
    try:
        run = bench.temporal.get_workflow_handle(run_workflow_id(bench.name))
        await bench.until_phase(run, Phase.LOAD_TEST_BASELINE)
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

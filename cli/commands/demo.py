"""`holdfast demo`: one real run from start to end.

Server, worker and lab are real processes, and all of them are ended afterwards.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
import yaml

from cli.console import clear_errors, say, survives_lost_output
from cli.demo.bench import Stage, next_folder, set_up
from cli.demo.lab_addresses import with_lab_addresses
from cli.following import announce, follow
from cli.lab_topologies import ROOT
from cli.plans import valid_document
from cli.report_files import ReportFiles
from cli.results import show_outcome
from cli.run_report import write_or_explain
from clients.http.bounded_json import parse
from clients.http.control import LARGEST_ANSWER
from clients.http.reader import Limits, NoAnswerError, fetch
from clients.plans.files import read_plan_file
from domain.errors import ErrorCode, HoldfastError
from domain.executions.outcome import ExitCode, RunOutcome
from domain.executions.start_options import StartOptions
from domain.names import TASK_QUEUE
from lab import LabState
from operations.definitions import PlanFile
from operations.processes.interrupts import Interrupts
from operations.runs.follow import Detached
from operations.runs.start import start
from reports.forms.registry import HTML

PLAN = ROOT / "examples" / "shop.yaml"

RUN_PATIENCE = 240.0
"""Seconds before the run is cancelled. It takes about 20."""

RECOVERY_PATIENCE = 60.0
"""Seconds for the recovery after that.

Then the demo ends anyway, and with it the lab and everything switched on in it.
"""


@click.command()
@click.option("--keep", is_flag=True, help="Leave server, worker and lab up until Ctrl-C, for looking around.")
@clear_errors
@survives_lost_output
def demo(*, keep: bool) -> None:
    """Break a small shop and see which pairs of failures hurt it.

    The demo starts a Temporal server, a worker and the shop, breaks the shop service by service, shows which pairs of
    failures take it down, and shuts everything down again.

    Exit code 0 means that the run completed, whatever its verdict, and that nothing is left switched on.
    """
    raise SystemExit(asyncio.run(_demo(keep=keep)))


@dataclass(frozen=True)
class _DemoResult:
    """What came of the run. Without an outcome, the operator detached."""

    outcome: RunOutcome | None
    clean: bool

    @property
    def exit_code(self) -> ExitCode:
        """The demo's exit code.

        Whatever its verdict, a completed run is a success of the demo. Everything else is a failure.
        """
        if self.outcome is None:
            return ExitCode.CANCELLED
        if not self.clean:
            return ExitCode.RECOVERY_UNVERIFIED
        completed = self.outcome.summary and self.outcome.exit_code is not ExitCode.RECOVERY_UNVERIFIED
        return ExitCode.PASSED if completed else self.outcome.exit_code


async def _demo(*, keep: bool) -> ExitCode:
    clock = asyncio.get_running_loop().time
    began = clock()
    with Interrupts() as interrupts:
        async with AsyncExitStack() as stack:
            say("starting the Temporal server, the shop with its proxy and fault service, and a worker ...")
            stage = await interrupts.during(set_up(stack, next_folder(Path(".holdfast") / "demo")))
            say(f"everything is up after {clock() - began:.0f} s")
            say()
            result = await stage.while_children_run(_run_plan(stage, interrupts))
            if result.outcome is not None:
                _say_where_next(stage, keep=keep)
                if keep:
                    await stage.while_children_run(interrupts.next())
            say("shutting down ...")
    say(f"done after {clock() - began:.0f} s")
    return result.exit_code


async def _run_plan(stage: Stage, interrupts: Interrupts) -> _DemoResult:
    """Run the plan as `holdfast run` does, but with a time limit."""
    file = _plan_for(stage)
    say(file.summary())
    handle = await start(stage.client, file, StartOptions(), interrupts, say, queue=TASK_QUEUE)
    announce(stage.client, handle, stage.ui)
    loop = asyncio.get_running_loop()
    # The first limit cancels the run, and the second one detaches from it.
    limits = [loop.call_later(after, interrupts.push) for after in (RUN_PATIENCE, RUN_PATIENCE + RECOVERY_PATIENCE)]
    try:
        outcome = await follow(stage.client, handle, interrupts, TASK_QUEUE)
    except Detached:
        say("stopped waiting: the shop ends now, and every fault in it")
        return _DemoResult(outcome=None, clean=False)
    finally:
        for limit in limits:
            limit.cancel()
    await show_outcome(outcome, stage.database_url)
    await write_or_explain(ReportFiles({HTML: stage.report}), file, outcome, stage.database_url)
    return _DemoResult(outcome=outcome, clean=await _look_at_lab(stage))


def _plan_for(stage: Stage) -> PlanFile:
    """Point the example's plan at the lab, and keep it for reuse."""
    document: Any = with_lab_addresses(read_plan_file(PLAN), stage.lab)
    stage.plan.write_text(yaml.safe_dump(document, sort_keys=False))
    return cast("PlanFile", valid_document(document, str(PLAN)))


async def _look_at_lab(stage: Stage) -> bool:
    """Ask the lab itself, not our own records, whether everything is off."""
    try:
        answer = await fetch("GET", f"{stage.lab.admin}/lab/state", Limits(seconds=10, body=LARGEST_ANSWER))
        state = LabState.model_validate(parse(answer.text))
    except (NoAnswerError, ValueError) as error:
        message = f"the lab does not answer: {type(error).__name__}"
        raise HoldfastError(ErrorCode.PEER_UNREACHABLE, message, hint=f"see {stage.folder}/lab.log") from error
    on = f"{len(state.faults)} faults, {len(state.rules)} rules, {len(state.recordings)} recordings"
    healthy = sum(service.ready for service in state.services.values())
    say(f"the shop itself reports: {on} on; {healthy} of {len(state.services)} services healthy")
    return state.clean


def _say_where_next(stage: Stage, *, keep: bool) -> None:
    say()
    say("where to look next")
    if stage.report.is_file():
        say(f"  report    {stage.report}   open it in a browser")
    say(f"  results   {stage.database} (tables test_result, test_cases, task_execution_log ...)")
    say(f"  logs      {stage.folder}")
    store = f"HOLDFAST_DATABASE_URL={stage.database_url}"
    if not keep:
        say("  commands  . .venv/bin/activate")
        say(f"            export {store}")
        say("            holdfast report shop      in words; `holdfast list`, `logs shop`, `status shop` as well")
        say(f"  history   holdfast server --database {stage.history}   brings this run's Web UI back")
        say("  Web UI    `make demo KEEP=1` leaves everything up, for looking around")
        say("  your own  `holdfast init` writes a plan; docs/tutorial.md goes on from there")
        return
    say(f"  Web UI    {stage.ui}/namespaces/default/workflows")
    say("  in another terminal")
    say("            . .venv/bin/activate")
    say(f"            export TEMPORAL_ADDRESS={stage.address} {store}")
    say(f"            holdfast run {stage.plan}")
    say("            holdfast report shop      or status, list, logs, faults, compare")
    say(f"            curl {stage.lab.admin}/lab/state")
    say("server, worker and lab stay up: Ctrl-C ends them")

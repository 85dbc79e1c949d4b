"""`holdfast demo`: server, worker and lab as real processes, one real run, and everything down again."""

from __future__ import annotations

import asyncio
import copy
import os
import time
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import httpx

from cli.console import clear_errors, say
from cli.exit_codes import ExitCode, RunOutcome
from cli.following import start
from cli.plans import valid_document
from cli.processes import Child
from cli.results import show_outcome
from cli.run import follow
from cli.serving import ROOT, until_told_to_stop
from clients.plan_files import read_plan_file
from clients.temporal import connect, has_pollers
from lab import LabAddresses, LabState
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.execution import IfBusy
from workflows.names import TASK_QUEUE

PLAN = ROOT / "examples" / "shop.yaml"
START_PATIENCE = 30.0
"""Seconds for each of server, worker and lab to come up."""


def point_at(document: Any, addresses: LabAddresses) -> Any:
    """The plan with every address replaced by where the lab really is; nothing else is changed."""
    pointed = copy.deepcopy(document)
    system = pointed["system"]
    origins = {url: addresses.services[name] for name, url in system["services"].items()}
    system |= {"proxy": addresses.proxy, "faults": addresses.faults}
    system["services"] = {name: addresses.services[name] for name in system["services"]}
    url = pointed["request"]["url"]
    for origin, real in origins.items():
        if url == origin or url.startswith(f"{origin}/"):
            pointed["request"]["url"] = real + url.removeprefix(origin)
    return pointed


@click.command()
@click.option("--keep", is_flag=True, help="Leave server, worker and lab up until Ctrl-C, for looking around.")
@clear_errors
def demo(*, keep: bool) -> None:
    """Break a small shop service by service and see which pair of failures takes it down."""
    raise SystemExit(asyncio.run(_demo(keep=keep)))


class _Stage:
    """Everything that the demo has started."""

    def __init__(self, folder: Path, server: dict[str, Any], addresses: LabAddresses) -> None:
        self.folder = folder
        self.ui = server["ui"]
        self.address = server["address"]
        self.lab = addresses
        self.database = f"sqlite+aiosqlite:///{folder / 'holdfast.db'}"


async def _demo(*, keep: bool) -> int:
    folder = (Path(".holdfast") / "demo" / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        stage = await _set_up(stack, folder)
        say(f"everything is up after {time.monotonic() - started:.0f} s")
        say()
        outcome = await _play(stage)
        clean = await _look_at_lab(stage)
        _where_next(stage, keep=keep)
        if keep and outcome is not None:
            await until_told_to_stop()
        say("shutting down ...")
    say(f"done after {time.monotonic() - started:.0f} s")
    if outcome is None:
        return ExitCode.CANCELLED
    if not clean:
        return ExitCode.RECOVERY_UNVERIFIED
    return ExitCode.PASSED if outcome.summary else outcome.exit_code


async def _set_up(stack: AsyncExitStack, folder: Path) -> _Stage:
    """Start all three, the server and the lab side by side; they end in the opposite order."""
    database = str(folder / "temporal.db")
    say("starting the Temporal server, the shop with its proxy and fault service, and a worker ...")
    server = await _start(stack, "server", "server", "--json", "--database", database, folder=folder)
    shop = await _start(stack, "lab", "lab", "--json", folder=folder)
    server_says, lab_says = await asyncio.gather(server.ready(START_PATIENCE), shop.ready(START_PATIENCE))
    stage = _Stage(folder, server_says, LabAddresses.model_validate(lab_says))
    for moved in server_says["moved"]:
        say(f"  {moved}")
    os.environ["TEMPORAL_ADDRESS"] = stage.address
    environment = {
        "HOLDFAST_DATABASE_URL": stage.database,
        "HOLDFAST_TIMING": "fast",
        "HOLDFAST_TASK_QUEUE": TASK_QUEUE,
    }
    worker = await _start(stack, "worker", "worker", folder=folder, environment=environment)
    await _until_polling(worker)
    say(f"  Temporal {stage.address}, Web UI {stage.ui}")
    say(f"  shop     {stage.lab.entry}/api/home, proxy {stage.lab.proxy}, fault service {stage.lab.faults}")
    return stage


async def _start(stack: AsyncExitStack, name: str, *arguments: str, folder: Path, **more: Any) -> Child:
    child = await Child.start(name, *arguments, folder=folder, **more)
    stack.push_async_callback(child.stop)
    return child


async def _until_polling(worker: Child) -> None:
    client = await connect()
    end = time.monotonic() + START_PATIENCE
    while not await has_pollers(client, TASK_QUEUE):
        if worker.ended or time.monotonic() > end:
            raise worker.failed("did not start")
        await asyncio.sleep(0.1)


async def _play(stage: _Stage) -> RunOutcome | None:
    """The run itself, exactly as `holdfast run` does it."""
    document = point_at(read_plan_file(PLAN), stage.lab)
    file = valid_document(document, str(PLAN))
    os.environ["HOLDFAST_TASK_QUEUE"] = TASK_QUEUE
    client = await connect()
    say(file.summary())
    handle = await start(client, file.plan, document, IfBusy.REFUSE)
    say(f"started {handle.id}, run {handle.first_execution_run_id}")
    outcome = await follow(client, handle)
    if outcome is not None:
        await show_outcome(outcome, stage.database)
    return outcome


async def _look_at_lab(stage: _Stage) -> bool:
    """Ask the lab itself, not our own records, whether anything is still on."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            answer = await client.get(f"{stage.lab.admin}/lab/state")
        state = LabState.model_validate({**answer.json()})
    except httpx.HTTPError as error:
        raise HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the lab does not answer: {type(error).__name__}") from error
    on = f"{len(state.faults)} faults, {len(state.rules)} rules, {len(state.recordings)} recordings"
    healthy = sum(service.ready for service in state.services.values())
    say(f"the shop itself says: {on} on; {healthy} of {len(state.services)} services healthy")
    return state.clean


def _where_next(stage: _Stage, *, keep: bool) -> None:
    say()
    say("where to look next")
    say(f"  results   {stage.folder / 'holdfast.db'} (tables test_result, test_cases, task_execution_log ...)")
    say(f"  logs      {stage.folder}")
    if keep:
        say(f"  Web UI    {stage.ui}/namespaces/default/workflows")
        say(f"  again     TEMPORAL_ADDRESS={stage.address} holdfast run examples/shop.yaml")
        say("server, worker and lab stay up: Ctrl-C ends them")
    else:
        say(f"  Web UI    `make demo KEEP=1` leaves it up; this run's was {stage.ui}")
        say("  your own  examples/minimal.yaml, then `holdfast validate` and `holdfast run`")

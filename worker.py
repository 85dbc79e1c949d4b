"""The composition root: settings -> clients -> activities -> workers. Run it with `holdfast worker`.

Two workers in one process: control on `holdfast`, load on `holdfast-load`. Any number of processes may run; they are
stateless, everything lives in Temporal and in the store.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.executions import ExecutionActivities
from activities.faults import FaultActivities
from activities.judging import JudgingActivities
from activities.ledger import LedgerActivities
from activities.load import LoadActivities
from activities.lock import LockActivities
from activities.rules import RulesActivities
from activities.stability import StabilityActivities
from activities.steady import SteadyActivities
from activities.stopping import StopActivities
from activities.sweeping import SweepActivities
from activities.toolbox import Toolbox, opened_toolbox
from activities.traffic import TrafficActivities
from clients.runs import RunDirectory
from clients.schedules import ensure_sweeper
from clients.settings import Settings
from clients.store.store import Store
from clients.temporal import connect_patiently, ensure_search_attributes
from workflows.contracts.errors import HoldfastError
from workflows.contracts.guardrails import Guardrails
from workflows.contracts.timing import Timing
from workflows.logic.guardrails import described
from workflows.names import load_queue
from workflows.resilience_test import ResilienceTest
from workflows.sweeper import Sweeper
from workflows.windows.fault import FaultWindow
from workflows.windows.load_page import LoadPage
from workflows.windows.lock import EnvironmentLock
from workflows.windows.recording import RecordingWindow
from workflows.windows.rules import RulesWindow

WORKFLOWS: list[type] = [
    ResilienceTest,
    EnvironmentLock,
    RecordingWindow,
    FaultWindow,
    RulesWindow,
    LoadPage,
    Sweeper,
]

PASSED_THROUGH = (
    "workflows.contracts",
    "workflows.logic",
    "workflows.names",
    "workflows.policies",
    "activities",
    "clients",
)
"""Modules that the sandbox does not import again for every workflow: types, pure decisions and constants of ours, and
what workflows only name (activities and their clients). The workflows themselves are imported in the sandbox, so that
it guards them. Without this list a workflow takes hundreds of milliseconds to prepare, and so does every replay
(`benchmarks/workflow_prepare.py`).
"""

SERVER_PATIENCE = timedelta(seconds=60)
"""For the Temporal server to come up: machines, compose files and people start both at once, in any order."""

logger = logging.getLogger("holdfast.worker")

Activity = Callable[..., Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Activities:
    """All activities, by the queue they run on."""

    control: list[Activity]
    load: list[Activity]


def build_activities(
    tools: Toolbox, client: Client, timing: Timing, rails: Guardrails, *, search_attributes: bool
) -> Activities:
    """Give every activity the clients that it acts through."""
    runs = RunDirectory(client)
    executions = ExecutionActivities(tools, timing, rails, search_attributes=search_attributes)
    faults, rules, traffic = FaultActivities(tools), RulesActivities(tools), TrafficActivities(tools)
    ledger, lock, load = LedgerActivities(tools), LockActivities(tools, runs), LoadActivities(tools)
    return Activities(
        control=[
            executions.create,
            executions.change_phase,
            executions.finish,
            executions.generate_cases,
            JudgingActivities(tools).judge,
            ledger.record_intent,
            ledger.update_ledger,
            lock.describe_holder,
            lock.await_free,
            lock.await_run_ended,
            lock.preflight,
            lock.await_settled,
            lock.verify,
            lock.finish_from_server,
            traffic.start,
            traffic.await_patterns,
            traffic.stop,
            faults.inject,
            faults.await_running,
            faults.replay,
            faults.recover,
            rules.upsert,
            rules.await_registered,
            rules.await_acting,
            rules.remove,
            StabilityActivities(tools).await_stability,
            SteadyActivities(tools).check,
            StopActivities(tools).watch,
            SweepActivities(tools, runs).sweep,
            load.exclude,
        ],
        load=[load.measure_batch],
    )


@contextmanager
def kept_bytecode() -> Iterator[None]:
    """Let Python keep compiled workflow modules, somewhere private, where the environment says not to write any.

    Container images often set PYTHONDONTWRITEBYTECODE. The sandbox imports the workflows' modules anew for every run,
    and would compile them each time: three times the cost of starting a workflow (`benchmarks/workflow_prepare.py`).
    """
    if not sys.dont_write_bytecode:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-bytecode-", ignore_cleanup_errors=True) as folder:
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False
        try:
            yield
        finally:
            sys.pycache_prefix, sys.dont_write_bytecode = None, True


def sandbox() -> SandboxedWorkflowRunner:
    """The runner of all workflows."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


@asynccontextmanager
async def running(client: Client, settings: Settings) -> AsyncIterator[None]:
    """Both workers, running inside the block."""
    timing = settings.intervals
    search_attributes = await ensure_search_attributes(client)
    rails = settings.guardrails(client.service_client.config.target_host)
    async with opened_toolbox(await Store.open(settings.database_url), os.environ) as tools:
        activities = build_activities(tools, client, timing, rails, search_attributes=search_attributes)
        # Cancels reach an activity with its heartbeats, so these must not be throttled to the default of 30 s.
        beat = min(timedelta(seconds=1), timing.heartbeat_timeout / 10)
        control = Worker(
            client,
            task_queue=settings.task_queue,
            workflows=WORKFLOWS,
            activities=activities.control,
            workflow_runner=sandbox(),
            max_heartbeat_throttle_interval=beat,
            default_heartbeat_throttle_interval=beat,
        )
        load = Worker(
            client,
            task_queue=load_queue(settings.task_queue),
            activities=activities.load,
            max_heartbeat_throttle_interval=beat,
            default_heartbeat_throttle_interval=beat,
        )
        async with control, load:
            if settings.sweeper:
                await ensure_sweeper(client, settings.task_queue, timing.sweep_every)
            logger.info("%s", described(rails))
            yield


async def interruptible(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """The result of some work, or None when `stop` was set before it was done."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() and not doing.done() else await doing
    finally:
        doing.cancel()
        stopping.cancel()


async def serve() -> None:
    """Run until SIGINT or SIGTERM."""
    settings = Settings.from_environment(os.environ)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    client = await interruptible(connect_patiently(SERVER_PATIENCE), stop)
    if client is None:
        return
    async with running(client, settings):
        logger.info("worker ready on queues %s and %s", settings.task_queue, load_queue(settings.task_queue))
        await stop.wait()
    logger.info("worker stopped")


def main() -> int:
    """Entry point; 3 when the worker could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with kept_bytecode():
            asyncio.run(serve())
    except HoldfastError as error:
        logger.error("%s", error)  # noqa: TRY400 - one sentence and a hint, never a traceback
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

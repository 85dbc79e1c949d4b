"""The composition root: settings -> clients -> activities -> workers. Run it with `holdfast worker`.

Two workers: control on `holdfast`, load on `holdfast-load`, in a process of its own so that measuring never delays what
puts back. Any number of either may run; they are stateless, everything lives in Temporal and in the store.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.calls import CallActivities
from activities.capturing_calls import CaptureActivities
from activities.executions import ExecutionActivities
from activities.faults import FaultActivities
from activities.judging import JudgingActivities
from activities.ledger import LedgerActivities
from activities.load import LoadActivities
from activities.lock import LockActivities
from activities.pairs import PairActivities
from activities.rules import RulesActivities
from activities.stability import StabilityActivities
from activities.steady import SteadyActivities
from activities.stopping import StopActivities
from activities.sweeping import SweepActivities
from activities.toolbox import Toolbox, opened_toolbox
from activities.traffic import TrafficActivities
from clients.doors import shut
from clients.payloads import without_references
from clients.runs import RunDirectory
from clients.schedules import ensure_sweeper
from clients.settings import Settings
from clients.store.store import Store
from clients.temporal import ensure_search_attributes
from workflows.contracts.timing import Timing
from workflows.intake import GuardedRunner
from workflows.logic.guardrails import described
from workflows.names import load_queue
from workflows.resilience_test import ResilienceTest
from workflows.sweeper import Sweeper
from workflows.windows.calls import CallsWindow
from workflows.windows.fault import FaultWindow
from workflows.windows.load_page import LoadPage
from workflows.windows.lock import EnvironmentLock
from workflows.windows.pairs import PairsWindow
from workflows.windows.recording import RecordingWindow
from workflows.windows.rules import RulesWindow

WORKFLOWS: list[type] = [
    ResilienceTest,
    EnvironmentLock,
    RecordingWindow,
    CallsWindow,
    FaultWindow,
    RulesWindow,
    LoadPage,
    PairsWindow,
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

logger = logging.getLogger("holdfast.worker")

Activity = Callable[..., Any]


class Part(StrEnum):
    """What a worker serves."""

    CONTROL = "control"
    """Workflows and their short activities."""
    LOAD = "load"
    """Batches of the load test."""


EVERYTHING = tuple(Part)


@dataclass(frozen=True)
class Activities:
    """All activities, by the queue they run on."""

    control: list[Activity]
    load: list[Activity]


def build_activities(tools: Toolbox, client: Client, timing: Timing, *, search_attributes: bool) -> Activities:
    """Give every activity the clients that it acts through, and the rails that it acts within."""
    runs = RunDirectory(client)
    executions = ExecutionActivities(tools, timing, search_attributes=search_attributes)
    faults, rules, traffic = FaultActivities(tools), RulesActivities(tools), TrafficActivities(tools)
    pairs, calls = PairActivities(tools), CallActivities(tools)
    ledger, lock, load = LedgerActivities(tools, runs), LockActivities(tools, runs), LoadActivities(tools)
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
            lock.describe_others,
            lock.await_others,
            lock.await_run_ended,
            lock.preflight,
            lock.await_settled,
            lock.verify,
            lock.finish_from_server,
            traffic.start,
            traffic.await_patterns,
            traffic.stop,
            calls.start,
            calls.send_healthy,
            calls.read,
            faults.inject,
            faults.await_running,
            faults.replay,
            faults.recover,
            CaptureActivities(tools).capture,
            rules.upsert,
            rules.await_registered,
            rules.await_acting,
            rules.remove,
            StabilityActivities(tools).await_stability,
            SteadyActivities(tools).check,
            StopActivities(tools).watch,
            SweepActivities(tools, runs).sweep,
            load.exclude,
            pairs.choose,
            pairs.unchecked,
            pairs.conclude,
        ],
        load=[load.measure_batch, pairs.compare, calls.ask_broken],
    )


def sandbox() -> WorkflowRunner:
    """The runner of all workflows: in the sandbox, behind the door that refuses what they cannot take."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return GuardedRunner(SandboxedWorkflowRunner(restrictions=restrictions))


@asynccontextmanager
async def running(client: Client, settings: Settings, parts: Collection[Part] = EVERYTHING) -> AsyncIterator[None]:
    """The workers of these parts, running in this process inside the block."""
    timing = settings.intervals
    controls = Part.CONTROL in parts
    search_attributes = controls and await ensure_search_attributes(client)
    rails = settings.guardrails(client.service_client.config.target_host)
    async with (
        opened_toolbox(await Store.open(settings.database_url), os.environ, rails) as tools,
        AsyncExitStack() as stack,
    ):
        await stack.enter_async_context(shut(rails.closed_to))
        activities = build_activities(tools, client, timing, search_attributes=search_attributes)
        if controls:
            await stack.enter_async_context(_control(client, settings, activities))
        if Part.LOAD in parts:
            await stack.enter_async_context(_load(client, settings, activities))
        if controls:
            if settings.sweeper:
                await ensure_sweeper(client, settings.task_queue, timing.sweep_every)
            logger.info("%s", described(rails))
        yield


def _control(client: Client, settings: Settings, activities: Activities) -> Worker:
    beat = _beat(settings)
    return Worker(
        without_references(client),
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities.control,
        workflow_runner=sandbox(),
        max_heartbeat_throttle_interval=beat,
        default_heartbeat_throttle_interval=beat,
    )


def _load(client: Client, settings: Settings, activities: Activities) -> Worker:
    beat = _beat(settings)
    return Worker(
        without_references(client),
        task_queue=load_queue(settings.task_queue),
        activities=activities.load,
        max_concurrent_activities=settings.load_at_once,
        max_heartbeat_throttle_interval=beat,
        default_heartbeat_throttle_interval=beat,
    )


def _beat(settings: Settings) -> timedelta:
    """Cancels reach an activity with its heartbeats, so these must not be throttled to the default of 30 s."""
    return min(timedelta(seconds=1), settings.intervals.heartbeat_timeout / 10)


if __name__ == "__main__":
    from cli.working import main

    sys.exit(main())

"""The composition root: settings -> clients -> activities -> workers.

Run it with `holdfast worker`. There are two workers: control on the queue `holdfast`, and load on `holdfast-load`. Load
has a process of its own, so that measuring never delays recovery. Any number of either may run. They are stateless:
all state is in Temporal and in the store.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.load.batches import LoadActivities
from activities.recovery.sweeping import SweepActivities
from activities.run.executions import ExecutionActivities
from activities.run.judging import JudgingActivities
from activities.run.ledger import LedgerActivities
from activities.run.lock import LockActivities
from activities.run.stop_conditions import StopActivities
from activities.stages.calls import CallActivities
from activities.stages.capturing_calls import CaptureActivities
from activities.stages.faults import FaultActivities
from activities.stages.pairs import PairActivities
from activities.stages.rules import RulesActivities
from activities.stages.stability import StabilityActivities
from activities.stages.steady import SteadyActivities
from activities.stages.traffic import TrafficActivities
from activities.standing import standing
from activities.toolbox import Toolbox, opened_toolbox
from clients.http.doors import shut
from clients.local.notes import Kind, addresses_of
from clients.settings import Settings
from clients.store.store import Store
from clients.telemetry.listening import HEALTH, listen_address
from clients.telemetry.metrics import Metrics
from clients.telemetry.tracing import current_spans
from clients.temporal.connection import ensure_search_attributes, require_polling
from clients.temporal.payloads import without_references
from clients.temporal.runs import RunDirectory
from clients.temporal.schedules import ensure_sweeper
from domain.guardrails.check import described
from domain.names import load_queue
from domain.timing import Timing
from workflows.execution.intake import GuardedRunner
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
    "domain",
    "workflows.policies",
    "activities",
    "clients",
    "opentelemetry",
)
"""Modules that the sandbox does not import again for every workflow.

These are our types, pure decisions and constants, what workflows only name (activities and their clients), and traces.
The workflows themselves are imported in the sandbox, so that it guards them. Without this list, preparing a workflow
takes hundreds of milliseconds, and so does every replay (`benchmarks/workflow_prepare.py`).
"""

logger = logging.getLogger("holdfast.worker")

Activity = Callable[..., Any]


class Part(StrEnum):
    """The kind of work that a worker takes."""

    CONTROL = "control"
    """Workflows and their short activities."""
    LOAD = "load"
    """Activities that send many requests: batches, pairs, and requests under real faults."""


EVERYTHING = tuple(Part)


@dataclass(frozen=True)
class Activities:
    """All activities, by the part of the worker that runs them."""

    control: list[Activity]
    load: list[Activity]


def build_activities(
    tools: Toolbox, client: Client, timing: Timing, *, search_attributes: Collection[str] = ()
) -> Activities:
    """Build all activities, with their clients and the worker's guardrails."""
    runs = RunDirectory(client)
    executions = ExecutionActivities(tools, timing, search_attributes=search_attributes)
    faults, rules, traffic = FaultActivities(tools), RulesActivities(tools), TrafficActivities(tools)
    pairs, calls = PairActivities(tools), CallActivities(tools)
    ledger, lock, load = LedgerActivities(tools, runs), LockActivities(tools, runs), LoadActivities(tools)
    return Activities(
        control=[
            executions.create,
            executions.create_record,
            executions.change_step,
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
    """Return the runner of all workflows.

    It runs them in the sandbox, behind the guard that refuses input they cannot take.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return GuardedRunner(SandboxedWorkflowRunner(restrictions=restrictions))


@asynccontextmanager
async def running(client: Client, settings: Settings, parts: Collection[Part] = EVERYTHING) -> AsyncIterator[None]:
    """Run the workers of these parts in this process, inside the block."""
    timing = settings.intervals
    controls = Part.CONTROL in parts
    search_attributes = await ensure_search_attributes(client) if controls else ()
    rails = settings.guardrails(client.service_client.config.target_host)
    async with (
        opened_toolbox(await Store.open(settings.database_url), os.environ, rails, timing) as tools,
        AsyncExitStack() as stack,
    ):
        await stack.enter_async_context(shut(rails.never, lambda: addresses_of(Kind.SERVER)))
        tools.store.log_lines_too()
        if spans := current_spans():
            spans.keep_out(tools.secrets.redact)
        metrics = Metrics(Runtime.default().metric_meter)
        if metrics.counts:
            tools.count(metrics)
            if controls:
                await stack.enter_async_context(standing(tools, timing))
        activities = build_activities(tools, client, timing, search_attributes=search_attributes)
        if controls:
            await stack.enter_async_context(_control(client, settings, activities))
        if Part.LOAD in parts:
            await stack.enter_async_context(_load(client, settings, activities))
        if controls:
            if settings.sweeper:
                await ensure_sweeper(client, settings.task_queue, timing.sweep_every)
            logger.info("%s", described(rails))
        if address := listen_address(os.environ, HEALTH):
            # Its web server takes as long to import as the rest of a quick start, and few want it.
            from clients.telemetry.health import answering  # noqa: PLC0415

            await stack.enter_async_context(answering(address, _checks(client, settings, tools, parts)))
        yield


def _checks(
    client: Client, settings: Settings, tools: Toolbox, parts: Collection[Part]
) -> dict[str, Callable[[], Awaitable[None]]]:
    """What must hold for this worker to be ready."""
    activities = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    queues = {Part.CONTROL: settings.task_queue, Part.LOAD: load_queue(settings.task_queue)}

    async def store() -> None:
        await tools.store.executions.kinds_under_way()

    polling = {f"queue {queues[part]}": partial(require_polling, client, queues[part], activities) for part in parts}
    return {"store": store, **polling}


def _control(client: Client, settings: Settings, activities: Activities) -> Worker:
    beat = _beat(settings)
    return Worker(
        without_references(client),
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities.control,
        workflow_runner=sandbox(),
        max_concurrent_activities=settings.activities_at_once,
        max_concurrent_workflow_tasks=settings.workflows_at_once,
        max_cached_workflows=settings.cached_workflows,
        max_heartbeat_throttle_interval=beat,
        default_heartbeat_throttle_interval=beat,
        graceful_shutdown_timeout=settings.grace,
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
        graceful_shutdown_timeout=settings.grace,
    )


def _beat(settings: Settings) -> timedelta:
    # A cancel reaches an activity only with a heartbeat, so heartbeats must not be throttled to the default of 30 s.
    return min(timedelta(seconds=1), settings.intervals.heartbeat_timeout / 10)


if __name__ == "__main__":
    from operations.processes.process_end import end_process
    from operations.processes.worker_process import main

    end_process(main())

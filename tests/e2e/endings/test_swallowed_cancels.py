"""A cancellation that arrives while a window signals its run: the signal ends normally and swallows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    SignalChildWorkflowInput,
    SignalExternalWorkflowInput,
    StartChildWorkflowInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from domain.executions.execution import RunStatus
from domain.executions.windows import WindowChanged, WindowKind, WindowState
from domain.names import PAUSE_SIGNAL, PAUSE_UPDATE, WorkflowType
from domain.resilience.model import Phase
from domain.resilience.state import ResilienceState
from lab import Lab, Misbehaviour, PortChoice
from tests.support.runs.bench import Bench, brisk_shop, until
from tests.support.runs.fixtures import QUICK
from tests.support.tiers import mostly_exhaustive
from worker import running

TOLD: dict[str, Callable[[ResilienceState], object]] = {
    "analyze_task_id": lambda run: run.analysis.analyze_task_id,
    "detail": lambda run: [row for row in run.windows if (row.kind, row.state) == (WindowKind.FAULT, WindowState.OPEN)],
    "rules": lambda run: run.rules.rules,
    "stability": lambda run: run.rules.stability,
}
"""How a run's state shows that it has taken the signal."""


class Swallowing(ClientInterceptor, Interceptor):
    """Holds back one signal until its window is cancelled. A busy server may do the same."""

    def __init__(self, kind: WindowKind, field: str) -> None:
        """Choose the signal by its window's kind and the field it sets."""
        self._signal = kind, field

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        signal = self._signal

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Outbound(outbound, *signal))

        return Inbound


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, kind: WindowKind, field: str) -> None:
        super().__init__(following)
        self._kind, self._field = kind, field

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:  # noqa: A002
        await self.next.signal_external_workflow(input)
        change = input.args[0] if input.args else None
        if isinstance(change, WindowChanged) and change.kind is self._kind and self._field in change.model_fields_set:
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(lambda: workflow.cancellation_reason() is not None)


class PausedMeanwhile(ClientInterceptor, Interceptor):
    """Holds back the start of a child until its parent is paused.

    Then it holds back the pause until the parent is cancelled.
    """

    def __init__(self, child: WorkflowType) -> None:
        self._child = child

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        child = self._child

        class Inbound(WorkflowInboundInterceptor):
            paused = False

            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_PausedStart(outbound, child, lambda: self.paused))

            async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
                self.paused = self.paused or input.signal == PAUSE_SIGNAL
                await super().handle_signal(input)

            async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
                self.paused = self.paused or input.update == PAUSE_UPDATE
                return await super().handle_update_handler(input)

        return Inbound


class _PausedStart(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, child: WorkflowType, paused: Callable[[], bool]) -> None:
        super().__init__(following)
        self._child, self._paused = child, paused
        self._held = False

    async def start_child_workflow(self, input: StartChildWorkflowInput) -> workflow.ChildWorkflowHandle[Any, Any]:  # noqa: A002
        handle = await self.next.start_child_workflow(input)
        if input.workflow == self._child:
            await workflow.wait_condition(self._paused)
            self._held = True
        return handle

    async def signal_child_workflow(self, input: SignalChildWorkflowInput) -> None:  # noqa: A002
        await self.next.signal_child_workflow(input)
        if self._held:
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(lambda: workflow.cancellation_reason() is not None)


async def is_known(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the server has such a workflow."""
    try:
        await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


@asynccontextmanager
async def swallowing(temporal: Client, folder: Path, interceptor: ClientInterceptor) -> AsyncIterator[Bench]:
    """Open a bench whose worker's signals swallow cancellations."""
    config = temporal.config()
    config["interceptors"] = [interceptor]
    async with Lab(brisk_shop(), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, folder)
        async with running(Client(**config), bench.settings), bench:
            yield bench


@pytest.mark.parametrize(
    ("kind", "telling", "next_step"),
    mostly_exhaustive(
        [
            (WindowKind.FAULT, "detail", "replay_and_capture"),
            (WindowKind.RECORDING, "analyze_task_id", "await_patterns"),
            (WindowKind.RULES, "rules", "await_rules_registered"),
            (WindowKind.RULES, "stability", "await_rules_acting"),
        ]
    ),
)
async def test_a_window_cancelled_while_it_signals_does_nothing_more(
    temporal: Client, tmp_path: Path, kind: WindowKind, telling: str, next_step: str
) -> None:
    """It closes at once, without waiting for a step that it should not have started."""
    async with swallowing(temporal, tmp_path, Swallowing(kind, telling)) as bench:
        bench.lab.misbehave(Misbehaviour(analysis_stalls=kind is WindowKind.RECORDING))
        run = await bench.start(bench.small_plan("reviews", timeouts={"analyze": "20s"}))
        await bench.until_state(run, TOLD[telling], f"{kind}: {telling}")
        report = await bench.cancelled(run)
        (row,) = [entry for entry in await bench.store.ledger.of(report.execution_id) if entry.kind == kind]
        history = bench.temporal.get_workflow_handle(row.window_id).fetch_history_events()
        begun = [event.activity_task_scheduled_event_attributes.activity_type.name async for event in history]
        assert "record_intent" in begun
        assert next_step not in begun


@pytest.mark.parametrize("child", mostly_exhaustive([WorkflowType.LOAD_PAGE, WorkflowType.RULES_WINDOW]))
async def test_cancelling_while_a_pause_is_passed_on_ends_the_load_test(
    temporal: Client, tmp_path: Path, child: WorkflowType
) -> None:
    """Otherwise the child would go on for as long as its load takes, with the rules in place."""
    async with swallowing(temporal, tmp_path, PausedMeanwhile(child)) as bench:
        run = await bench.start(bench.small_plan("reviews", load={"requests": 50_000, "concurrency": 1}))
        await bench.until_phase(run, Phase.RULES_READY)
        (row,) = await bench.store.executions.newest(1)
        begun = bench.temporal.get_workflow_handle(f"rules/{row.execution_id}")
        if child is WorkflowType.LOAD_PAGE:
            begun = bench.temporal.get_workflow_handle(f"load/{row.execution_id}/0")
        await until(lambda: is_known(begun), begun.id)
        await run.execute_update(PAUSE_UPDATE)
        report = await bench.cancelled(run)
        row = await bench.store.executions.row(report.execution_id)
        assert (row.run_status, report.recovery_verified) == (RunStatus.CANCELLED, True)

"""A cancel that comes while a window tells its run something: the signal ends normally, and the cancel is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import (
    Interceptor,
    SignalExternalWorkflowInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from lab import Action, Endpoint, Instruction, Lab, Misbehaviour, PortChoice
from tests.e2e.bench import Bench, unhurried_example
from tests.e2e.conftest import QUICK
from tests.e2e.test_endings import seen_on
from worker import running
from workflows.contracts.windows import WindowChanged, WindowKind, WindowState


class Swallowing(ClientInterceptor, Interceptor):
    """Keeps the signal that a window is open on its way until the window is cancelled, as a busy server may."""

    def __init__(self, kind: WindowKind) -> None:
        """Of windows of this kind."""
        self._kind = kind

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        kind = self._kind

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Outbound(outbound, kind))

        return Inbound


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, kind: WindowKind) -> None:
        super().__init__(following)
        self._kind = kind

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:  # noqa: A002
        await self.next.signal_external_workflow(input)
        told = input.args[0]
        if isinstance(told, WindowChanged) and (told.kind, told.state) == (self._kind, WindowState.OPEN):
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(lambda: workflow.cancellation_reason() is not None)


@asynccontextmanager
async def swallowing(temporal: Client, folder: Path, kind: WindowKind) -> AsyncIterator[Bench]:
    """A bench whose worker's signals swallow cancels."""
    config = temporal.config()
    config["interceptors"] = [Swallowing(kind)]
    async with Lab(unhurried_example("shop"), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, folder)
        async with running(Client(**config), bench.settings), bench:
            yield bench


@pytest.mark.parametrize(
    ("kind", "next_step"), [(WindowKind.RECORDING, "await_patterns"), (WindowKind.FAULT, "replay_and_capture")]
)
async def test_a_window_that_was_cancelled_while_it_told_does_nothing_more(
    temporal: Client, tmp_path: Path, kind: WindowKind, next_step: str
) -> None:
    """It closes at once, and not when the step would be over that it should not have begun."""
    async with swallowing(temporal, tmp_path, kind) as bench:
        hangs = Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG)
        bench.lab.misbehave(Misbehaviour(analysis_stalls=kind is WindowKind.RECORDING, instructions=[hangs]))
        run = await bench.start(bench.small_plan("reviews", timeouts={"analyze": "20s", "replay": "20s"}))
        await seen_on(bench, run, kind, "open")
        await run.cancel()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        report = await bench.lock_ended(run)
        assert report is not None
        assert report.recovery_verified
        (row,) = [one for one in await bench.store.ledger_of(report.execution_id) if one.kind == kind]
        history = bench.temporal.get_workflow_handle(row.window_id).fetch_history_events()
        begun = [event.activity_task_scheduled_event_attributes.activity_type.name async for event in history]
        assert "update_ledger" in begun
        assert next_step not in begun
        assert bench.lab.state().clean

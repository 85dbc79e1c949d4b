"""A cancel that comes while a window tells its run something: the signal ends normally, and the cancel is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import (
    Interceptor,
    SignalExternalWorkflowInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from lab import Lab, Misbehaviour, PortChoice
from tests.e2e.bench import Bench, unhurried_example
from tests.e2e.conftest import QUICK
from worker import running
from workflows.contracts.status import RunState
from workflows.contracts.windows import WindowChanged, WindowKind, WindowState

TOLD: dict[str, Callable[[RunState], object]] = {
    "analyze_task_id": lambda run: run.analysis.analyze_task_id,
    "detail": lambda run: [row for row in run.windows if (row.kind, row.state) == (WindowKind.FAULT, WindowState.OPEN)],
    "rules": lambda run: run.rules.rules,
    "stability": lambda run: run.rules.stability,
}
"""How a run's state shows that it has taken the signal."""


class Swallowing(ClientInterceptor, Interceptor):
    """Keeps one signal of a window on its way until the window is cancelled, as a busy server may."""

    def __init__(self, kind: WindowKind, telling: str) -> None:
        """Of a window of this kind, the signal in which this field is told."""
        self._signal = kind, telling

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        signal = self._signal

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Outbound(outbound, *signal))

        return Inbound


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, kind: WindowKind, telling: str) -> None:
        super().__init__(following)
        self._kind, self._telling = kind, telling

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:  # noqa: A002
        await self.next.signal_external_workflow(input)
        told = input.args[0] if input.args else None
        if isinstance(told, WindowChanged) and told.kind is self._kind and self._telling in told.model_fields_set:
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(lambda: workflow.cancellation_reason() is not None)


@asynccontextmanager
async def swallowing(temporal: Client, folder: Path, kind: WindowKind, telling: str) -> AsyncIterator[Bench]:
    """A bench whose worker's signals swallow cancels."""
    config = temporal.config()
    config["interceptors"] = [Swallowing(kind, telling)]
    async with Lab(unhurried_example("shop"), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, folder)
        async with running(Client(**config), bench.settings), bench:
            yield bench


@pytest.mark.parametrize(
    ("kind", "telling", "next_step"),
    [
        (WindowKind.RECORDING, "analyze_task_id", "await_patterns"),
        (WindowKind.FAULT, "detail", "replay_and_capture"),
        (WindowKind.RULES, "rules", "await_rules_registered"),
        (WindowKind.RULES, "stability", "await_rules_acting"),
    ],
)
async def test_a_window_that_was_cancelled_while_it_told_does_nothing_more(
    temporal: Client, tmp_path: Path, kind: WindowKind, telling: str, next_step: str
) -> None:
    """It closes at once, and not when the step would be over that it should not have begun."""
    async with swallowing(temporal, tmp_path, kind, telling) as bench:
        bench.lab.misbehave(Misbehaviour(analysis_stalls=kind is WindowKind.RECORDING))
        run = await bench.start(bench.small_plan("reviews", timeouts={"analyze": "20s"}))
        await bench.until_state(run, TOLD[telling], f"{kind}: {telling}")
        report = await bench.cancelled(run)
        (row,) = [one for one in await bench.store.ledger_of(report.execution_id) if one.kind == kind]
        history = bench.temporal.get_workflow_handle(row.window_id).fetch_history_events()
        begun = [event.activity_task_scheduled_event_attributes.activity_type.name async for event in history]
        assert "record_intent" in begun
        assert next_step not in begun

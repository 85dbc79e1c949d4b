"""Valid permits for activities tested without a workflow: real ledger rows, and a caller that owns them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment

from clients.store.store import Store
from domain.executions.execution import Execution
from domain.executions.permit_facts import Caller
from domain.executions.windows import LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from domain.names import (
    WorkflowType,
    calls_workflow_id,
    fault_name,
    fault_workflow_id,
    lock_of,
    pairs_workflow_id,
    recording_workflow_id,
    rules_workflow_id,
)
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution

WINDOW_RUN = "0190aaaa-0000-7000-8000-0000000000f1"
"""Run id of every window of these tests."""


def own_fault_name(execution: Execution, service: str) -> str:
    """Return the name of the fault that the service's window injects."""
    return fault_name(execution.execution_id, service, WINDOW_RUN, 1)


def row_of(kind: WindowKind, execution: Execution, plan: Plan, service: str = "", run_id: str = WINDOW_RUN) -> Any:
    """Build the row that a window of this kind writes.

    The run is workflow `w`, run 1.
    """
    ids = {
        WindowKind.LOCK: lock_of(execution),
        WindowKind.RECORDING: recording_workflow_id(execution),
        WindowKind.CALLS: calls_workflow_id(execution),
        WindowKind.RULES: rules_workflow_id(execution),
        WindowKind.PAIRS: pairs_workflow_id(execution, 0),
        WindowKind.FAULT: fault_workflow_id(execution, service),
    }
    names = {WindowKind.RULES: execution.record_id}
    if kind is WindowKind.FAULT:
        names[kind] = fault_name(execution.execution_id, service, run_id, 1)
    return LedgerEntry(
        window_id=ids[kind],
        run_id=run_id,
        execution_id=execution.execution_id,
        parent_workflow_id="w",
        parent_run_id="1",
        kind=kind,
        service=service if kind is WindowKind.FAULT else "",
        peer_name=names.get(kind, ""),
        close_by=datetime.now(UTC) + timedelta(hours=1),
    )


async def opened(store: Store, row: LedgerEntry) -> LedgerEntry:
    """Write the row of an open window to the ledger.

    A settled window stays settled.
    """
    known = {(entry.window_id, entry.run_id) for entry in await store.ledger.of(row.execution_id)}
    if (row.window_id, row.run_id) not in known:
        await store.ledger.intent(row)
    await store.ledger.update(LedgerUpdate(window_id=row.window_id, run_id=row.run_id, state=LedgerState.OPEN))
    return row


async def entitled(store: Store, execution: Execution, plan: Plan, work: Callable[..., Any], order: Any) -> Caller:
    """Return a caller that may ask for this activity.

    Writes every ledger row that the permit requires.
    """
    if isinstance(order, NewExecution):
        return Caller(workflow_type=WorkflowType.RESILIENCE_TEST, workflow_id=order.workflow_id, run_id=order.run_id)
    if isinstance(order, LedgerEntry | LedgerUpdate):
        return Caller(workflow_type=WorkflowType.FAULT_WINDOW, workflow_id=order.window_id, run_id=order.run_id)
    need = getattr(work, "need", None)
    if need is None:
        return Caller(workflow_type="test", workflow_id="test", run_id="test-run")
    if not need.callers:
        return Caller(workflow_type=WorkflowType.RESILIENCE_TEST, workflow_id="w", run_id="1")
    await opened(store, row_of(WindowKind.LOCK, execution, plan))
    kind = need.covered_by or (need.kinds[0] if need.kinds else None)
    if kind is None:
        return Caller(workflow_type=need.callers[0], workflow_id="w", run_id="1")
    service = getattr(order, "service", "") or next(iter(getattr(order, "faults", ())), "")
    row = await opened(store, row_of(kind, execution, plan, service))
    if need.of_the_run:
        return Caller(workflow_type=need.callers[0], workflow_id="w", run_id="1")
    window_id = f"load/{execution.execution_id}/0" if need.covered_by else row.window_id
    return Caller(workflow_type=need.callers[0], workflow_id=window_id, run_id=WINDOW_RUN)


def called_by(caller: Caller, **more: Any) -> ActivityEnvironment:
    """Make the environment of an activity that this caller asked for."""
    environment = ActivityEnvironment()
    who = {
        "workflow_type": caller.workflow_type,
        "workflow_id": caller.workflow_id,
        "workflow_run_id": caller.run_id,
    }
    now = datetime.now(UTC)
    environment.info = replace(environment.info, **who, **({"scheduled_time": now, "started_time": now} | more))
    return environment

"""Check that a ledger row is a window of an execution.

Names and times are compared with those that the window itself would compute.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from domain.cases.cases import case_at, case_count, pair_count
from domain.executions.execution import Execution
from domain.executions.windows import MOST_ROUNDS, LedgerEntry, WindowKind
from domain.names import (
    calls_workflow_id,
    fault_name,
    fault_workflow_id,
    lock_of,
    pair_fault_workflow_id,
    pairs_workflow_id,
    recording_workflow_id,
    rules_workflow_id,
)
from domain.pairs.comparing import MOST_PAIRS, per_page
from domain.plans.durations import (
    calls_hold,
    due_after,
    fault_hold,
    pair_fault_hold,
    pairs_hold,
    recording_hold,
    rules_ttl,
)
from domain.plans.plan import Plan

_NUMBER = r"(0|[1-9][0-9]{0,8})"


def why_foreign_row(row: LedgerEntry, execution: Execution, plan: Plan) -> str:
    """Return why this row is no window of the execution, or nothing.

    Window id, service and name at the peer must be those that such a window has.
    """
    service = row.service
    name = ""
    match row.kind:
        case WindowKind.RULES:
            wanted, service, name = rules_workflow_id(execution), "", execution.record_id
        case WindowKind.LOCK | WindowKind.RECORDING | WindowKind.CALLS | WindowKind.PAIRS:
            wanted, service = _id_without_service(row, execution), ""
        case WindowKind.FAULT:
            number = _discovery_round(row.window_id)
            wanted = fault_workflow_id(execution, service, number)
            name = fault_name(execution.execution_id, service, row.run_id, number)
        case WindowKind.PAIR_FAULT:
            index = case_index(row, execution)
            if index is None or not _has_pair(plan, index, service):
                return f"{row.window_id[:200]} is not a window of a pair of execution {execution.execution_id}"
            wanted = pair_fault_workflow_id(execution, index, service)
            name = fault_name(execution.execution_id, service, row.run_id, index)
    if row.kind in (WindowKind.FAULT, WindowKind.PAIR_FAULT) and service not in plan.service_names:
        return f"{service[:100]} is not a service of the plan"
    if (row.window_id, row.service, row.peer_name) != (wanted, service, name):
        given = f"{row.window_id[:200]} of {row.service[:100] or 'no service'} as {row.peer_name[:100] or 'nothing'}"
        return f"{given} is not the {row.kind} window of execution {execution.execution_id}"
    return ""


def _id_without_service(row: LedgerEntry, execution: Execution) -> str:
    """Return the id of a window without service and peer name."""
    match row.kind:
        case WindowKind.LOCK:
            return lock_of(execution)
        case WindowKind.RECORDING:
            return recording_workflow_id(execution)
        case WindowKind.CALLS:
            return calls_workflow_id(execution)
    page = re.fullmatch(_NUMBER, row.window_id.rpartition("/")[2])
    return pairs_workflow_id(execution, int(page[1])) if page else "pairs/..."


def _discovery_round(window_id: str) -> int:
    """Return the discovery round of a fault window, from its id."""
    # Services are DNS labels, so only an id with a round ends like this.
    match = re.fullmatch(rf"fault/[0-9]+/[^/]+/([2-{MOST_ROUNDS}])", window_id)
    return int(match[1]) if match else 1


def case_index(row: LedgerEntry, execution: Execution) -> int | None:
    """Return the index of the pair that a fault window belongs to."""
    found = re.fullmatch(rf"pair/{execution.execution_id}/{_NUMBER}/.*", row.window_id)
    return int(found[1]) if found else None


def _has_pair(plan: Plan, index: int, service: str) -> bool:
    names = plan.service_names
    if not len(names) < index < case_count(len(names)):
        return False
    return service in case_at(names, index).services


def latest_close(kind: WindowKind, execution: Execution, plan: Plan, now: datetime) -> datetime:
    """Return when a window begun now must have closed at the latest.

    The plan decides that, whatever the window's input is.
    """
    return now + due_after(_longest(kind, execution, plan), plan.timeouts.recovery)


def _longest(kind: WindowKind, execution: Execution, plan: Plan) -> timedelta:
    bounds: dict[WindowKind, Callable[[], timedelta]] = {
        WindowKind.RECORDING: lambda: recording_hold(plan, execution.timing.analyze_dedupe),
        WindowKind.CALLS: lambda: calls_hold(plan),
        WindowKind.FAULT: lambda: fault_hold(plan),
        WindowKind.PAIR_FAULT: lambda: pair_fault_hold(plan),
        WindowKind.RULES: lambda: rules_ttl(plan, case_count(len(plan.services))),
        WindowKind.PAIRS: lambda: pairs_hold(plan, per_page(min(pair_count(len(plan.services)), MOST_PAIRS))),
        WindowKind.LOCK: lambda: plan.timeouts.recovery,
    }
    return bounds[kind]()

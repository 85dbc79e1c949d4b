"""The report of a run: from the store, or else from the run's result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clients.store.store import Store
from domain.errors import HoldfastError
from domain.executions.execution import final_step
from domain.executions.outcome import RunOutcome
from domain.executions.state import ExecutionState
from domain.plans.environments import environment_in
from domain.resilience.model import Phase
from domain.resilience.state import ResilienceState
from operations.definitions import DefinitionFile, PlanFile
from operations.runs.find_stored import find_stored_run
from operations.stores import query_store
from reports.build.execution import execution_report
from reports.build.execution import stored_report as stored
from reports.build.without_store import report_of
from reports.model.execution import ExecutionReport

if TYPE_CHECKING:
    from operations.runs.follow import Say

PATIENCE = 300.0
"""Seconds for reading a run. Half a million cases take a while."""


async def stored_report(run_id: str, database_url: str | None = None) -> ExecutionReport:
    """Return the report of the newest run under an ID.

    Raises:
        HoldfastError: NOT_FOUND, STORE_UNAVAILABLE.
    """

    async def found(store: Store) -> ExecutionReport:
        return await stored(store, (await find_stored_run(store, run_id)).execution_id)

    return await query_store(found, database_url, PATIENCE)


async def report_on(
    file: DefinitionFile, outcome: RunOutcome, remark: Say, database_url: str | None = None
) -> ExecutionReport:
    """Return the report from the store, or else from the run's result."""
    execution_id = _execution_id(outcome)
    if execution_id is not None:
        try:
            return await query_store(lambda store: stored(store, execution_id), database_url, PATIENCE)
        except HoldfastError as error:
            remark(
                f"the store cannot be read here, so the report has only what is in the run's result ({error.message})"
            )
    state = _state(file, outcome)
    if isinstance(file, PlanFile) and isinstance(state, ResilienceState):
        return report_of(file.plan, state, outcome.workflow_id, outcome.run_id)
    return execution_report(state)


def _execution_id(outcome: RunOutcome) -> int | None:
    """Return the execution id. None: the run ended without a record."""
    known = (outcome.summary, outcome.failure, outcome.lock)
    return next(
        (result.execution_id for result in known if result is not None and result.execution_id is not None), None
    )


def _state(file: DefinitionFile, outcome: RunOutcome) -> ExecutionState:
    facts: dict[str, Any] = {
        "kind": file.kind.name,
        "name": file.name,
        "execution_id": _execution_id(outcome),
        "status": outcome.status,
        "step": final_step(outcome.status),
        "recovery": outcome.recovery,
        "error_message": outcome.message,
    }
    if isinstance(file, PlanFile):
        facts |= {
            "plan": file.name,
            "environment": environment_in(file.plan),
            "namespace": file.plan.system.namespace,
            "phase": Phase(final_step(outcome.status)),
        }
    if outcome.failure is not None:
        facts |= {"error_code": outcome.failure.code, "error_message": outcome.failure.message}
    if outcome.summary is not None:
        known = set(file.kind.state.model_fields) - {"kind", "name", "recovery", "status"}
        facts |= {name: value for name, value in outcome.summary if name in known}
    return file.kind.state().model_copy(update=facts)

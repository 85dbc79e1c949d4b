"""The report of a run: from the store, or else from the run's result."""

from __future__ import annotations

from clients.store.store import Store
from domain.errors import HoldfastError
from domain.executions.execution import final_step
from domain.executions.outcome import RunOutcome
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from domain.resilience.model import Phase
from domain.resilience.state import ResilienceState
from operations.runs.find import found_run
from operations.runs.follow import Say
from operations.stores import ask_store
from reports.build.gather import gather
from reports.build.without_store import report_of
from reports.model.report import Report

PATIENCE = 300.0
"""Seconds for reading a run. Half a million cases take a while."""


async def stored_report(run_id: str, database_url: str | None = None) -> Report:
    """Return the report of the newest run under an ID.

    Raises:
        HoldfastError: NOT_FOUND, STORE_UNAVAILABLE.
    """

    async def found(store: Store) -> Report:
        return await gather(store, (await found_run(store, run_id)).execution_id)

    return await ask_store(found, database_url, PATIENCE)


async def report_on(plan: Plan, outcome: RunOutcome, remark: Say, database_url: str | None = None) -> Report:
    """Return the report from the store, or else from the run's result."""
    execution_id = _execution_id(outcome)
    if execution_id is not None:
        try:
            return await ask_store(lambda store: gather(store, execution_id), database_url, PATIENCE)
        except HoldfastError as error:
            remark(
                f"the store cannot be read here, so the report has what the run's result tells: counts, and the cases "
                f"that failed or are inconclusive ({error.message})"
            )
    return report_of(plan, _state(plan, outcome), outcome.workflow_id, outcome.run_id)


def _execution_id(outcome: RunOutcome) -> int | None:
    """Return the execution id. None: the run ended without a record."""
    known = (outcome.summary, outcome.failure, outcome.lock)
    return next(
        (result.execution_id for result in known if result is not None and result.execution_id is not None), None
    )


def _state(plan: Plan, outcome: RunOutcome) -> ResilienceState:
    facts = {
        "execution_id": _execution_id(outcome),
        "plan": plan.name,
        "environment": environment_in(plan),
        "namespace": plan.system.namespace,
        "status": outcome.status,
        "phase": Phase(final_step(outcome.status)),
        "step": final_step(outcome.status),
        "recovery": outcome.recovery,
        "error_message": outcome.message,
    }
    if outcome.failure is not None:
        facts |= {"error_code": outcome.failure.code, "error_message": outcome.failure.message}
    if outcome.summary is not None:
        facts |= {
            name: getattr(outcome.summary, name)
            for name in (
                "verdict", "cases", "failed_cases", "inconclusive_cases", "pairs", "started_at", "finished_at",
            )
        }  # fmt: skip
    return ResilienceState().model_copy(update=facts)

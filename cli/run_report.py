"""The report of a run that this process followed.

It comes from the store, or else from the run's result.
"""

from __future__ import annotations

from cli.commands.report import PATIENCE
from cli.console import complain, say, understood
from cli.report_files import ReportFiles
from cli.results import ask_store
from domain.errors import HoldfastError
from domain.executions.execution import Phase, RunStatus
from domain.executions.outcome import ExitCode, RunOutcome, code_for
from domain.executions.status import RunState
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from operations.runs.follow import Say
from reports.build.gather import gather
from reports.build.without_store import report_of
from reports.model.report import Report

_PHASES = {RunStatus.COMPLETED: Phase.DONE, RunStatus.CANCELLED: Phase.CANCELLED}


async def write_report(files: ReportFiles, plan: Plan, outcome: RunOutcome, remark: Say = say) -> ExitCode:
    """Write the wanted files and return the run's exit code.

    If writing fails, the code of that error replaces an exit code of 0, but no other one.
    """
    if not files:
        return outcome.exit_code
    trouble = await written(files, plan, outcome)
    if trouble is not None:
        return outcome.exit_code or code_for(trouble.code)
    for path in files.wanted.values():
        remark(f"report: {path}")
    return outcome.exit_code


async def written(
    files: ReportFiles, plan: Plan, outcome: RunOutcome, database_url: str | None = None
) -> HoldfastError | None:
    """Write the wanted files. Trouble is shown and returned, never raised.

    Trouble with a report must not hide what came of the run, least of all that something may still be switched on.
    """
    try:
        files.write(await report_on(plan, outcome, database_url))
    except Exception as error:  # Even a defect of ours.
        known = understood(error)
        complain(f"the report could not be written: {known}")
        return known
    return None


async def report_on(plan: Plan, outcome: RunOutcome, database_url: str | None = None) -> Report:
    """Return the report from the store, or else from the run's result."""
    execution_id = _execution_id(outcome)
    if execution_id is not None:
        try:
            return await ask_store(lambda store: gather(store, execution_id), database_url, PATIENCE)
        except HoldfastError as error:
            complain(
                f"the store cannot be read here, so the report has what the run's result tells: counts, and the cases "
                f"that failed or are inconclusive ({error.message})"
            )
    return report_of(plan, _state(plan, outcome), outcome.workflow_id, outcome.run_id)


def _execution_id(outcome: RunOutcome) -> int | None:
    """Return the execution id. None: the run ended without a record."""
    known = (outcome.summary, outcome.failure, outcome.lock)
    return next((one.execution_id for one in known if one is not None and one.execution_id is not None), None)


def _state(plan: Plan, outcome: RunOutcome) -> RunState:
    facts = {
        "execution_id": _execution_id(outcome),
        "plan": plan.name,
        "environment": environment_in(plan),
        "namespace": plan.system.namespace,
        "status": outcome.status,
        "phase": _PHASES.get(outcome.status, Phase.FAILED),
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
    return RunState().model_copy(update=facts)

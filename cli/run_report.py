"""The report of a run that this process followed.

It comes from the store, or else from the run's result.
"""

from __future__ import annotations

from cli.console import as_holdfast_error, complain, say
from cli.report_files import ReportFiles
from domain.errors import HoldfastError
from domain.executions.outcome import ExitCode, RunOutcome, code_for
from operations.definitions import DefinitionFile
from operations.runs.follow import Say
from operations.runs.report import report_on


async def write_report(files: ReportFiles, file: DefinitionFile, outcome: RunOutcome, remark: Say = say) -> ExitCode:
    """Write the wanted files and return the run's exit code.

    If writing fails, the code of that error replaces an exit code of 0, but no other one.
    """
    if not files:
        return outcome.exit_code
    trouble = await write_or_explain(files, file, outcome)
    if trouble is not None:
        return outcome.exit_code or code_for(trouble.code)
    for path in files.wanted.values():
        remark(f"report: {path}")
    return outcome.exit_code


async def write_or_explain(
    files: ReportFiles, file: DefinitionFile, outcome: RunOutcome, database_url: str | None = None
) -> HoldfastError | None:
    """Write the wanted files. Trouble is shown and returned, never raised.

    Trouble with a report must not hide what came of the run, least of all that something may still be switched on.
    """
    try:
        files.write(await report_on(file, outcome, complain, database_url))
    except Exception as error:  # Even a defect of ours.
        known = as_holdfast_error(error)
        complain(f"the report could not be written: {known}")
        return known
    return None

"""Records how a run ended, from the server's description of it."""

from __future__ import annotations

import asyncio

from activities.toolbox import Toolbox
from clients.store.read_models import LogLevel
from clients.temporal.runs import RunDirectory, RunEnd
from domain.errors import ErrorCode
from domain.executions.execution import Ending, Recovery, RunStatus, final_step
from domain.executions.windows import SETTLED, LedgerEntry, RunRef, WindowKind

SERVER_POLL = 0.25
"""Seconds between two looks at the Temporal server.

Short, because that server is ours, and near.
"""


async def write_ending(tools: Toolbox, runs: RunDirectory, run: RunRef) -> Ending:
    """Wait until a run is closed, then write how it ended.

    Idempotent: a repetition writes the same.
    """
    end = await runs.end_of(run.workflow_id, run.run_id)
    while end is None:
        await asyncio.sleep(SERVER_POLL)
        end = await runs.end_of(run.workflow_id, run.run_id)
    ending = _ending(run, end)
    level = LogLevel.ERROR if ending.error_code or ending.recovery is Recovery.UNVERIFIED else LogLevel.INFO
    message = f"{ending.status}, recovery {ending.recovery}. {ending.error_message}".strip()
    await tools.notes.write()
    # The log first: a follower stops reading once the end is written, and must not miss this line.
    await tools.store.logs.add(run.execution_id, "finished", level, message)
    await tools.store.executions.finish(ending, run.run_id)
    return ending


async def open_windows(tools: Toolbox, execution_id: int) -> list[str]:
    """Return the windows of an execution whose ledger row is not settled.

    The lock does not count, because it ends last.
    """
    rows = await tools.store.ledger.of(execution_id)
    return [row.window_id for row in rows if row.kind is not WindowKind.LOCK and row.state not in SETTLED]


async def run_of(tools: Toolbox, lock: LedgerEntry) -> RunRef:
    """Return the run of a lock's ledger row, with its recovery."""
    left = await open_windows(tools, lock.execution_id)
    return RunRef(
        execution_id=lock.execution_id,
        workflow_id=lock.parent_workflow_id,
        run_id=lock.parent_run_id,
        recovery=Recovery.UNVERIFIED if left else Recovery.VERIFIED,
    )


def _ending(run: RunRef, end: RunEnd) -> Ending:
    failure = end.failure
    code = failure.code if failure else None
    if end.status is RunStatus.FAILED and code is None:
        code = ErrorCode.TERMINATED if end.terminated else ErrorCode.UNEXPECTED
    status = end.status
    if code is ErrorCode.DEADLINE_EXCEEDED:
        status = RunStatus.TIMED_OUT
    if status is RunStatus.TIMED_OUT:
        code = ErrorCode.DEADLINE_EXCEEDED
    return Ending(
        execution_id=run.execution_id,
        status=status,
        phase=final_step(status),
        recovery=run.recovery,
        verdict=end.summary.verdict if end.summary else None,
        error_code=code,
        error_phase=failure.phase if failure else None,
        error_message=failure.message if failure else end.message,
    )

"""Start an execution under its definition's id, after any earlier one.

An earlier execution of the same definition is waited for, or cancelled first.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import IfBusy
from domain.executions.start_options import StartOptions
from operations.definitions import DefinitionFile
from operations.environment import operator_name
from operations.processes.interrupts import Interrupts
from operations.runs.follow import Run, Say, ask_to_end

START_PATIENCE = timedelta(seconds=20)
"""Time for the server to accept a run."""


async def start(
    client: Client, definition: DefinitionFile, options: StartOptions, interrupts: Interrupts, say: Say, *, queue: str
) -> Run:
    """Start a run, and return it once the server has accepted it.

    Waiting for an earlier run can be interrupted. The call that starts the run cannot, because nobody would know
    whether there is a run to cancel. A request to end that arrives meanwhile cancels the run once it is followed.

    Raises:
        HoldfastError: EXECUTION_ALREADY_RUNNING when an execution of this definition is running, and `options.if_busy`
            is REFUSE; nothing was touched.
        Interrupted: we were asked to end while waiting for the earlier run.
        RPCError: the server did not accept the run.
    """
    workflow_id = definition.kind.workflow_id(definition.name)
    workflow_input = definition.kind.as_input(definition.document, options, operator_name())
    summary, details = definition.for_web_ui()
    while True:
        try:
            started = await client.start_workflow(
                definition.kind.workflow_type,
                workflow_input,
                id=workflow_id,
                task_queue=queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                static_summary=summary,
                static_details=details,
                rpc_timeout=START_PATIENCE,
            )
        except WorkflowAlreadyStartedError as error:
            if options.if_busy is IfBusy.REFUSE:
                raise _refused(definition.name, workflow_id) from error
            await interrupts.during(_make_room(client, workflow_id, options.if_busy, say))
        else:
            return client.get_workflow_handle(workflow_id, run_id=started.first_execution_run_id)


def _refused(name: str, workflow_id: str) -> HoldfastError:
    return HoldfastError(
        ErrorCode.EXECUTION_ALREADY_RUNNING,
        f"EXECUTION_ALREADY_RUNNING: {workflow_id} is running",
        hint=f"`holdfast watch {name}` shows it, `holdfast cancel {name}` ends it; "
        "`holdfast run --wait` waits for it, `--force` has it cancelled first",
    )


async def _make_room(client: Client, workflow_id: str, if_busy: IfBusy, say: Say) -> None:
    running = client.get_workflow_handle(workflow_id)
    if if_busy is IfBusy.REPLACE:
        say(f"{workflow_id} is running: cancelling it and waiting for its recovery")
        await ask_to_end(running)
    else:
        say(f"{workflow_id} is running: waiting for its end")
    with contextlib.suppress(WorkflowFailureError):
        await running.result()

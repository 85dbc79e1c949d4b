"""Start an execution under its definition's id, after any earlier one.

An earlier execution of the same definition is waited for, or cancelled first.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from datetime import timedelta
from urllib.parse import quote

from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from clients.settings import Settings
from clients.temporal.embedded_settings import DevServerSettings
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import IfBusy
from domain.executions.start_options import StartOptions
from operations.definitions import DefinitionFile
from operations.processes.interrupts import Interrupts
from operations.runs.follow import Run, Say, ask_to_end


def task_queue() -> str:
    """Return the task queue of runs: HOLDFAST_TASK_QUEUE, or else `holdfast`."""
    return Settings.from_environment(os.environ).task_queue


START_PATIENCE = timedelta(seconds=20)
"""Time for the server to accept a run."""


async def start(
    client: Client, file: DefinitionFile, options: StartOptions, interrupts: Interrupts, say: Say, *, queue: str
) -> Run:
    """Start a run, and return it once the server has accepted it.

    Waiting for an earlier run can be interrupted. The call that starts the run cannot, because nobody would know
    whether there is a run to cancel. A request to end that arrives meanwhile cancels the run once it is followed.

    Raises:
        HoldfastError: EXECUTION_ALREADY_RUNNING when an execution of this definition is running; nothing was touched.
        Interrupted: we were asked to end while waiting for the earlier run.
    """
    workflow_id = file.kind.workflow_id(file.name)
    order = file.kind.as_input(file.document, options, who())
    while True:
        try:
            started = await client.start_workflow(
                file.kind.workflow_type,
                order,
                id=workflow_id,
                task_queue=queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                rpc_timeout=START_PATIENCE,
            )
        except WorkflowAlreadyStartedError as error:
            if options.if_busy is IfBusy.REFUSE:
                raise _refused(file.name, workflow_id) from error
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


def who() -> str:
    """Return `user@host` of the operator, for the record. Empty: it is unknown."""
    with contextlib.suppress(KeyError, OSError):
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return ""


def web_ui_page(client: Client, run: Run, ui: str = "") -> str:
    """Return the run's page in the Web UI. Empty: it is unknown.

    The server's address does not always reveal it.
    """
    address = client.service_client.config.target_host
    if not ui:
        ui = _web_ui_of(address)
    page = f"/namespaces/{client.namespace}/workflows/{quote(run.id, safe='')}/{run.run_id}"
    return ui + page if ui else ""


def _web_ui_of(address: str) -> str:
    if ".tmprl.cloud" in address or ".temporal.io" in address:
        return "https://cloud.temporal.io"
    with contextlib.suppress(HoldfastError):
        embedded = DevServerSettings.load()
        if address == f"{embedded.ip}:{embedded.port}":
            return f"http://{embedded.ip}:{embedded.ui_port}"
    return ""

"""Starting a run, following it to its very end, and letting go of it when asked."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from cli.exit_codes import RunOutcome
from cli.progress import Progress
from clients.runs import failure_of
from clients.settings import Settings
from clients.temporal import has_pollers, lock_of_run
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.execution import IfBusy, RunSummary
from workflows.contracts.plan import Plan
from workflows.contracts.status import RunState
from workflows.names import STATUS_QUERY, WorkflowType, run_workflow_id

LOOK_EVERY = 0.4
"""Seconds between two looks at a run."""

QUERY_PATIENCE = timedelta(seconds=3)
"""For one look; without a worker the server takes 10 to 15 s to say so."""

WORKER_PATIENCE = 4.0
"""Seconds until a missing worker is mentioned."""

Say = Callable[[str], None]
Run = WorkflowHandle[Any, Any]


class Detached(Exception):  # noqa: N818 - not an error: the operator let go
    """The operator let go of a run that is still being cleaned up."""


async def start(client: Client, plan: Plan, document: object, if_busy: IfBusy) -> Run:
    """Start a run under its plan's id.

    Raises:
        HoldfastError: EXECUTION_ALREADY_RUNNING when a run of this plan is running; nothing was touched.
    """
    workflow_id = run_workflow_id(plan.name)
    queue = Settings.from_environment(os.environ).task_queue
    order = {"plan": document, "if_busy": if_busy.value, "requested_by": _who()}
    try:
        return await client.start_workflow(
            WorkflowType.RESILIENCE_TEST, order, id=workflow_id, task_queue=queue, result_type=RunSummary
        )
    except WorkflowAlreadyStartedError as error:
        raise HoldfastError(
            ErrorCode.EXECUTION_ALREADY_RUNNING,
            f"{workflow_id} is running already",
            hint=f"watch it with `holdfast watch {plan.name}`, or end it with `holdfast cancel {plan.name}`",
        ) from error


def _who() -> str:
    with contextlib.suppress(KeyError, OSError):
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return ""


async def mention_missing_worker(client: Client, say: Say) -> None:
    """Say, within seconds, when nobody will take the run up."""
    queue = Settings.from_environment(os.environ).task_queue
    end = asyncio.get_running_loop().time() + WORKER_PATIENCE
    while asyncio.get_running_loop().time() < end:
        if await has_pollers(client, queue):
            return
        await asyncio.sleep(LOOK_EVERY)
    say(f"no worker polls the queue '{queue}': the run waits until there is one. Start it with `holdfast worker`")


async def look(run: Run) -> RunState | None:
    """The run's state; None while it cannot be asked."""
    with contextlib.suppress(RPCError):
        return cast("RunState", await run.query(STATUS_QUERY, result_type=RunState, rpc_timeout=QUERY_PATIENCE))
    return None


class Follower:
    """Follows one run: tells its progress, passes signals on, and knows how it ended."""

    def __init__(self, client: Client, run: Run, say: Say) -> None:
        self._client = client
        self._run = run
        self._say = say
        self._progress = Progress()

    async def follow(self) -> RunOutcome:
        """Tell the progress until the run and its lock have ended.

        The first SIGINT or SIGTERM cancels the run; what follows then is its recovery.

        Raises:
            Detached: at the second signal.
        """
        ending = asyncio.create_task(end_of(self._client, self._run))
        telling = asyncio.create_task(self._tell_again_and_again())
        letting_go = asyncio.create_task(self._second_signal())
        try:
            await asyncio.wait({ending, letting_go}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                raise Detached
            telling.cancel()
            await self._tell()
            return ending.result()
        finally:
            for task in (ending, telling, letting_go):
                task.cancel()
            await asyncio.gather(ending, telling, letting_go, return_exceptions=True)

    async def _tell_again_and_again(self) -> None:
        while True:
            await self._tell()
            await asyncio.sleep(LOOK_EVERY)

    async def _tell(self) -> None:
        state = await look(self._run)
        for line in self._progress.lines(state) if state else []:
            self._say(line)

    async def _second_signal(self) -> None:
        """Cancel the run at the first signal, return at the second."""
        loop = asyncio.get_running_loop()
        signals: asyncio.Queue[int] = asyncio.Queue()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, signals.put_nowait, number)
        try:
            await signals.get()
            self._say("cancelling: everything is switched off first (once more to let go of it)")
            await self._run.cancel()
            await signals.get()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def end_of(client: Client, run: Run) -> RunOutcome:
    """Wait until a run and then its lock have ended: only then is its recovery known."""
    described = await run.describe()
    outcome = RunOutcome(workflow_id=run.id, run_id=described.run_id)
    try:
        summary = await client.get_workflow_handle(run.id, run_id=outcome.run_id, result_type=RunSummary).result()
        outcome = outcome.model_copy(update={"summary": summary})
    except WorkflowFailureError as error:
        facts = {
            "cancelled": isinstance(error.cause, CancelledError),
            "failure": failure_of(error.cause),
            "message": f"the run ended: {error.cause}",
        }
        outcome = outcome.model_copy(update=facts)
    lock = await lock_of_run(client, run.id, outcome.run_id)
    return outcome.model_copy(update={"lock": await lock.result() if lock else None})

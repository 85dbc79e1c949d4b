"""Follow a run until it and its lock have ended.

The operator may detach earlier.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from clients.temporal.connection import has_pollers, lock_of_run, server_error
from clients.temporal.runs import RunDirectory
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import RunStatus
from domain.executions.outcome import RunOutcome
from domain.executions.state import ExecutionState
from domain.executions.windows import LockReport
from domain.kinds import as_state
from domain.names import STATUS_QUERY
from operations.processes.interrupts import Interrupts

T = TypeVar("T")
Say = Callable[[str], None]
Tell = Callable[[ExecutionState], list[str]]
"""Returns lines for what is new in a state."""
Run = WorkflowHandle[Any, Any]

LOOK_EVERY = 0.4
"""Seconds between two queries of a run."""

QUERY_PATIENCE = timedelta(seconds=3)
"""Timeout of one query. Without a worker, the server would take 10 to 15 s to report that."""

WORKER_PATIENCE = 3.0
"""Seconds before a missing worker is mentioned."""

CANCEL_PATIENCE = 3.0
"""Seconds to wait for a cancel request that is in flight when the operator detaches."""

SILENCE = 15.0
"""Seconds without an answer from a worker before that is mentioned. A restart takes about ten."""

SERVER_PATIENCE = 120.0
"""Seconds before we give up on a server that does not answer. The run goes on without us."""

_PASSING = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.ABORTED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
}

_NO_EVENT_OF_A_WORKER = 2
"""History length of a run that no worker has taken up: run started, first task scheduled."""


def no_lines(_state: ExecutionState) -> list[str]:
    """Return no lines: show nothing of a run's progress."""
    return []


class Detached(Exception):  # noqa: N818 - not an error: the operator let go
    """The operator detached. The text explains what becomes of the run."""


async def mention_missing_worker(client: Client, run: Run, queue: str, say: Say) -> None:
    """Print, within seconds, that no worker takes the run up."""
    # Look at the run itself: the server lists a killed worker for five more minutes.
    end = asyncio.get_running_loop().time() + WORKER_PATIENCE
    while asyncio.get_running_loop().time() < end:
        if (await run.describe()).history_length > _NO_EVENT_OF_A_WORKER:
            return
        await asyncio.sleep(LOOK_EVERY / 2)
    what = "no worker has taken the run up yet" if await has_pollers(client, queue) else f"no worker polls '{queue}'"
    say(f"{what}: the run waits until one does. Start it with `holdfast worker`")


async def look(run: Run) -> ExecutionState | None:
    """Return the run's state. None: it cannot be queried at the moment, or its answer is no state."""
    # A worker short of CPU time may fail one query and answer the next.
    with contextlib.suppress(RPCError, WorkflowQueryFailedError, ValueError, TypeError, KeyError, RuntimeError):
        return as_state(await run.query(STATUS_QUERY, result_type=dict[str, Any], rpc_timeout=QUERY_PATIENCE))
    return None


async def ask_to_end(run: Run) -> None:
    """Cancel a run. Does nothing if it has already ended."""
    try:
        await run.cancel()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


class Follower:
    """Follows one run: shows progress, passes signals on, returns the outcome."""

    def __init__(self, client: Client, run: Run, say: Say, render: Tell) -> None:
        """Create a follower.

        `render` returns the lines to show for a state.
        """
        self._client = client
        self._run = run
        self._say = say
        self._lines = render
        self._begun = False
        self._unreadable = False
        self._answered_at = asyncio.get_running_loop().time()
        self._silent = False

    async def follow(self, interrupts: Interrupts, *, cancel_first: bool = True) -> RunOutcome:
        """Show the progress until the run and its lock have ended.

        The first request to end cancels the run, and we follow its recovery. The second one detaches. Without
        `cancel_first`, for onlookers, the first one already detaches.

        Raises:
            Detached: the operator detached.
        """
        ending = asyncio.create_task(end_of(self._client, self._run, self._say))
        showing = asyncio.create_task(self._show_repeatedly())
        detaching = asyncio.create_task(self._wait_to_detach(interrupts, cancel_first=cancel_first))
        try:
            await asyncio.wait({ending, detaching}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                raise Detached(detaching.result())
            showing.cancel()
            await self._show()
            return ending.result()
        finally:
            for task in (ending, showing, detaching):
                task.cancel()
            await asyncio.gather(ending, showing, detaching, return_exceptions=True)

    async def _show_repeatedly(self) -> None:
        while True:
            await self._show()
            await asyncio.sleep(LOOK_EVERY)

    async def _show(self) -> None:
        if self._unreadable:
            return
        try:
            state = await look(self._run)
        except HoldfastError as error:
            # Encrypted with a key that is not here. The run goes on, and so do we, to its end.
            self._unreadable = True
            self._say(str(error))
            return
        now = asyncio.get_running_loop().time()
        if state is not None:
            self._answered_at, self._silent = now, False
            self._begun = True
            for line in self._lines(state):
                self._say(line)
        elif self._begun and not self._silent and now - self._answered_at > SILENCE:
            self._silent = True
            self._say(f"no worker has answered for {SILENCE:.0f} s: the run goes on when one is back")

    async def _wait_to_detach(self, interrupts: Interrupts, *, cancel_first: bool) -> str:
        """Cancel the run if wanted, then wait until the operator detaches.

        Returns what to report then.
        """
        await interrupts.next()
        if not cancel_first:
            return "the run goes on"
        self._say("cancelling: everything is switched off first (press Ctrl-C again to stop waiting)")
        cancelling = asyncio.create_task(patiently(lambda: ask_to_end(self._run), self._say))
        second_interrupt = asyncio.create_task(interrupts.next())
        try:
            await asyncio.wait({cancelling, second_interrupt}, return_when=asyncio.FIRST_COMPLETED)
            if not second_interrupt.done():
                await cancelling  # Raises at once if the server refuses.
                await second_interrupt
            async with asyncio.timeout(CANCEL_PATIENCE):
                await cancelling
        except TimeoutError:
            return "stopped waiting: the run goes on and was not cancelled, because the Temporal server does not answer"
        finally:
            for task in (cancelling, second_interrupt):
                task.cancel()
            await asyncio.gather(cancelling, second_interrupt, return_exceptions=True)
        return "stopped waiting: recovery goes on in the worker. Follow it with `holdfast status` and `holdfast faults`"


async def patiently(ask: Callable[[], Awaitable[T]], say: Say) -> T:
    """Ask the server, and retry while it does not answer.

    Raises:
        HoldfastError: PEER_UNREACHABLE when it has been silent for too long.
        RPCError: the server refuses.
    """
    clock = asyncio.get_running_loop().time
    since: float | None = None
    while True:
        try:
            return await ask()
        except (RPCError, HoldfastError) as error:
            if not _is_transient(error):
                raise
            if since is None:
                since = clock()
                say("the Temporal server does not answer: trying again")
            elif clock() - since > SERVER_PATIENCE:
                known = server_error(error) if isinstance(error, RPCError) else error
                hint = "a run that has begun goes on without us"
                raise HoldfastError(ErrorCode.PEER_UNREACHABLE, known.message, hint=hint) from error
            await asyncio.sleep(1)


def _is_transient(error: RPCError | HoldfastError) -> bool:
    if isinstance(error, RPCError):
        return error.status in _PASSING
    return error.code is ErrorCode.PEER_UNREACHABLE


async def end_of(client: Client, run: Run, say: Say) -> RunOutcome:
    """Wait until a run and then its lock have ended.

    Only then is its recovery known.
    """
    described = await patiently(run.describe, say)
    # Stay with this run, even if another one starts under the same workflow id.
    workflow_id = run.id
    run_id = described.run_id
    this_run = client.get_workflow_handle(workflow_id, run_id=run_id)
    await patiently(lambda: _wait_for_end(this_run), say)
    end = await patiently(lambda: RunDirectory(client).end_of(workflow_id, run_id), say)
    lock = await patiently(lambda: lock_of_run(client, workflow_id, run_id), say)
    report, trouble = await patiently(lambda: report_of(lock), say) if lock else (None, "")
    return RunOutcome(
        workflow_id=workflow_id,
        run_id=run_id,
        status=end.status if end else RunStatus.FAILED,
        summary=end.summary if end else None,
        failure=end.failure if end else None,
        message=end.message if end else "",
        lock=report,
        lock_trouble=trouble,
    )


async def _wait_for_end(run: Run) -> None:
    # VALIDATION_ERROR: it has ended, and how is encrypted with a key that is not here.
    with contextlib.suppress(WorkflowFailureError):
        try:
            await run.result()
        except HoldfastError as error:
            if error.code is not ErrorCode.VALIDATION_ERROR:
                raise


async def report_of(lock: WorkflowHandle[Any, LockReport]) -> tuple[LockReport | None, str]:
    """Return the lock's report, or why there is none.

    A missing report is harmless only for a lock that was refused at its pre-flight.
    """
    try:
        return await lock.result(), ""
    except WorkflowFailureError as error:
        return None, f"{lock.id} ended without a report: {error.cause}"
    except HoldfastError as error:
        if error.code is not ErrorCode.VALIDATION_ERROR:
            raise
        return None, f"the report of {lock.id} cannot be read: {error}"

"""What every activity shares: one place where errors are translated, heartbeats beat, and looks repeat.

A `HoldfastError` becomes Temporal's application error here and nowhere else. Its cause is logged by the worker and not
sent: a chain of library errors carries URLs and headers, and history keeps them for ever.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clocks import Deadline, mark_beginning
from activities.toolbox import Toolbox
from clients.kept_out import without_secrets
from workflows.contracts.errors import ErrorCode, ErrorKind, HoldfastError, ValidationReport
from workflows.logic.steering import visible

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="WithTools")
T = TypeVar("T")

_BEATS_PER_TIMEOUT = 3


class WithTools(Protocol):
    """What every class of activities has."""

    _tools: Toolbox


@asynccontextmanager
async def heartbeating() -> AsyncIterator[None]:
    """Beat while the block runs, so that a cancel is delivered into it and a dead worker is noticed."""
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(timeout.total_seconds() / _BEATS_PER_TIMEOUT)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


def step(
    work: Callable[Concatenate[S, P], Awaitable[R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Make a method an activity's body: heartbeats where its policy asks for them, errors translated once.

    Raises:
        ApplicationError: type = the stable code, non-retryable when a repetition cannot help.
    """

    @functools.wraps(work)
    async def body(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        mark_beginning()
        try:
            async with heartbeating():
                # What peers say is quoted in results as well, and history keeps them for ever.
                return without_secrets(await work(self, *args, **kwargs), self._tools.secrets)
        except HoldfastError as error:
            # History, the Web UI and every reader of them show it: spelt out once, here.
            text = visible(self._tools.secrets.shown(str(error), _LONGEST_ERROR))
            activity.logger.warning("%s: %s", error.code, text)
            problems = without_secrets(error.problems, self._tools.secrets)
            details = [ValidationReport(problems=problems)] if problems else []
            raise ApplicationError(text, *details, type=error.code, non_retryable=not error.kind.retryable) from None
        except ApplicationError:
            raise
        except Exception as error:
            # A defect of ours. Its text may quote anything, secrets included, so only its name leaves the worker.
            activity.logger.exception("unexpected error in %s", activity.info().activity_type)
            text = f"unexpected {type(error).__name__} in {activity.info().activity_type}; the worker's log has details"
            attempts_left = activity.info().attempt < _UNEXPECTED_ATTEMPTS
            raise ApplicationError(text, type=ErrorCode.UNEXPECTED, non_retryable=not attempts_left) from None

    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, R]]", body)


_LONGEST_ERROR = 4_000
"""Characters of an error that leave the worker: it may quote a peer, and history keeps it."""

_UNEXPECTED_ATTEMPTS = 3
"""A defect is tried again twice, in case it was the moment's; then it ends the activity."""


class NotRepeatedError(HoldfastError):
    """Trouble that another attempt must not answer, whatever its code says of others."""

    @property
    def kind(self) -> ErrorKind:
        """As the code's, and never retryable."""
        return super().kind.model_copy(update={"retryable": False})


async def uncancelled(call: Coroutine[Any, Any, T]) -> T:
    """Await a call that switches something on to its end, even when cancelled meanwhile; then let the cancel pass.

    Dropping the connection would not stop the peer: it would act after we had looked and found nothing. The wait is
    bounded by the client's own total timeout.
    """
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        activity.logger.info("cancelled while the peer is working: waiting for its answer")
        await asyncio.wait([task])
        raise


async def poll(
    look: Callable[[], Awaitable[T | None]], *, end: Deadline, every: timedelta, stubborn: bool = False
) -> T | None:
    """Look again and again until there is an answer; None when `end` has passed.

    Trouble that may pass (network, 5xx) is tolerated until then: one failed look is no failed run
    (`peer-contract` property 25). `stubborn` tolerates everything, because closing has no alternative to trying again.
    There is always at least one look.
    """
    while True:
        try:
            found = await look()
        except HoldfastError as error:
            if not (stubborn or error.kind.retryable):
                raise
            activity.logger.info("looking again: %s", error)
            found = None
        if found is not None:
            return found
        if end.over:
            return None
        await asyncio.sleep(min(every, end.left).total_seconds())

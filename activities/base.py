"""Shared by all activities: error translation, heartbeats and polling.

This is the only place where a `HoldfastError` becomes Temporal's application error. The worker logs the cause and does
not send it: a chain of library errors carries URLs and headers, and the history keeps them for ever.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, cast

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clocks import Deadline, mark_beginning
from activities.log_context import LOGS_FAILURE, note_execution
from activities.span_facts import describe_span
from activities.toolbox import Toolbox
from clients.await_end import await_end
from clients.secrets.kept_out import without_secrets
from domain.control_characters import visible
from domain.errors import ErrorCode, ErrorKind, HoldfastError, ValidationReport

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="WithTools")
T = TypeVar("T")

_BEATS_PER_TIMEOUT = 3

_LONGEST_ERROR = 4_000
"""Most characters of an error that leave the worker.

The text may quote a peer, and the history keeps it.
"""

_UNEXPECTED_ATTEMPTS = 3
"""Attempts of an activity that fails with a defect of ours.

Two retries, in case the failure was transient. Then the error ends the activity.
"""


class WithTools(Protocol):
    """The attributes that every class of activities has."""

    _tools: Toolbox


@asynccontextmanager
async def heartbeating() -> AsyncIterator[None]:
    """Send heartbeats while the block runs.

    A cancel reaches an activity only with a heartbeat, and only missing heartbeats reveal a dead worker.
    """
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
    """Make a method an activity body, with heartbeats and error translation.

    Heartbeats are sent only if the activity's policy sets a heartbeat timeout.

    Raises:
        ApplicationError: type = the stable code. Non-retryable when a retry cannot help.
    """

    @functools.wraps(work)
    async def body(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        mark_beginning()
        note_execution(args[0] if args else None)
        describe_span(args[0] if args else None)
        LOGS_FAILURE.set(True)
        try:
            async with heartbeating():
                # Results quote peers too, and the history keeps them for ever.
                return without_secrets(await work(self, *args, **kwargs), self._tools.secrets)
        except HoldfastError as error:
            self._tools.metrics.failed(error)
            # The history, the Web UI and all their readers show this text, so control characters are spelt out here.
            text = visible(self._tools.secrets.shown(str(error), _LONGEST_ERROR))
            activity.logger.warning("%s: %s", error.code, text)
            problems = without_secrets(error.problems, self._tools.secrets)
            details = [ValidationReport(problems=problems)] if problems else []
            away = error.code is ErrorCode.STORE_UNAVAILABLE
            raise ApplicationError(
                text,
                *details,
                type=error.code,
                non_retryable=not error.kind.retryable,
                # The policy's few quick attempts would be over before a database has restarted.
                next_retry_delay=self._tools.store_retry if away else None,
            ) from None
        except ApplicationError:
            raise
        except Exception as error:
            # A defect of ours. Its text may quote anything, even secrets, so only the error's type leaves the worker.
            activity.logger.exception("unexpected error in %s", activity.info().activity_type)
            self._tools.metrics.failed(HoldfastError(ErrorCode.UNEXPECTED, type(error).__name__))
            text = f"unexpected {type(error).__name__} in {activity.info().activity_type}; the worker's log has details"
            attempts_left = activity.info().attempt < _UNEXPECTED_ATTEMPTS
            raise ApplicationError(text, type=ErrorCode.UNEXPECTED, non_retryable=not attempts_left) from None

    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, R]]", body)


class NotRepeatedError(HoldfastError):
    """An error that is never retried, even if its code usually is."""

    @classmethod
    def of(cls, error: HoldfastError) -> Self:
        """Return the same error, not to be retried."""
        return cls(error.code, error.message, hint=error.hint, problems=error.problems)

    @property
    def kind(self) -> ErrorKind:
        """The kind of the code, but never retryable."""
        return super().kind.model_copy(update={"retryable": False})


async def retry_within_attempt(work: Callable[[], Awaitable[T]], *, end: Deadline, every: timedelta) -> T:
    """Retry work within this attempt of the activity, until `end`.

    For work that follows an act which must happen once: another attempt would repeat the act. So errors that may pass
    are tried again here, and the last one is final.

    Raises:
        NotRepeatedError: with the code of the last error, or UNEXPECTED for a defect of ours.
    """
    last: HoldfastError | None = None

    async def once() -> tuple[T] | None:
        nonlocal last
        try:
            return (await work(),)
        except HoldfastError as error:
            last = error
            raise

    try:
        found = await poll(once, end=end, every=every)
    except HoldfastError as error:
        raise NotRepeatedError.of(error) from error
    except Exception as error:
        activity.logger.exception("unexpected error in %s", activity.info().activity_type)
        raise NotRepeatedError(
            ErrorCode.UNEXPECTED, f"unexpected {type(error).__name__}: see the worker's log"
        ) from None
    if found is None and last is not None:
        raise NotRepeatedError.of(last)
    return cast("tuple[T]", found)[0]


async def finish_despite_cancel(call: Coroutine[Any, Any, T]) -> T:
    """Finish a call that switches something on, even when cancelled meanwhile.

    The cancel is raised once the call has ended. The client's own total timeout bounds the wait.
    """
    task = asyncio.create_task(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # Dropping the connection would not stop the peer: it could still act after we had checked and found nothing.
        activity.logger.info("cancelled while the peer is working: waiting for its answer")
        if (error := await await_end(task)) is not None:
            code = error.code if isinstance(error, HoldfastError) else type(error).__name__
            activity.logger.info("after the cancel, the peer's answer was an error: %s", code)
        raise


async def poll(
    look: Callable[[], Awaitable[T | None]], *, end: Deadline, every: timedelta, stubborn: bool = False
) -> T | None:
    """Call `look` until it returns a result; None once `end` has passed.

    There is always at least one look. Errors that may pass (network, 5xx) are tolerated until `end`, because one failed
    look must not fail the run (`peer-contract` property 25). `stubborn` tolerates every `HoldfastError`, because
    closing has no alternative to trying again.
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


async def poll_until(
    done: Callable[[], Awaitable[bool]], *, end: Deadline, every: timedelta, stubborn: bool = False
) -> bool:
    """Poll until `done` returns True; False once `end` has passed. Errors are treated as by `poll`."""

    async def look() -> bool | None:
        return await done() or None

    return await poll(look, end=end, every=every, stubborn=stubborn) is not None

"""Cancelling, as it really behaves.

A cancel can be swallowed: an activity or child that ends normally although it was cancelled returns its value, and the
run would go on and complete. So does a signal that is on its way. So after every awaited activity, window or signal:
`ensure_not_cancelled()`.

And a cancel can hit the clean-up itself: only the first cancel is delivered, into whatever is awaited then. If that is
the closing of a window, the closing must go on. So every closing runs under `despite_cancel()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from domain.errors import ErrorCode

T = TypeVar("T")


def ensure_not_cancelled() -> None:
    """Raise when this workflow was asked to end (the reason may be an empty text).

    Raises:
        CancelledError: as if the cancel had been delivered here.
    """
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


async def despite_cancel(work: Coroutine[Any, Any, T]) -> T:
    """Finish `work` even when a cancel arrives meanwhile; the caller re-raises it with `ensure_not_cancelled`."""
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
    return task.result()


def cause_of(error: BaseException) -> ApplicationError | None:
    """The application error at the root of a failed activity or child; None when there is none (a timeout)."""
    found: BaseException | None = error
    while isinstance(found, (ActivityError, ChildWorkflowError)):
        found = found.cause
    return found if isinstance(found, ApplicationError) else None


def is_refusal(error: BaseException) -> bool:
    """Whether a step was not permitted: the run must end, whatever it was about."""
    application = cause_of(error)
    return application is not None and application.type == ErrorCode.NO_PERMIT


def text_of(error: BaseException) -> str:
    """What went wrong, in one sentence: the root's message, or the kind of timeout."""
    application = cause_of(error)
    if application is not None:
        return application.message
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    return str(root) or type(root).__name__

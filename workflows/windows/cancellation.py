"""Helpers for the way cancellation really behaves.

A cancel can be swallowed. An activity, child or signal that is already in flight may end normally although it was
cancelled. It then returns its value, and the run would go on and complete. So `ensure_not_cancelled()` follows every
awaited activity, window or signal.

A cancel can also hit the clean-up. Only the first cancel is delivered, into whatever is awaited at that moment. If that
is the closing of a window, the closing must go on. So every closing runs under `despite_cancel()`.
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
    """Raise if this workflow was cancelled.

    Raises:
        CancelledError: as if the cancel had been delivered here.
    """
    # Compared with None, because the reason may be an empty text.
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


async def despite_cancel(work: Coroutine[Any, Any, T]) -> T:
    """Finish `work` even if a cancel arrives meanwhile.

    The cancel is swallowed. The caller raises it afterwards, with `ensure_not_cancelled`.
    """
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
    return task.result()


def cause_of(error: BaseException) -> ApplicationError | None:
    """Return the application error behind a failed activity or child.

    None if there is none, as with a timeout.
    """
    cause: BaseException | None = error
    while isinstance(cause, (ActivityError, ChildWorkflowError)):
        cause = cause.cause
    return cause if isinstance(cause, ApplicationError) else None


def is_refusal(error: BaseException) -> bool:
    """Return whether a step was refused a permit, which ends the run."""
    application = cause_of(error)
    return application is not None and application.type == ErrorCode.NO_PERMIT


def text_of(error: BaseException) -> str:
    """Return the error in one sentence: root message or kind of timeout."""
    application = cause_of(error)
    if application is not None:
        return application.message
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    return str(root) or type(root).__name__

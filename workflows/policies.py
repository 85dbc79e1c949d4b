"""Every timeout, retry, heartbeat and cancellation type, built from `Timing`. No workflow states one of its own.

Kinds of work, and their policies:

* `quick`: one idempotent call; network trouble and 5xx are retried after 1, 2, 4 s, 4xx and validation are not
  (the activities mark them non-retryable).
* `opening`: the same for switching something on, with a heartbeat.
* `carefully`: switching something on where a blind repetition does harm (upsert). Only the worker's death repeats it,
  and the repetition first removes what the dead attempt did.
* `waiting`: looks at something until it is so, or its deadline passes; heartbeats, survives its worker.
* `closing`: switches something off and verifies it; repeated for as long as the plan's recovery time allows.

All of them are waited for on cancel: whoever undoes something must know that the doing has stopped. Tried out: with
the default cancellation type the clean-up overtakes the fault.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ChildWorkflowCancellationType, ParentClosePolicy

from domain.timing import Timing

_BACKOFF = 2.0
_QUICK_ATTEMPTS = 4
"""The first call and three repetitions, after 1, 2 and 4 s (`peer-contract` section 5)."""

LONGEST_WAIT = timedelta(days=7)
"""For a namespace that another run holds."""


class ActivityOptions(TypedDict, total=False):
    """Keyword arguments of `workflow.execute_activity`."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType
    task_queue: str


class ChildOptions(TypedDict, total=False):
    """Keyword arguments of `workflow.execute_child_workflow`."""

    parent_close_policy: ParentClosePolicy
    cancellation_type: ChildWorkflowCancellationType


WINDOW: ChildOptions = {
    "parent_close_policy": ParentClosePolicy.REQUEST_CANCEL,
    "cancellation_type": ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
}
"""Windows and pages: no timeouts and no retries of their own; when the parent ends they are asked to close."""


def _retry(timing: Timing, attempts: int) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timing.retry_initial,
        backoff_coefficient=_BACKOFF,
        maximum_interval=timing.retry_initial * 8,
        maximum_attempts=attempts,
    )


def quick(timing: Timing) -> ActivityOptions:
    """One idempotent call."""
    return {
        "start_to_close_timeout": timing.call_timeout,
        "retry_policy": _retry(timing, _QUICK_ATTEMPTS),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def opening(timing: Timing) -> ActivityOptions:
    """Switching something on under a name of ours: repeated, because a repetition finds what an earlier one did.

    Twice the time of one call: after an unknown outcome the peer is asked what became of it.
    """
    return {
        **quick(timing),
        "start_to_close_timeout": timing.call_timeout * 2,
        "heartbeat_timeout": timing.heartbeat_timeout,
    }


def bookkeeping(timing: Timing) -> ActivityOptions:
    """A write to the store: repeated until it is done, because a run must not lose track of what it switched on."""
    return {**quick(timing), "retry_policy": _retry(timing, 0)}


def carefully(timing: Timing, longest: timedelta) -> ActivityOptions:
    """A call that is repeated only when its worker died; `longest` is all its waiting. The activity sees to the rest.

    Time for removing what a dead attempt left is part of it: it must stay absent for `settle` before the call.
    """
    return {
        "start_to_close_timeout": longest + timing.settle + timing.call_timeout * 3,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, 0),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def waiting(timing: Timing, longest: timedelta) -> ActivityOptions:
    """A wait of at most `longest`, over all attempts; the activity itself keeps the deadline, these are the nets."""
    return {
        "start_to_close_timeout": longest + timing.call_timeout,
        "schedule_to_close_timeout": longest + 2 * timing.call_timeout + 2 * timing.heartbeat_timeout,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, 0),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def watching(timing: Timing) -> ActivityOptions:
    """Looks for as long as the run works, whatever becomes of its workers; the run cancels it."""
    return waiting(timing, LONGEST_WAIT)


def closing(timing: Timing, recovery: timedelta) -> ActivityOptions:
    """Switching off, verified. The activity itself gives up when `recovery` has passed, after at least one look.

    No bound over all attempts: when every worker is down for long, the next one must still look before it gives up.
    """
    return {
        "start_to_close_timeout": recovery + timing.settle + timing.call_timeout * 2,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, 0),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def measuring(timing: Timing, longest: timedelta, queue: str) -> ActivityOptions:
    """A batch of load on its own queue; a repeated batch goes on after the last stored case."""
    return {
        "start_to_close_timeout": longest + timing.call_timeout,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, 0),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        "task_queue": queue,
    }

"""Every timeout, retry, heartbeat and cancellation type, built from `Timing`.

No workflow sets its own. There is a policy for each kind of work:

* `quick`: one idempotent call. Network errors and 5xx are retried after 1, 2 and 4 s. 4xx and validation errors are not
  (the activities mark them non-retryable).
* `opening`: the same, for switching something on, with a heartbeat.
* `carefully`: switching something on where a blind retry does harm (upsert). It is repeated only if its worker dies, or
  on a defect of ours, and the repetition first removes what the earlier attempt did.
* `waiting`: polls until a condition holds or its deadline passes. It sends heartbeats, and survives its worker.
* `closing`: switches something off and verifies it. It is repeated for as long as the plan's recovery time allows.

A cancel waits for every activity to end: an undo must know that the action it undoes has stopped. This was tested: with
the default cancellation type, the clean-up overtakes the fault.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ChildWorkflowCancellationType, ParentClosePolicy

from domain.timing import Timing

_BACKOFF = 2.0
_QUICK_ATTEMPTS = 4
"""The first call and three retries (`peer-contract` section 5)."""
_UNLIMITED_ATTEMPTS = 0
"""Temporal's value for no limit."""

LONGEST_WAIT = timedelta(days=7)
"""Longest wait for something that lasts as long as a run.

For example the lock of a namespace that another run holds, or the end of a run.
"""


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
"""Options of windows and pages, without timeouts and retries.

When the parent ends, however that happens, the server asks them to close.
"""


def _retry(timing: Timing, attempts: int) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timing.retry_initial,
        backoff_coefficient=_BACKOFF,
        maximum_interval=timing.retry_initial * 8,
        maximum_attempts=attempts,
    )


def quick(timing: Timing) -> ActivityOptions:
    """Return the policy of one idempotent call."""
    return {
        "start_to_close_timeout": timing.call_timeout,
        "retry_policy": _retry(timing, _QUICK_ATTEMPTS),
        # Here and below: with the default type, the clean-up would overtake the fault.
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def opening(timing: Timing) -> ActivityOptions:
    """Return the policy for switching something on under a name of ours.

    It is retried, because by that name a retry finds what an earlier attempt did.
    """
    return {
        **quick(timing),
        # Twice: after an unknown outcome, the peer is asked what became of the call.
        "start_to_close_timeout": timing.call_timeout * 2,
        "heartbeat_timeout": timing.heartbeat_timeout,
    }


def bookkeeping(timing: Timing) -> ActivityOptions:
    """Return the policy of a write to the store, retried without limit."""
    # A run must not lose track of what it switched on.
    return {**quick(timing), "retry_policy": _retry(timing, _UNLIMITED_ATTEMPTS)}


def carefully(timing: Timing, longest: timedelta) -> ActivityOptions:
    """Return the policy of a call that must not be retried blindly.

    It is repeated only if its worker dies, or on a defect of ours. The activity ensures that by making its errors
    non-retryable. `longest` bounds all of its waiting.
    """
    return {
        # Includes time to remove what an earlier attempt left, which must stay absent for `settle` before the call.
        "start_to_close_timeout": longest + timing.settle + timing.call_timeout * 3,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, _UNLIMITED_ATTEMPTS),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def waiting(timing: Timing, longest: timedelta) -> ActivityOptions:
    """Return the policy of a wait of at most `longest`, retries included.

    The activity itself keeps that deadline. These timeouts are only the safety net.
    """
    return {
        "start_to_close_timeout": longest + timing.call_timeout,
        "schedule_to_close_timeout": longest + 2 * timing.call_timeout + 2 * timing.heartbeat_timeout,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, _UNLIMITED_ATTEMPTS),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def watching(timing: Timing) -> ActivityOptions:
    """Return the policy of a watch that the run ends by cancelling.

    It survives the loss of its workers.
    """
    return waiting(timing, LONGEST_WAIT)


def closing(timing: Timing, recovery: timedelta) -> ActivityOptions:
    """Return the policy for switching off with verification.

    The activity itself gives up when `recovery` has passed, after at least one look.
    """
    # No schedule-to-close timeout: after a long outage of all workers, the next one must still look before it gives up.
    return {
        "start_to_close_timeout": recovery + timing.settle + timing.call_timeout * 2,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, _UNLIMITED_ATTEMPTS),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def measuring(timing: Timing, longest: timedelta, queue: str) -> ActivityOptions:
    """Return the policy of a batch of load, on the load queue.

    A retry goes on after the last stored case.
    """
    return {
        "start_to_close_timeout": longest + timing.call_timeout,
        "heartbeat_timeout": timing.heartbeat_timeout,
        "retry_policy": _retry(timing, _UNLIMITED_ATTEMPTS),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        "task_queue": queue,
    }

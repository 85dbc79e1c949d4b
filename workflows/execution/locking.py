"""Taking the environment's lock.

If another run holds it, the run's input decides: refuse, wait, or replace that run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

from domain.errors import ErrorCode
from domain.executions.board import ExecutionBoard
from domain.executions.execution import ExecutionRef, IfBusy
from domain.executions.windows import LockHolder, LockInput, LockReport, LockWait, OthersWait, WindowInput
from domain.names import MEMO_HOLDER, lock_of
from domain.plans.plan import Plan
from domain.timing import Timing
from workflows import policies
from workflows.execution.failures import StageError
from workflows.windows.cancellation import cause_of, ensure_not_cancelled
from workflows.windows.lock import EnvironmentLock

with workflow.unsafe.imports_passed_through():
    from activities.run.lock import LockActivities


Wait = TypeVar("Wait", LockWait, OthersWait)

Lock = workflow.ChildWorkflowHandle[EnvironmentLock, LockReport]


async def take_lock(plan: Plan, order: LockInput, if_busy: IfBusy, board: ExecutionBoard[Any]) -> Lock:
    """Start the lock's workflow and wait until it holds a clean namespace.

    Raises:
        StageError: EXECUTION_ALREADY_RUNNING when another run holds the lock and `if_busy` is `refuse`.
        ChildWorkflowError: ENVIRONMENT_NOT_CLEAN from the lock's pre-flight. EXECUTION_ALREADY_RUNNING from there when
            another run acts on the same places under another lock and `if_busy` is `refuse`.
    """
    lock_id = lock_of(order.execution)
    holder = LockHolder(
        plan=plan.name,
        workflow_id=order.parent_workflow_id,
        run_id=order.parent_run_id,
        execution_id=order.execution.execution_id,
    )
    while True:
        try:
            lock = await workflow.start_child_workflow(
                EnvironmentLock.run,
                order,
                id=lock_id,
                memo={MEMO_HOLDER: holder},
                static_summary=f"Hold namespace {plan.system.namespace}",
                **policies.WINDOW,
            )
        except WorkflowAlreadyStartedError:
            await _wait_for_holder(plan, order, lock_id, if_busy, board)
            continue
        if await _acquired(lock, lock_id, if_busy, board):
            return lock
        await _wait_for_others(order, if_busy, board)


async def _acquired(lock: Lock, lock_id: str, if_busy: IfBusy, board: ExecutionBoard[Any]) -> bool:
    """Wait until the lock's window is open, which means that it holds the namespace.

    False if a run under another lock is in the way: wait for that run, then try again.
    """
    await workflow.wait_condition(lambda: board.is_open(lock_id) or lock.done())
    if lock.done():
        try:
            await lock
        except ChildWorkflowError as error:
            cause = cause_of(error)
            if cause is None or cause.type != ErrorCode.EXECUTION_ALREADY_RUNNING or if_busy is IfBusy.REFUSE:
                raise
            ensure_not_cancelled()
            return False
    ensure_not_cancelled()
    return True


async def _wait_for_others(order: WindowInput, if_busy: IfBusy, board: ExecutionBoard[Any]) -> None:
    """Wait for runs on the same places under another lock.

    They belong to older versions, or to workers with other settings.
    """
    execution = order.execution
    wait = OthersWait(execution_id=execution.execution_id, cancel=if_busy is IfBusy.REPLACE)
    holder = await workflow.execute_activity_method(
        LockActivities.describe_others,
        ExecutionRef(execution_id=execution.execution_id),
        summary="See who acts on the same system",
        **policies.quick(execution.timing),
    )
    ensure_not_cancelled()
    who = _described(holder)
    await _wait(board, who, LockActivities.await_others, wait, execution.timing)


def _described(holder: LockHolder) -> str:
    return f"{holder.workflow_id} (execution {holder.execution_id}, plan {holder.plan})"


async def _wait_for_holder(
    plan: Plan, order: WindowInput, lock_id: str, if_busy: IfBusy, board: ExecutionBoard[Any]
) -> None:
    """Wait until the lock may be free.

    An earlier run of this workflow id is always waited for, even if `if_busy` is `refuse`.
    """
    timing = order.execution.timing
    wait = LockWait(lock_id=lock_id, cancel_holder=if_busy is IfBusy.REPLACE)
    holder = await workflow.execute_activity_method(
        LockActivities.describe_holder, wait, summary="See who holds the namespace", **policies.quick(timing)
    )
    ensure_not_cancelled()
    who = _described(holder)
    if if_busy is IfBusy.REFUSE and holder.workflow_id not in ("", order.parent_workflow_id):
        raise StageError(
            ErrorCode.EXECUTION_ALREADY_RUNNING,
            f"namespace {plan.system.namespace} is held by {who}. Wait for it, or start with if_busy wait or replace",
        )
    await _wait(board, who, LockActivities.await_free, wait, timing)


async def _wait(
    board: ExecutionBoard[Any],
    who: str,
    until_gone: Callable[[LockActivities, Wait], Awaitable[None]],
    order: Wait,
    timing: Timing,
) -> None:
    """Wait until another run is gone, and show meanwhile which."""
    board.waiting_for(who)
    options = policies.waiting(timing, policies.LONGEST_WAIT)
    await workflow.execute_activity_method(until_gone, order, summary=f"Wait for {who}", **options)
    ensure_not_cancelled()
    board.waiting_for("")

"""The one gate before anything is switched on, any load is sent, or any result is written.

Every activity carries its duty, and `tests/security/test_permit_duties.py` demands one of each that a worker offers:

* `acts(need)`: switches on, sends requests, or cleans up after others. Gets a `Permit`, or ends with NO_PERMIT.
* `writes(...)`: changes rows of an execution; only its own workflows may. What may still change is the store's to say.
* `closes`: switches off. Asks nothing, because closing must always work, and acts only on names that are ours.
* `reads`: looks.

A permit is asked for at the moment of acting, because anyone who reaches Temporal can call an activity, or start a
window, without going through a run; and because rails, locks and halts change while a run is under way.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from temporalio import activity

from activities.base import WithTools, step
from activities.clocks import server_now
from activities.toolbox import Subject, Toolbox
from activities.windows_of import identity
from workflows.contracts.errors import ErrorCode, HoldfastError, Problem
from workflows.contracts.permits import Caller, Standing
from workflows.contracts.plan import Plan
from workflows.contracts.windows import LedgerEntry, LedgerState, WindowKind
from workflows.logic.canonical import canonical_json
from workflows.logic.guardrails import outside, too_few_for_pairs
from workflows.logic.permits import Decision, Need, decide, stranger, too_many_faults
from workflows.logic.validation import check_plan
from workflows.logic.wording import in_one_sentence
from workflows.names import WorkflowType, lock_of


class Duty(StrEnum):
    """What an activity is there for, and so what it is asked before it begins."""

    ACTS = "acts"
    WRITES = "writes"
    CLOSES = "closes"
    READS = "reads"


class OfExecution(Protocol):
    """An order that names its execution."""

    @property
    def execution_id(self) -> int:
        """The execution's id in the store."""
        ...


S = TypeVar("S", bound=WithTools)
O = TypeVar("O", bound=OfExecution)  # noqa: E741 - an order
R = TypeVar("R")
T = TypeVar("T")
Anything = TypeVar("Anything", bound=Callable[..., Any])


@dataclass(frozen=True)
class Permit:
    """What an activity may act on: read from the store and allowed by this worker, at the moment of asking."""

    subject: Subject
    row: LedgerEntry | None
    """The window in the ledger that covers it; None for what the run itself asks."""

    @property
    def window(self) -> LedgerEntry:
        """The window that covers it.

        Raises:
            HoldfastError: NO_PERMIT when what was asked for needs none, a defect of ours.
        """
        if self.row is None:
            raise no_permit("no window covers it")
        return self.row


def no_permit(why: str, problems: list[Problem] | None = None) -> HoldfastError:
    """The refusal, which no repetition mends."""
    return HoldfastError(
        ErrorCode.NO_PERMIT,
        f"{activity.info().activity_type} was refused: {why}",
        hint="nothing was switched on by this step; what was on is being closed",
        problems=problems or [],
    )


def caller() -> Caller:
    """Who asked for the activity that runs now, by the server's word."""
    info = activity.info()
    return Caller(
        workflow_type=info.workflow_type or "",
        workflow_id=info.workflow_id or "",
        run_id=info.workflow_run_id or "",
    )


def acts(need: Need) -> Callable[[Callable[[S, O, Permit], Awaitable[R]]], Callable[[S, O], Coroutine[Any, Any, R]]]:
    """Make a method an activity that acts: it gets a permit, asked for in every attempt, or does not begin.

    Raises:
        ApplicationError: NO_PERMIT, not retryable.
    """

    def decorate(work: Callable[[S, O, Permit], Awaitable[R]]) -> Callable[[S, O], Coroutine[Any, Any, R]]:
        @functools.wraps(work)
        async def permitted(self: S, order: O) -> R:
            return await work(self, order, await ask(self._tools, need, order.execution_id))

        _without_permit(work, permitted)
        return _on_duty(step(permitted), Duty.ACTS, need)

    return decorate


def writes(
    *callers: WorkflowType,
) -> Callable[[Callable[[S, O], Awaitable[R]]], Callable[[S, O], Coroutine[Any, Any, R]]]:
    """Make a method an activity that writes for an execution: only workflows of that execution, of these types.

    Raises:
        ApplicationError: NO_PERMIT, not retryable.
    """

    def decorate(work: Callable[[S, O], Awaitable[R]]) -> Callable[[S, O], Coroutine[Any, Any, R]]:
        @functools.wraps(work)
        async def known(self: S, order: O) -> R:
            standing = await self._tools.store.standing(order.execution_id)
            if why := stranger(list(callers), caller(), standing):
                raise no_permit(why)
            return await work(self, order)

        return _on_duty(step(known), Duty.WRITES, Need(callers=list(callers)))

    return decorate


def writes_itself(work: Callable[[S, T], Awaitable[R]]) -> Callable[[S, T], Coroutine[Any, Any, R]]:
    """Make a method an activity that writes, and sees for itself who asks: there is no execution yet, or only a row."""
    return _on_duty(step(work), Duty.WRITES)


def closes(work: Callable[[S, T], Awaitable[R]]) -> Callable[[S, T], Coroutine[Any, Any, R]]:
    """Make a method an activity that switches off, or waits for it: it asks for nothing."""
    return _on_duty(step(work), Duty.CLOSES)


def reads(work: Callable[[S, T], Awaitable[R]]) -> Callable[[S, T], Coroutine[Any, Any, R]]:
    """Make a method an activity that only looks."""
    return _on_duty(step(work), Duty.READS)


def _on_duty(body: Anything, duty: Duty, need: Need | None = None) -> Anything:
    vars(body).update(duty=duty, need=need)
    return body


def _without_permit(work: Callable[..., Any], permitted: Callable[..., Any]) -> None:
    """Show Temporal the parameters that it fills: the order, and not the permit."""
    signature = inspect.signature(work)
    kept = [one for one in signature.parameters.values() if one.name != "permit"]
    vars(permitted)["__signature__"] = signature.replace(parameters=kept)
    permitted.__annotations__ = {name: kind for name, kind in work.__annotations__.items() if name != "permit"}


async def ask(tools: Toolbox, need: Need, execution_id: int) -> Permit:
    """Ask for a permit, now.

    Raises:
        HoldfastError: NO_PERMIT with the first reason found, and the plan's problems when it is for those.
    """
    standing = await tools.store.standing(execution_id)
    subject = await tools.subject(execution_id)
    decision = decide(need, caller(), standing, lock_of(subject.execution), server_now())
    if decision.halted:
        await _be_cancelled(subject)
    if decision.refused:
        raise no_permit(decision.refused)
    _refuse_plan(tools, subject.plan, decision)
    _refuse_row(subject, standing, decision.row)
    return Permit(subject, decision.row)


async def _be_cancelled(subject: Subject) -> None:
    """Give a halt the time of a heartbeat to cancel the run: it ends as cancelled then, and not as failed."""
    await asyncio.sleep(subject.execution.timing.heartbeat_timeout.total_seconds())


def _refuse_plan(tools: Toolbox, plan: Plan, decision: Decision) -> None:
    problems = list(rule_problems(canonical_json(plan)))
    if problems:
        raise no_permit(f"the plan breaks today's rules, {in_one_sentence(problems)}", problems)
    problems = outside(plan, tools.rails)
    if decision.row is not None and decision.row.kind in (WindowKind.PAIRS, WindowKind.PAIR_FAULT):
        problems += too_few_for_pairs(tools.rails)
    if problems:
        raise no_permit(f"the worker does not allow this plan any more, {in_one_sentence(problems)}", problems)


@lru_cache(maxsize=16)
def rule_problems(plan_json: str) -> tuple[Problem, ...]:
    """Every rule of today that a stored plan breaks. Rules do not change while a worker runs, so each is read once."""
    return tuple(check_plan(json.loads(plan_json))[1])


def _refuse_row(subject: Subject, standing: Standing, row: LedgerEntry | None) -> None:
    if row is None:
        return
    if why := identity(row, subject.execution, subject.plan):
        raise no_permit(why)
    if why := too_many_faults(standing, row, subject.plan.safety.max_active_faults):
        raise no_permit(why)


async def may_ask_again(tools: Toolbox, subject: Subject) -> str:
    """Why the lock may not ask for the steady state once more, when all is off; empty when it may.

    Neither a halt nor a broken rule keeps it from that: only that somebody else asks, or that the request would go
    where this worker no longer sends anything.
    """
    asking = caller()
    mine = (asking.workflow_id, asking.run_id)
    # Settled rows count as well: `recover` or the sweeper may have settled the lock's before its worker came back.
    rows = [row for row in await tools.store.ledger_of(subject.execution.execution_id) if row.kind is WindowKind.LOCK]
    if not any((row.window_id, row.run_id) == mine for row in rows):
        return "it was not asked for by the run's lock"
    where = ("system.namespace", "request.")
    problems = [one for one in outside(subject.plan, tools.rails) if one.path.startswith(where)]
    return f"the worker does not allow it any more, {in_one_sentence(problems)}" if problems else ""


INJECT = Need(callers=[WorkflowType.FAULT_WINDOW], kinds=[WindowKind.FAULT, WindowKind.PAIR_FAULT])
REPLAY = Need(callers=[WorkflowType.FAULT_WINDOW], kinds=[WindowKind.FAULT], states=[LedgerState.OPEN])
RECORD = Need(callers=[WorkflowType.RECORDING_WINDOW], kinds=[WindowKind.RECORDING])
RECORD_CALLS = Need(callers=[WorkflowType.CALLS_WINDOW], kinds=[WindowKind.CALLS])
READ_CALLS = Need(
    callers=[WorkflowType.RESILIENCE_TEST], covered_by=WindowKind.CALLS, states=[LedgerState.OPEN], of_the_run=True
)
"""The run reads while the window holds recordings open, and sends one more healthy request to see that all is there."""
ASK = Need(
    callers=[WorkflowType.FAULT_WINDOW, WorkflowType.PAIRS_WINDOW],
    kinds=[WindowKind.FAULT, WindowKind.PAIRS],
    states=[LedgerState.OPEN],
)
UPSERT = Need(callers=[WorkflowType.RULES_WINDOW], kinds=[WindowKind.RULES])
MEASURE = Need(callers=[WorkflowType.LOAD_PAGE], covered_by=WindowKind.RULES, states=[LedgerState.OPEN])
"""A page is a child of the rules window, whose row covers it: it holds nothing itself."""
COMPARE = Need(callers=[WorkflowType.PAIRS_WINDOW], kinds=[WindowKind.PAIRS], states=[LedgerState.OPEN])
OF_THE_RUN = Need(callers=[WorkflowType.RESILIENCE_TEST])
"""Steady state and stop conditions: no window but the lock covers them."""
TAKE_LOCK = Need(
    callers=[WorkflowType.ENVIRONMENT_LOCK], kinds=[WindowKind.LOCK], states=[LedgerState.INTENT], under_lock=False,
    halt_is_its_own=True,
)  # fmt: skip
"""The look with which the lock is taken, which may clean up after others. It reports a halt under a code of its own."""

"""Permits: the check before switching on, sending load or writing results.

Every activity declares its duty. `tests/unit/project/test_permit_duties.py` requires one of every activity that a
worker offers:

* `acts(need)`: switches on, sends requests, or cleans up after others. Gets a `Permit`, or ends with NO_PERMIT.
* `writes(...)`: changes rows of an execution. Only its own workflows may. The store decides what may still change.
* `closes`: switches off. Needs no permit, because closing must always work. Acts only on names that are ours.
* `reads`: only looks.

A permit is requested at the moment of acting, for two reasons. Anyone who reaches Temporal can call an activity or
start a window without going through a run. And guardrails, locks and halts change while a run is under way.
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
from activities.clocks import elapsed, server_now
from activities.run.window_rows import why_foreign_row
from activities.toolbox import Subject, Toolbox
from domain.errors import ErrorCode, HoldfastError, Problem
from domain.executions.permit_facts import Caller, Standing
from domain.executions.permits import Decision, Need, decide, why_foreign_caller, why_too_many_faults
from domain.executions.windows import Closing, LedgerEntry, LedgerState, WindowKind
from domain.guardrails.check import outside, too_few_for_pairs
from domain.names import WorkflowType, lock_of
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from domain.plans.validation.wording import in_one_sentence


class Duty(StrEnum):
    """What an activity does, which decides what is checked before it begins."""

    ACTS = "acts"
    WRITES = "writes"
    CLOSES = "closes"
    READS = "reads"


class OfExecution(Protocol):
    """An input that names its execution."""

    @property
    def execution_id(self) -> int:
        """The execution's id in the store."""
        ...


S = TypeVar("S", bound=WithTools)
O = TypeVar("O", bound=OfExecution)  # noqa: E741 - an order
R = TypeVar("R")
T = TypeVar("T")
Anything = TypeVar("Anything", bound=Callable[..., Any])


INJECT = Need(callers=[WorkflowType.FAULT_WINDOW], kinds=[WindowKind.FAULT, WindowKind.PAIR_FAULT])
"""Inject the fault of the window's service."""

REPLAY = Need(callers=[WorkflowType.FAULT_WINDOW], kinds=[WindowKind.FAULT], states=[LedgerState.OPEN])
"""Send recorded requests to the broken service."""

RECORD = Need(callers=[WorkflowType.RECORDING_WINDOW], kinds=[WindowKind.RECORDING])
"""Begin the recordings of the analysis, and send the plan's request to be recorded."""

RECORD_CALLS = Need(callers=[WorkflowType.CALLS_WINDOW], kinds=[WindowKind.CALLS])
"""Begin the recordings that stay on while services are broken."""

READ_CALLS = Need(
    callers=[WorkflowType.RESILIENCE_TEST], covered_by=WindowKind.CALLS, states=[LedgerState.OPEN], of_the_run=True
)
"""Read those recordings, and send healthy requests to see that everything has arrived in them.

The run itself reads, while the calls window holds the recordings open.
"""

SEND_REQUEST = Need(
    callers=[WorkflowType.FAULT_WINDOW, WorkflowType.PAIRS_WINDOW],
    kinds=[WindowKind.FAULT, WindowKind.PAIRS],
    states=[LedgerState.OPEN],
)
"""Send the plan's request while services are broken."""

UPSERT = Need(callers=[WorkflowType.RULES_WINDOW], kinds=[WindowKind.RULES])
"""Install the rules."""

MEASURE = Need(callers=[WorkflowType.LOAD_PAGE], covered_by=WindowKind.RULES, states=[LedgerState.OPEN])
"""Load-test a batch of cases. A page holds nothing itself, so the rules window's row covers it."""

COMPARE = Need(callers=[WorkflowType.PAIRS_WINDOW], kinds=[WindowKind.PAIRS], states=[LedgerState.OPEN])
"""Compare a pair's answers under two real faults with those under its rules."""

OF_THE_RUN = Need(callers=[WorkflowType.RESILIENCE_TEST])
"""See the steady state, and watch stop conditions. Only the lock covers these."""

TAKE_LOCK = Need(
    callers=[WorkflowType.ENVIRONMENT_LOCK], kinds=[WindowKind.LOCK], states=[LedgerState.INTENT], under_lock=False,
    checks_halt_itself=True,
)  # fmt: skip
"""Check everything before a run, which takes the lock and may clean up first.

A halt is reported under a code of its own.
"""


@dataclass(frozen=True)
class Permit:
    """What an activity may act on, as of the moment of asking.

    Read from the store, and allowed by this worker.
    """

    subject: Subject
    row: LedgerEntry | None
    """The ledger row that covers the activity; None for the run's own."""

    @property
    def window(self) -> LedgerEntry:
        """The window that covers the activity.

        Raises:
            HoldfastError: NO_PERMIT when no window covers it, which is a defect of ours.
        """
        if self.row is None:
            raise no_permit("no window covers it")
        return self.row


def no_permit(why: str, problems: list[Problem] | None = None) -> HoldfastError:
    """Build the refusal, which no retry can change."""
    return HoldfastError(
        ErrorCode.NO_PERMIT,
        f"{activity.info().activity_type} was refused: {why}",
        hint="nothing was switched on by this step; what was on is being closed",
        problems=problems or [],
    )


def caller() -> Caller:
    """Return who called the running activity, as the server reports it."""
    info = activity.info()
    return Caller(
        workflow_type=info.workflow_type or "",
        workflow_id=info.workflow_id or "",
        run_id=info.workflow_run_id or "",
    )


def acts(need: Need) -> Callable[[Callable[[S, O, Permit], Awaitable[R]]], Callable[[S, O], Coroutine[Any, Any, R]]]:
    """Make a method an activity that acts, and only with a permit.

    Every attempt requests a new permit before it begins.

    Raises:
        ApplicationError: NO_PERMIT, not retryable.
    """

    def decorate(work: Callable[[S, O, Permit], Awaitable[R]]) -> Callable[[S, O], Coroutine[Any, Any, R]]:
        @functools.wraps(work)
        async def permitted(self: S, order: O) -> R:
            return await work(self, order, await obtain_permit(self._tools, need, order.execution_id))

        _hide_permit(work, permitted)
        return _mark_duty(step(permitted), Duty.ACTS, need)

    return decorate


def writes(
    *callers: WorkflowType,
) -> Callable[[Callable[[S, O], Awaitable[R]]], Callable[[S, O], Coroutine[Any, Any, R]]]:
    """Make a method an activity that writes for an execution.

    Only workflows of that execution, and of these types, may call it. Without types, only the execution's own workflow
    may, whatever its kind.

    Raises:
        ApplicationError: NO_PERMIT, not retryable.
    """

    def decorate(work: Callable[[S, O], Awaitable[R]]) -> Callable[[S, O], Coroutine[Any, Any, R]]:
        @functools.wraps(work)
        async def checked(self: S, order: O) -> R:
            standing = await self._tools.store.standings.of(order.execution_id)
            if why := why_foreign_caller(list(callers), caller(), standing):
                raise no_permit(why)
            return await work(self, order)

        return _mark_duty(step(checked), Duty.WRITES, Need(callers=list(callers)))

    return decorate


def writes_itself(work: Callable[[S, T], Awaitable[R]]) -> Callable[[S, T], Coroutine[Any, Any, R]]:
    """Make a method an activity that writes and checks its caller itself.

    For calls that have no execution yet, or only a ledger row.
    """
    return _mark_duty(step(work), Duty.WRITES)


def closes(work: Callable[[S, T], Awaitable[R]]) -> Callable[[S, T], Coroutine[Any, Any, R]]:
    """Make a method an activity that switches off, or waits for that.

    It needs no permit. How long a closing took is counted, from when it was first asked for.
    """

    @functools.wraps(work)
    async def timed(self: S, order: T) -> R:
        found = await work(self, order)
        if isinstance(found, Closing):
            window = activity.info().workflow_type or ""
            self._tools.metrics.closed(window, elapsed(), verified=found.verified)
        return found

    return _mark_duty(step(timed), Duty.CLOSES)


def reads(work: Callable[[S, T], Awaitable[R]]) -> Callable[[S, T], Coroutine[Any, Any, R]]:
    """Make a method an activity that only looks."""
    return _mark_duty(step(work), Duty.READS)


def _mark_duty(body: Anything, duty: Duty, need: Need | None = None) -> Anything:
    vars(body).update(duty=duty, need=need)
    return body


def _hide_permit(work: Callable[..., Any], permitted: Callable[..., Any]) -> None:
    """Hide the permit from Temporal, which fills every parameter it sees."""
    signature = inspect.signature(work)
    kept = [parameter for parameter in signature.parameters.values() if parameter.name != "permit"]
    vars(permitted)["__signature__"] = signature.replace(parameters=kept)
    permitted.__annotations__ = {name: kind for name, kind in work.__annotations__.items() if name != "permit"}


async def obtain_permit(tools: Toolbox, need: Need, execution_id: int) -> Permit:
    """Get a permit as things stand now.

    Raises:
        HoldfastError: NO_PERMIT with the first reason found, and with the plan's problems if they are the reason.
    """
    standing = await tools.store.standings.of(execution_id)
    subject = await tools.subject(execution_id)
    decision = decide(need, caller(), standing, lock_of(subject.execution), server_now())
    if decision.halted:
        await _give_cancel_time(subject)
    if decision.refused:
        raise no_permit(decision.refused)
    _require_allowed_plan(tools, subject.plan, decision)
    _require_own_row(subject, standing, decision.row)
    return Permit(subject, decision.row)


async def _give_cancel_time(subject: Subject) -> None:
    # A halt also cancels every run. One heartbeat timeout lets that cancel arrive before the refusal does, so that the
    # run ends as cancelled and not as failed.
    await asyncio.sleep(subject.execution.timing.heartbeat_timeout.total_seconds())


def _require_allowed_plan(tools: Toolbox, plan: Plan, decision: Decision) -> None:
    problems = list(rule_problems(canonical_json(plan)))
    if problems:
        raise no_permit(f"the plan breaks today's rules, {in_one_sentence(problems)}", problems)
    problems = outside(plan, tools.rails)
    if decision.row is not None and decision.row.kind in (WindowKind.PAIRS, WindowKind.PAIR_FAULT):
        problems += too_few_for_pairs(tools.rails)
    if problems:
        raise no_permit(f"the worker does not allow this plan any more, {in_one_sentence(problems)}", problems)


# Cached: rules do not change while a worker runs.
@lru_cache(maxsize=16)
def rule_problems(plan_json: str) -> tuple[Problem, ...]:
    """Return every one of today's rules that a stored plan breaks."""
    return tuple(check_plan(json.loads(plan_json))[1])


def _require_own_row(subject: Subject, standing: Standing, row: LedgerEntry | None) -> None:
    if row is None:
        return
    if why := why_foreign_row(row, subject.execution, subject.plan):
        raise no_permit(why)
    if why := why_too_many_faults(standing, row, subject.plan.safety.max_active_faults):
        raise no_permit(why)


async def why_not_check_steady_state(tools: Toolbox, subject: Subject) -> str:
    """Return why this caller must not check the steady state; empty if it may.

    The run's lock checks it when everything is off. A halt or a broken rule does not prevent that. It is refused only
    if the caller is not the run's lock, or if the request would go where this worker no longer sends anything.
    """
    asking = caller()
    mine = (asking.workflow_id, asking.run_id)
    # Settled rows count too: `recover` or the sweeper may have settled the lock's row before its worker came back.
    rows = [row for row in await tools.store.ledger.of(subject.execution.execution_id) if row.kind is WindowKind.LOCK]
    if not any((row.window_id, row.run_id) == mine for row in rows):
        return "it was not asked for by the run's lock"
    where = ("system.namespace", "request.")
    problems = [problem for problem in outside(subject.plan, tools.rails) if problem.path.startswith(where)]
    return f"the worker does not allow it any more, {in_one_sentence(problems)}" if problems else ""

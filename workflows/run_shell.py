"""What every run has beside its stages: its board, its voice, and what others may ask and tell it.

`ResilienceTest` is the list of stages on top of this.
"""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from workflows import policies
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import (
    Ending,
    Execution,
    ExecutionRef,
    Phase,
    PhaseChange,
    Recovery,
    RunFailure,
    RunInput,
    RunStatus,
)
from workflows.contracts.load import Exclusion
from workflows.contracts.plan import Plan
from workflows.contracts.status import RunState
from workflows.contracts.steady import SteadyMoment, SteadyOrder, SteadyReport
from workflows.contracts.windows import FaultInput, WindowChanged, WindowInput, WindowKind, WindowState
from workflows.early_end import EarlyEnd
from workflows.logic import durations
from workflows.logic.board import Board
from workflows.logic.details import progress_table
from workflows.logic.window_rows import TERSE_FROM
from workflows.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE, STATUS_QUERY, WINDOW_SIGNAL
from workflows.run_failures import StageError, failure_of
from workflows.search_attributes import publish
from workflows.windows.cancellation import ensure_not_cancelled, text_of
from workflows.windows.pairs import PairsWindow
from workflows.windows.rules import RulesWindow

with workflow.unsafe.imports_passed_through():
    from activities.executions import ExecutionActivities
    from activities.steady import SteadyActivities


class RunShell:
    """A run without its stages."""

    def __init__(self) -> None:
        """An empty board; the input is looked at in `run`, so that wrong input fails the run instead of hanging it."""
        self._board = Board()
        self._plan: Plan
        self._input: RunInput
        self._execution: Execution | None = None
        self._locked = False
        self._paused = False
        self._early = EarlyEnd(lambda: self._board.state.phase)
        self._rules: workflow.ChildWorkflowHandle[RulesWindow, Any] | None = None
        self._pairs: workflow.ChildWorkflowHandle[PairsWindow, Any] | None = None
        self._pair_pages = 0
        """Windows of pairs that have begun."""
        self._discovered = False
        """Whether calls were recorded while services were broken; not in runs from before that was so."""
        self._excluded: list[Exclusion] = []
        self._needless: set[str] = set()
        """Services that are not broken because no case is left that needs it."""

    @property
    def execution(self) -> Execution:
        """The record; stages run after it exists."""
        if self._execution is None:
            raise StageError(ErrorCode.UNEXPECTED, "the run has no record yet")
        return self._execution

    @property
    def _ref(self) -> ExecutionRef:
        return ExecutionRef(execution_id=self.execution.execution_id)

    def _window_input(self, hold_seconds: float, service: str = "") -> WindowInput:
        info = workflow.info()
        return WindowInput(
            execution=self.execution,
            parent_workflow_id=info.workflow_id,
            parent_run_id=info.run_id,
            timeouts=self._plan.timeouts,
            hold_seconds=hold_seconds,
            service=service,
        )

    def _fault_input(self, service: str) -> FaultInput:
        """Of very many windows, each costs the run's history no more than it must."""
        hold = durations.fault_hold(self._plan).total_seconds()
        order = FaultInput(**self._window_input(hold, service).model_dump())
        if len(self._plan.services) < TERSE_FROM:
            return order
        brief = self.execution.model_copy(update={"services": [service]})
        return order.model_copy(update={"terse": True, "execution": brief})

    async def _enter(self, phase: Phase) -> None:
        self._board.enter(phase, workflow.now())
        self._publish()
        change = PhaseChange(execution_id=self.execution.execution_id, phase=phase)
        await workflow.execute_activity_method(
            ExecutionActivities.change_phase,
            change,
            summary=f"Phase {phase}",
            **policies.bookkeeping(self.execution.timing),
        )
        self._ensure_going_on()

    async def _steady(self, moment: SteadyMoment) -> SteadyReport:
        """Whether the plan's request meets its tolerance; afterwards, if not, recovery is unverified."""
        if not self._plan.steady_state.check:
            return SteadyReport(met=True)
        timing, timeouts = self.execution.timing, self._plan.timeouts
        longest = self._plan.request.timeout * self._plan.steady_state.requests
        try:
            report: SteadyReport = await workflow.execute_activity_method(
                SteadyActivities.check,
                SteadyOrder(execution_id=self.execution.execution_id, moment=moment),
                summary=f"See the steady state {moment} the run",
                **policies.waiting(timing, longest + timeouts.stability),
            )
        except ActivityError as error:
            self._ensure_going_on()
            if moment is SteadyMoment.BEFORE or is_cancelled_exception(error):
                raise
            # Whatever keeps us from seeing it now does not undo what the run has found.
            report = SteadyReport(met=False, detail=f"it could not be asked for: {text_of(error)}")
        self._ensure_going_on()
        self._board.steady(moment, report)
        self._publish()
        return report

    def _ensure_going_on(self) -> None:
        """Stand after every awaited step of a stage: a cancel, ours or an operator's, can be swallowed by it.

        Raises:
            CancelledError: when the run was cancelled, aborted or stopped.
        """
        ensure_not_cancelled()
        if self._early.error is not None:
            raise asyncio.CancelledError

    async def _unpaused(self) -> None:
        await workflow.wait_condition(lambda: not self._paused)
        self._ensure_going_on()

    async def _failed(self, error: BaseException) -> RunFailure:
        state = self._board.state
        failure = failure_of(error, self._early.phase or state.phase, state.recovery, state.execution_id)
        late = failure.code is ErrorCode.DEADLINE_EXCEEDED
        await self._ended(RunStatus.TIMED_OUT if late else RunStatus.FAILED, Phase.FAILED, failure)
        return failure

    async def _ended(self, status: RunStatus, phase: Phase, failure: RunFailure | None) -> None:
        """Show the end; write it only where no lock was held, which otherwise writes it after this run has closed."""
        code, message = (failure.code, failure.message) if failure else (None, "")
        error_phase = failure.phase if failure else None
        self._board.ended(status, phase, workflow.now(), code, message)
        self._publish()
        if (self._locked and not self._early.unlocked) or self._execution is None:
            return
        ending = Ending(
            execution_id=self.execution.execution_id,
            status=status,
            phase=phase,
            recovery=self._board.state.recovery or Recovery.UNVERIFIED,
            error_code=code,
            error_phase=error_phase,
            error_message=message,
        )
        await workflow.execute_activity_method(
            ExecutionActivities.finish,
            ending,
            summary="Write how the run ended",
            **policies.bookkeeping(self.execution.timing),
        )

    def _publish(self) -> None:
        """Search attributes and the Web UI's progress table. Neither costs more than an event."""
        state = self._board.state
        if self._execution is not None and self._execution.search_attributes:
            publish(state)
        workflow.set_current_details(progress_table(state))

    @workflow.query(name=STATUS_QUERY)
    def status(self) -> RunState:
        """Everything a person would ask."""
        return self._board.snapshot(workflow.now())

    @workflow.signal(name=WINDOW_SIGNAL)
    def window_changed(self, change: WindowChanged) -> None:
        """A window tells its state. The first time the rules are open, the load test begins.

        After a reset the server hands the new run what it had received for its predecessor: a lock of the same id that
        is open, too. Believing that one, it would work before its own lock has seen that the namespace is clean.
        """
        known = self._execution.execution_id if self._execution else None
        if change.execution_id not in (None, known):
            workflow.logger.info("%s is no window of this run", change.window_id)
            return
        self._board.window_changed(change, workflow.now())
        begun = change.kind is WindowKind.RULES and change.state is WindowState.OPEN
        if begun and self._board.state.phase is Phase.RULES_READY:
            self._board.enter(Phase.LOAD_TEST_BASELINE, workflow.now())
        self._publish()

    @workflow.update(name=PAUSE_UPDATE)
    async def pause(self) -> str:
        """Begin nothing new until resumed. What is on stays on no longer than its window's time; closing goes on."""
        await self._set_paused(paused=True)
        return "paused"

    @workflow.update(name=RESUME_UPDATE)
    async def resume(self) -> str:
        """Go on."""
        await self._set_paused(paused=False)
        return "resumed"

    async def _set_paused(self, *, paused: bool) -> None:
        self._paused = paused
        self._board.paused(paused)
        await self._tell_rules()
        if paused:
            await self._tell_pairs()

    async def _tell_pairs(self) -> None:
        """No pair after the present one: its window ends early, and the others are begun when the run is resumed."""
        if self._pairs is None or self._pairs.done():
            return
        try:
            await self._pairs.signal(PairsWindow.pause)
        except FailureError as error:
            workflow.logger.info("the pairs window did not take the pause: %s", error)

    async def _tell_rules(self) -> None:
        """Pass the pause on to the load test, if it runs; one that has just ended is no trouble."""
        rules = self._rules
        if rules is None or rules.done():
            return
        try:
            await rules.signal(RulesWindow.pause if self._paused else RulesWindow.resume)
        except FailureError as error:
            workflow.logger.info("the rules window did not take the pause: %s", error)

    @workflow.update(name=ABORT_UPDATE)
    def abort(self, reason: str) -> str:
        """Close everything, then end as failed with code ABORTED and this reason."""
        self._early.because(StageError(ErrorCode.ABORTED, f"aborted: {reason}"))
        return "aborting: everything is being closed first"

    @abort.validator
    def _abort_has_a_reason(self, reason: str) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError("abort needs a reason, for example --input '\"wrong cluster\"'")

"""A resilience test without its stages: its phases, its windows' inputs, its steady state.

`ResilienceTest` adds the list of stages.
"""

from __future__ import annotations

from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from domain.errors import ErrorCode
from domain.executions.execution import Execution
from domain.executions.window_rows import TERSE_FROM, window_change_for
from domain.executions.windows import FaultInput, WindowChanged, WindowInput, WindowKind, WindowState
from domain.faults.model import FaultReport
from domain.measuring.load import Exclusion
from domain.measuring.steady_report import SteadyMoment, SteadyOrder, SteadyReport
from domain.names import fault_workflow_id
from domain.plans import durations
from domain.plans.plan import Plan
from domain.resilience.board import ResilienceBoard
from domain.resilience.model import Phase, PhaseChange, RunInput
from domain.resilience.state import ResilienceState
from domain.resilience.web_ui_table import resilience_table
from workflows import policies
from workflows.execution.execution_workflow import ExecutionWorkflow
from workflows.execution.failures import StageError
from workflows.windows.cancellation import text_of
from workflows.windows.fault import FaultWindow
from workflows.windows.rules import RulesWindow

with workflow.unsafe.imports_passed_through():
    from activities.run.executions import ExecutionActivities
    from activities.stages.steady import SteadyActivities


class ResilienceRun(ExecutionWorkflow[ResilienceState]):
    """A resilience test without its stages."""

    _board: ResilienceBoard

    def __init__(self) -> None:
        """Start with an empty board."""
        super().__init__(ResilienceBoard())
        self._plan: Plan
        self._input: RunInput
        self._rules: workflow.ChildWorkflowHandle[RulesWindow, Any] | None = None
        self._pair_pages = 0
        """Number of pairs windows that have begun."""
        self._discovered = False
        """Whether fallback calls are discovered. Not in older histories."""
        self._excluded: list[Exclusion] = []
        self._needless: set[str] = set()
        """Services that are not broken, because no remaining case needs it."""

    @property
    def execution(self) -> Execution:
        """The run's record. It exists before any stage reads it."""
        return cast("Execution", self.record)

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
        """Return the input of a fault window, terse in a large plan."""
        # With very many windows, each must cost the run's history as little as possible.
        hold = durations.fault_hold(self._plan).total_seconds()
        order = FaultInput(**self._window_input(hold, service).model_dump())
        if len(self._plan.services) < TERSE_FROM:
            return order
        brief = self.execution.model_copy(update={"services": [service]})
        return order.model_copy(update={"terse": True, "execution": brief})

    async def _run_fault_window(self, order: FaultInput, summary: str) -> FaultReport:
        """Break one service as ordered, and show it.

        Raises:
            StageError: RECOVERY_UNVERIFIED when the service was not seen to recover.
        """
        window_id = fault_workflow_id(self.execution, order.service, order.discovery_round)
        if order.terse:
            self._board.window_changed(window_change_for(order, window_id, workflow.now()), workflow.now())
        report: FaultReport = await workflow.execute_child_workflow(
            FaultWindow.run, order, id=window_id, static_summary=summary, **policies.WINDOW
        )
        if order.terse:
            self._board.window_changed(window_change_for(order, window_id, workflow.now(), report), workflow.now())
        self._raise_if_ending()
        if order.discovery_round == 1:
            self._board.injected(report)
        else:
            self._board.injected_again(report)
        self._publish()
        if not report.recovery_verified:
            what = f"{order.service} was not seen to recover: {report.error}"
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, what)
        return report

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
        self._raise_if_ending()

    async def _check_steady_state(self, moment: SteadyMoment) -> SteadyReport:
        """Check whether the plan's request is in its steady state.

        If it is not after the run, recovery is unverified.
        """
        if not self._plan.steady_state.check:
            return SteadyReport(met=True)
        timing = self.execution.timing
        timeouts = self._plan.timeouts
        longest = self._plan.request.timeout * self._plan.steady_state.requests
        try:
            report: SteadyReport = await workflow.execute_activity_method(
                SteadyActivities.check,
                SteadyOrder(execution_id=self.execution.execution_id, moment=moment),
                summary=f"See the steady state {moment} the run",
                **policies.waiting(timing, longest + timeouts.stability),
            )
        except ActivityError as error:
            self._raise_if_ending()
            if moment is SteadyMoment.BEFORE or is_cancelled_exception(error):
                raise
            # After the run, a failed check must not undo what the run has found.
            report = SteadyReport(met=False, detail=f"it could not be checked: {text_of(error)}")
        self._raise_if_ending()
        self._board.steady(moment, report)
        self._publish()
        return report

    def _on_window_changed(self, change: WindowChanged) -> None:
        """Show the phase LOAD_TEST_BASELINE once the rules are open.

        `RulesWindow` runs the load test and stores the phase.
        """
        rules_open = change.kind is WindowKind.RULES and change.state is WindowState.OPEN
        if rules_open and self._board.state.phase is Phase.RULES_READY:
            self._board.enter(Phase.LOAD_TEST_BASELINE, workflow.now())

    def _table(self) -> str:
        return resilience_table(self._board.state)

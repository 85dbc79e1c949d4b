"""Which calls failures cause: recorded while services are broken, and broken themselves in up to three rounds.

A call that is made only while something is broken has no recorded request when the analysis is over, so no rule would
answer it, and a pair that needs it would pass falsely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from workflows import policies
from workflows.contracts.calls import CallsFound, CallsOrder, CallsReport
from workflows.contracts.errors import ErrorCode
from workflows.contracts.faults import FaultReport
from workflows.contracts.pairs import PairsReport, PairsWindowInput
from workflows.contracts.windows import MOST_ROUNDS, FaultInput
from workflows.injecting import Break, break_each
from workflows.logic import coverage, durations
from workflows.logic.fidelity import per_page
from workflows.logic.window_rows import told_for
from workflows.names import calls_workflow_id, fault_workflow_id
from workflows.run_failures import StageError
from workflows.verifying import VerifyingRun
from workflows.windows.calls import CallsWindow
from workflows.windows.cancellation import despite_cancel
from workflows.windows.fault import FaultWindow
from workflows.windows.together import close_all

with workflow.unsafe.imports_passed_through():
    from activities.calls import CallActivities

CallsTask = asyncio.Task[CallsReport]


class DiscoveringRun(VerifyingRun):
    """A run that sees which calls failures cause."""

    async def _break_and_discover(
        self, services: Sequence[str], break_one: Break
    ) -> tuple[list[FaultReport], list[FaultReport]]:
        """Break each service while calls are recorded, then what its failures cause.

        Returns:
            The reports of the services' own faults, and those of the rounds after.
        """
        window = await self._recording_calls()
        try:
            reports = await break_each(services, self._plan, break_one)
            later = await self._follow_calls(window)
            await self._stop_recording_calls(window)
        except (Exception, asyncio.CancelledError):
            # Not `finally`: see `Holding.hold`.
            await despite_cancel(close_all([window]))
            raise
        return reports, later

    def _asking(self, service: str) -> dict[str, Any]:
        """Return what a fault window needs to send the plan's request as well; nothing where none is sent."""
        if not durations.single_requests(self._plan):
            return {}
        return {
            "asks_case": 1 + self._plan.service_names.index(service),
            "request_seconds": durations.single_asking(self._plan).total_seconds(),
        }

    async def _recording_calls(self) -> CallsTask:
        """Open the recordings, and wait until they are on."""
        await self._unpaused()
        window_id = calls_workflow_id(self.execution)
        window: CallsTask = asyncio.create_task(
            workflow.execute_child_workflow(
                CallsWindow.run,
                self._window_input(durations.calls_hold(self._plan).total_seconds()),
                id=window_id,
                static_summary="Record which calls failures cause",
                **policies.WINDOW,
            )
        )
        try:
            await workflow.wait_condition(lambda: self._board.is_open(window_id) or window.done())
            self._ensure_going_on()
            if window.done():
                window.result()
        except (Exception, asyncio.CancelledError):
            await despite_cancel(close_all([window]))
            raise
        return window

    async def _follow_calls(self, window: CallsTask) -> list[FaultReport]:
        """Capture the failure of calls that were found, break pairs of which one failure calls the other service."""
        reports: list[FaultReport] = []
        found = await self._read_calls(window, 1)
        for number in range(2, MOST_ROUNDS + 1):
            known, pages = len(reports), self._pair_pages
            first = self._never_broken(found.to_capture)
            reports += await self._capture_again(found.to_capture, number)
            await self._ask_pairs(found.pairs)
            if len(reports) == known and self._pair_pages == pages:
                break
            if number == MOST_ROUNDS and not first:
                # Nothing was asked that could show further calls.
                break
            found = await self._read_calls(window, number)
        return reports

    def _never_broken(self, services: Sequence[str]) -> list[str]:
        """Return the services that had no fault of their own, because the analysis recorded nothing of them."""
        return [name for name in services if coverage.no_traffic(name) in self._excluded]

    async def _read_calls(self, window: CallsTask, number: int) -> CallsFound:
        if window.done():
            # Recordings that ended early saw only a part, so nothing may be concluded from them.
            window.result()
            raise StageError(ErrorCode.ANALYZE_FAILED, "the recordings of calls ended before they were read")
        found: CallsFound = await workflow.execute_activity_method(
            CallActivities.read,
            CallsOrder(execution_id=self.execution.execution_id, round=number),
            summary=f"Read which calls failures cause, round {number}",
            **policies.waiting(self.execution.timing, durations.reading_calls(self._plan)),
        )
        self._ensure_going_on()
        self._board.calls_read(found)
        self._publish()
        return found

    async def _capture_again(self, services: Sequence[str], number: int) -> list[FaultReport]:
        """One more fault in each of these services, in which the calls that were found are sent to it."""
        reports = []
        # What is excluded for another reason than that healthy traffic does not reach it stays excluded.
        lost = {one.service for one in self._excluded if one != coverage.no_traffic(one.service)} | self._needless
        most = durations.most_captures(len(self._plan.services))
        for service in [name for name in services if name not in lost][:most]:
            await self._unpaused()
            # A service that the analysis missed has not been asked for alone: what its failure causes is unknown.
            asked = self._asking(service) if self._never_broken([service]) else {}
            order = self._fault_input(service).model_copy(update={"discovery_round": number, **asked})
            reports.append(await self._capture_calls_of(service, order))
        return reports

    async def _capture_calls_of(self, service: str, order: FaultInput) -> FaultReport:
        window_id = fault_workflow_id(self.execution, service, order.discovery_round)
        if order.terse:
            self._board.window_changed(told_for(order, window_id, workflow.now()), workflow.now())
        report = await workflow.execute_child_workflow(
            FaultWindow.run,
            order,
            id=window_id,
            static_summary=f"Break {service} once more, at calls that other failures cause",
            **policies.WINDOW,
        )
        if order.terse:
            self._board.window_changed(told_for(order, window_id, workflow.now(), report), workflow.now())
        self._ensure_going_on()
        self._board.injected_again(report)
        self._publish()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, f"{service} was not seen to recover: {report.error}")
        return report

    async def _ask_pairs(self, cases: list[int]) -> None:
        """Pairs of which one failure calls the other service, with two real faults while calls are recorded."""
        size = per_page(len(cases))
        while cases:
            await self._unpaused()
            order = PairsWindowInput(
                **self._window_input(durations.pairs_hold(self._plan, len(cases[:size])).total_seconds()).model_dump(),
                cases=cases[:size],
                fault_seconds=durations.pair_fault_hold(self._plan).total_seconds(),
                request_seconds=durations.pair_asking(self._plan).total_seconds(),
                discovers=True,
            )
            report: PairsReport = await self._pairs_page(order)
            if report.trouble:
                raise StageError(ErrorCode.RECOVERY_UNVERIFIED, report.trouble)
            cases = cases[report.done :]

    async def _stop_recording_calls(self, window: CallsTask) -> None:
        """Let the recordings end, and see that they have."""
        try:
            handle = workflow.get_external_workflow_handle_for(CallsWindow.run, calls_workflow_id(self.execution))
            await handle.signal(CallsWindow.release)
        except FailureError as error:
            workflow.logger.info("the window of calls did not take its release: %s", error)
        report = await window
        self._ensure_going_on()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, "the recordings of calls were not seen to end")

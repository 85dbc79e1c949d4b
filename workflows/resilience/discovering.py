"""Discovery of fallback calls, in up to three rounds.

Calls are recorded while services are broken. Then the called services are broken too, to capture how they fail at these
calls. Why: a call made only under a failure has no recorded request when the analysis is over, so no rule would answer
it. A pair that depends on the call would pass falsely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.calls.model import CallsFound, CallsOrder, CallsReport
from domain.cases import unmeasurable
from domain.errors import ErrorCode
from domain.executions.windows import MOST_ROUNDS
from domain.faults.model import FaultReport
from domain.names import calls_workflow_id
from domain.pairs.comparing import per_page
from domain.pairs.model import PairsReport, PairsWindowInput
from domain.plans import durations
from workflows import policies
from workflows.execution.failures import StageError
from workflows.resilience.injecting import Break, break_each
from workflows.resilience.verifying import VerifyingRun
from workflows.windows.calls import CallsWindow
from workflows.windows.cancellation import despite_cancel
from workflows.windows.together import close_all

with workflow.unsafe.imports_passed_through():
    from activities.stages.calls import CallActivities

CallsTask = asyncio.Task[CallsReport]


class DiscoveringRun(VerifyingRun):
    """A run that discovers which calls failures cause."""

    async def _break_and_discover(
        self, services: Sequence[str], break_one: Break
    ) -> tuple[list[FaultReport], list[FaultReport]]:
        """Break each service while calls are recorded, then follow up new calls.

        Returns:
            The reports of the services' own faults, and those of the later rounds.
        """
        window = await self._open_calls_window()
        try:
            reports = await break_each(services, self._plan, break_one)
            later = await self._follow_calls(window)
            await self._stop_recording_calls(window)
        except (Exception, asyncio.CancelledError):
            # Not `finally`: it must not run when a worker drops the cached workflow, see `Holding.hold`.
            await despite_cancel(close_all([window]))
            raise
        return reports, later

    def _request_fields(self, service: str) -> dict[str, Any]:
        """Return a fault window's extra fields for sending the plan's request.

        Empty if the plan's request is not sent.
        """
        if not durations.single_requests(self._plan):
            return {}
        return {
            "asks_case": 1 + self._plan.service_names.index(service),
            "request_seconds": durations.single_asking(self._plan).total_seconds(),
        }

    async def _open_calls_window(self) -> CallsTask:
        """Open the window that records calls, and wait until its recordings are active."""
        await self._wait_while_paused()
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
            self._raise_if_ending()
            if window.done():
                window.result()
        except (Exception, asyncio.CancelledError):
            await despite_cancel(close_all([window]))
            raise
        return window

    async def _follow_calls(self, window: CallsTask) -> list[FaultReport]:
        """Capture the failures of found calls, and break the affected pairs.

        A pair is affected if the failure of one service causes a call to the other.
        """
        reports: list[FaultReport] = []
        found = await self._read_calls(window, 1)
        for number in range(2, MOST_ROUNDS + 1):
            captured = await self._capture_again(found.to_capture, number)
            await self._ask_pairs(found.pairs)
            reports += captured
            if not captured and not found.pairs:
                break
            if number == MOST_ROUNDS and not self._missed_by_analysis(found.to_capture):
                # No service was broken for the first time in this round. Pairs may have caused new calls, but nothing
                # would be broken for these any more.
                break
            # Calls found in the last round are stored, but nothing is broken for them any more.
            found = await self._read_calls(window, number)
        return reports

    def _missed_by_analysis(self, services: Sequence[str]) -> list[str]:
        """Return those of these services of which the analysis recorded nothing.

        Only discovery breaks them.
        """
        return [name for name in services if unmeasurable.no_traffic(name) in self._excluded]

    async def _read_calls(self, window: CallsTask, number: int) -> CallsFound:
        if window.done():
            # Recordings that ended early are incomplete, so nothing may be concluded from them.
            window.result()
            raise StageError(ErrorCode.ANALYZE_FAILED, "the recordings of calls ended before they were read")
        found: CallsFound = await workflow.execute_activity_method(
            CallActivities.read,
            CallsOrder(execution_id=self.execution.execution_id, round=number),
            summary=f"Read which calls failures cause, round {number}",
            **policies.waiting(self.execution.timing, durations.reading_calls(self._plan)),
        )
        self._raise_if_ending()
        self._board.calls_read(found)
        self._publish()
        return found

    async def _capture_again(self, services: Sequence[str], number: int) -> list[FaultReport]:
        """Break each of these services again, and send it the found calls."""
        reports = []
        # A service that is excluded for any reason but a lack of healthy traffic stays excluded.
        excluded = {
            exclusion.service for exclusion in self._excluded if not unmeasurable.is_no_traffic(exclusion)
        } | self._needless
        most = durations.most_captures(len(self._plan.services))
        for service in [name for name in services if name not in excluded][:most]:
            await self._wait_while_paused()
            # The first faults did not include a service that the analysis missed. So the plan's request is sent under
            # this one, to learn which calls its failure causes.
            request = self._request_fields(service) if self._missed_by_analysis([service]) else {}
            order = self._fault_input(service).model_copy(update={"discovery_round": number, **request})
            summary = f"Break {service} once more, at calls that other failures cause"
            reports.append(await self._run_fault_window(order, summary))
        return reports

    async def _ask_pairs(self, cases: list[int]) -> None:
        """Run these pairs with two real faults while calls are recorded.

        In each of them, the failure of one service causes a call to the other.
        """
        size = per_page(len(cases))
        while cases:
            await self._wait_while_paused()
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
        """End the recordings, and verify that they are off."""
        try:
            handle = workflow.get_external_workflow_handle_for(CallsWindow.run, calls_workflow_id(self.execution))
            await handle.signal(CallsWindow.release)
        except FailureError as error:
            workflow.logger.info("the window of calls did not take its release: %s", error)
        report = await window
        self._raise_if_ending()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, "the recordings of calls were not seen to end")

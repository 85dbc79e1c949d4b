"""Stop conditions: when measured values must end a run early.

The conditions are those of the plan's `stop`.
"""

from __future__ import annotations

from collections import deque

from domain.cases.verdicts import broken_limits
from domain.plans.stop import BaselineStop, HealthStop, RequestStop
from domain.traffic.exchange import Measurement
from domain.units import format_percent


def baseline_reason(measurement: Measurement, limits: BaselineStop) -> str:
    """Return why the load test must end after this baseline, or nothing."""
    broken = broken_limits(measurement, limits)
    return f"stop.baseline: {'; '.join(broken)}" if broken else ""


class FailingRequests:
    """Stop condition on the last answers to the plan's request."""

    def __init__(self, spec: RequestStop) -> None:
        self._spec = spec
        self._last: deque[str] = deque(maxlen=spec.over)

    def answered(self, failure: str) -> str:
        """Add one answer; return why the run must end, or nothing.

        `failure`: what was wrong with the answer; empty if nothing was. Fewer than `over` answers end the run only if
        the missing ones could not change that any more.
        """
        self._last.append(failure)
        failed = [reason for reason in self._last if reason]
        allowed = self._spec.error_rate
        # A share of `over`, not of the answers so far: those still to come may be good.
        share = 100 * len(failed) / self._spec.over
        if allowed is None or share <= allowed:
            return ""
        asked = len(self._last)
        return (
            f"stop.request.error_rate: {len(failed)} of the last {asked} requests failed, the last one with "
            f"{failed[-1]}; the limit is {format_percent(allowed)} of {self._spec.over}"
        )


class FailingHealth:
    """Stop condition on consecutive bad answers of the health URL."""

    def __init__(self, spec: HealthStop) -> None:
        self._spec = spec
        self._failed = 0

    def answered(self, failure: str) -> str:
        """Add one answer; return why the run must end, or nothing.

        `failure`: what was wrong with the answer; empty if nothing was.
        """
        self._failed = self._failed + 1 if failure else 0
        if self._failed < self._spec.failures:
            return ""
        return f"stop.health: {self._failed} bad answers in a row, the last one: {failure}"

"""When a run must end early: the conditions of `stop`, judged on what was measured."""

from __future__ import annotations

from collections import deque

from domain.cases.verdicts import broken_limits
from domain.plans.stop import BaselineStop, HealthStop, RequestStop
from domain.traffic.exchange import Measurement
from domain.units import format_percent


def baseline_reason(measurement: Measurement, limits: BaselineStop) -> str:
    """Why the load test must not go on after this baseline; empty when it may."""
    broken = broken_limits(measurement, limits)
    return f"stop.baseline: {'; '.join(broken)}" if broken else ""


class FailingRequests:
    """The last answers to the plan's request."""

    def __init__(self, spec: RequestStop) -> None:
        self._spec = spec
        self._last: deque[str] = deque(maxlen=spec.over)

    def answered(self, failure: str) -> str:
        """Note one answer, with what was wrong with it or nothing; why the run must end, or nothing.

        Nothing is concluded from fewer than `over` answers, but for what the rest could not change any more.
        """
        self._last.append(failure)
        failed = [one for one in self._last if one]
        allowed = self._spec.error_rate
        # Of all that `over` holds: an answer that is still to come may be good.
        share = 100 * len(failed) / self._spec.over
        if allowed is None or share <= allowed:
            return ""
        asked = len(self._last)
        return (
            f"stop.request.error_rate: {len(failed)} of the last {asked} requests failed, the last one with "
            f"{failed[-1]}; allowed are {format_percent(allowed)} of {self._spec.over}"
        )


class FailingHealth:
    """The last answers of the health URL."""

    def __init__(self, spec: HealthStop) -> None:
        self._spec = spec
        self._failed = 0

    def answered(self, failure: str) -> str:
        """Note one answer, with what was wrong with it or nothing; why the run must end, or nothing."""
        self._failed = self._failed + 1 if failure else 0
        if self._failed < self._spec.failures:
            return ""
        return f"stop.health: {self._failed} bad answers in a row, the last one: {failure}"

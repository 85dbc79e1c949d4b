"""Metrics of a worker, beside those of the SDK on the same endpoint.

They are counted in activities, where the store confirms a change: a replay counts nothing, and a repeated activity
counts nothing twice. Gauges say what the store says, so every control worker shows the same.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import Any

from temporalio.common import MetricMeter

from clients.store.changes import (
    Change,
    ExecutionCreated,
    ExecutionEnded,
    PhaseLeft,
    RequestsStored,
    WindowEnded,
)
from domain.errors import ERRORS, ErrorClass, ErrorCode, HoldfastError
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.windows import LedgerEntry, LedgerState, WindowKind

PREFIX = "holdfast_"

DURATION_BUCKETS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
"""Upper bounds of histograms of durations, in seconds."""

_STARTED = "Executions whose record was created"
_ENDED = "Executions whose end was recorded"
_WINDOWS_ENDED = "Windows that were closed or given up on"
_STORE_ERRORS = "Failed reads and writes of the store"
_ERRORS = "Failed attempts, by the code of their error"
_SWEEPS = "Sweeps that ended"

DURATIONS = ("execution_duration", "phase_duration", "recovery_duration")


class Metrics:
    """The counters and gauges of this process. By default it counts nothing."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop) -> None:
        self._meter = meter
        self._counter = cache(lambda name, help_: meter.create_counter(PREFIX + name, help_))
        self._gauge = cache(lambda name, help_: meter.create_gauge(PREFIX + name, help_))
        self._seconds = cache(lambda name, help_: meter.create_histogram_timedelta(PREFIX + name, help_, "duration"))

    def begin(self, kinds: Iterable[str]) -> None:
        """Let counters exist from the start: Prometheus sees no increase from nothing to 1."""
        for code in ErrorCode:
            if ERRORS[code].error_class is ErrorClass.DATABASE:
                self._count("store_errors", _STORE_ERRORS, 0, code=code)
            else:
                self._count("errors", _ERRORS, 0, code=code)
        for kind in kinds:
            self._count("executions_started", _STARTED, 0, kind=kind)
            for status, verdict, recovery in product(RunStatus, [*Verdict, "none"], Recovery):
                ended = {"status": str(status), "verdict": str(verdict), "recovery": str(recovery)}
                self._count("executions_ended", _ENDED, 0, kind=kind, **ended)
        for window, state in product(WindowKind, (LedgerState.CLOSED, LedgerState.UNVERIFIED)):
            self._count("windows_ended", _WINDOWS_ENDED, 0, kind=window, state=state)
        self._count("sweeps", _SWEEPS, 0)
        # Until the first sweep, as if there had been one: a worker that has just started is no silent sweeper.
        self._swept_now()

    @property
    def counts(self) -> bool:
        """Whether anybody can read them."""
        return self._meter is not MetricMeter.noop

    def changed(self, change: Change) -> None:
        """Count a change of the store."""
        match change:
            case ExecutionCreated(kind):
                self._count("executions_started", _STARTED, 1, kind=kind)
            case ExecutionEnded():
                self._ended(change)
            case PhaseLeft(phase, took):
                self._took("phase_duration", "Time that runs spent in a phase", took, phase=phase)
            case WindowEnded(kind, state):
                self._count("windows_ended", _WINDOWS_ENDED, 1, kind=kind, state=state)
            case RequestsStored(requests, errors, late_starts):
                self._count("requests", "Requests of the load test, errors included", requests)
                self._count("request_errors", "Requests of the load test that failed", errors)
                self._count("late_starts", "Requests that the load generator began too late", late_starts)

    def _ended(self, change: ExecutionEnded) -> None:
        named = {"kind": change.kind, "status": change.status, "verdict": change.verdict or "none"}
        self._count("executions_ended", _ENDED, 1, **named, recovery=change.recovery)
        self._took("execution_duration", "Time from an execution's record to its end", change.took, **named)
        for (outcome, verdict), number in change.cases.items():
            about = "Cases of ended runs"
            self._count("cases", about, number, outcome=outcome, verdict=verdict or "none")

    def closed(self, window: str, took: timedelta, *, verified: bool) -> None:
        """Record how long a window of this type took to close, from the request, and whether it was verified."""
        about = "Time from asking to close to the verified end, or to giving up"
        self._took("recovery_duration", about, took, window=window, verified=str(verified).lower())

    def failed(self, error: HoldfastError) -> None:
        """Count an attempt that failed."""
        of_the_store = error.kind.error_class is ErrorClass.DATABASE
        if of_the_store:
            self._count("store_errors", _STORE_ERRORS, 1, code=error.code)
        else:
            self._count("errors", _ERRORS, 1, code=error.code)

    def swept(self) -> None:
        """Note that a sweep has ended."""
        self._count("sweeps", _SWEEPS, 1)
        self._swept_now()

    def _swept_now(self) -> None:
        about = "When the last sweep of this worker ended, in seconds since 1970"
        self._gauge("last_sweep_timestamp_seconds", about).set(int(time.time()), {})

    def stand(self, unsettled: Iterable[LedgerEntry], running: Counter[str], kinds: Iterable[str]) -> None:
        """Set the gauges: the windows that may hold something, and the executions without an end."""
        # By this machine's clock, as nothing is decided here. Closing goes by the server's (`activities/clocks.py`).
        now = datetime.now(UTC)
        open_, overdue, unverified = Counter[str](), Counter[str](), Counter[str]()
        for row in unsettled:
            open_[row.kind] += 1
            overdue[row.kind] += row.close_by < now
            unverified[row.kind] += row.state is LedgerState.UNVERIFIED
        for window in WindowKind:
            named = {"kind": window.value}
            self._set("windows_open", "Windows that hold something, or may", open_[window], named)
            self._set("windows_overdue", "Open windows past the time that their plan allows", overdue[window], named)
            self._set("windows_unverified", "Windows that were not seen to be off", unverified[window], named)
        for kind in kinds:
            self._set("executions_active", "Executions without a recorded end", running[kind], {"kind": kind})

    def _count(self, name: str, about: str, number: int, **attributes: str) -> None:
        self._counter(name, about).add(number, attributes)

    def _took(self, name: str, about: str, took: timedelta, **attributes: str) -> None:
        self._seconds(name, about).record(max(took, timedelta(0)), attributes)

    def _set(self, name: str, about: str, number: int, attributes: dict[str, Any]) -> None:
        self._gauge(name, about).set(number, attributes)

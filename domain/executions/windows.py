"""Windows: what is switched on and must be switched off again.

This includes the messages between a window and its run.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ValidationInfo, model_validator

from domain.base import Contract, UnfitError
from domain.executions.execution import Execution, ExecutionRef, Leftovers, Recovery
from domain.executions.starting import (
    MOST_AT_ONCE,
    BatchSeconds,
    CaseIndex,
    HoldSeconds,
    LabelOrNone,
    RunId,
    Services,
    Text,
    is_start,
    number_between,
)
from domain.measuring.metrics import LoadMetrics
from domain.plans.plan import Timeouts
from domain.units import LONGEST


class WindowKind(StrEnum):
    """What a window holds open."""

    LOCK = "lock"
    RECORDING = "recording"
    CALLS = "calls"
    """Recordings of fallback calls. Meanwhile, the services are broken one after another."""
    FAULT = "fault"
    RULES = "rules"
    PAIRS = "pairs"
    """Nothing of its own: the faults of its pairs have their own windows."""
    PAIR_FAULT = "pair_fault"
    """One of the two real faults of a pair."""


RECORDINGS = (WindowKind.RECORDING, WindowKind.CALLS)
"""Windows that hold recordings. The proxy names these: only time shows which window they belong to."""


class WindowState(StrEnum):
    """State of a window, as signalled to its run."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    UNVERIFIED = "unverified"


class LedgerState(StrEnum):
    """State of a window in the ledger.

    Only `closed` is final. In any other state the window holds something, or may hold it.
    """

    INTENT = "intent"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    UNVERIFIED = "unverified"


SETTLED = (LedgerState.CLOSED,)
"""Ledger states that need no further action."""


MOST_ROUNDS = 3
"""Rounds of discovery: first single failures, then also failures of the calls they cause, then what that revealed."""

_TIME_BASED = 7
"""Version of UUIDs that contain their time."""


class LedgerEntry(Contract):
    """A window in the ledger: enough to close it without any workflow."""

    window_id: str
    """Workflow id of the window."""
    run_id: str
    """Workflow run id of the window. Both ids together are the row's key."""
    execution_id: int
    parent_workflow_id: str
    parent_run_id: str
    kind: WindowKind
    service: str = ""
    peer_name: str = ""
    """Name by which the peer knows it: fault name or record id. Empty for recordings, which the peer names."""
    state: LedgerState = LedgerState.INTENT
    close_by: datetime
    """UTC. After this time plus a grace period, the sweeper closes the window, whatever its state."""
    detail: str = ""
    created_at: datetime | None = None
    """UTC, by the window's clock: when it began. None: use the store's time."""
    updated_at: datetime | None = None
    """UTC: when the row last changed. For a settled row: when the window ended."""

    @property
    def began(self) -> datetime | None:
        """When the window began, from the time in its run id.

        Only a version 7 UUID contains a time. None for other run ids.
        """
        try:
            run = uuid.UUID(self.run_id)
        except ValueError:
            return None
        return datetime.fromtimestamp((run.int >> 80) / 1000, UTC) if run.version == _TIME_BASED else None


class LedgerUpdate(Contract):
    """Order to change the state of a row in the ledger."""

    window_id: str
    run_id: str
    state: LedgerState
    detail: str = ""
    at: datetime | None = None
    """UTC, by the window's clock. None: use the store's time."""


class WindowChanged(Contract):
    """The signal `window_changed` from a window to its run.

    Sent on each change of state, and once per page.
    """

    window_id: str
    kind: WindowKind
    state: WindowState
    service: str = ""
    peer_name: str = ""
    execution_id: int | None = None
    """Execution that the window belongs to. None in histories recorded before this field existed."""
    cases_done: int = 0
    batches_done: int = 0
    metrics: LoadMetrics | None = None
    """Metrics of the last page."""
    detail: str = ""
    rules: int = 0
    stability: list[ServiceStability] = []
    analyze_task_id: str = ""
    at: datetime | None = None
    """UTC: when the window began or ended, the same time as in the ledger."""


class ServiceStability(Contract):
    """Result of waiting for one service to be stable."""

    service: str
    stable: bool
    waited_seconds: float = 0
    detail: str = ""
    unaskable: bool = False
    """Whether the service cannot be asked at all. No request can be built for its address, whatever its state."""


class StabilityMoment(StrEnum):
    """Moment at which a run waits for services to be stable.

    Only moments whose results are needed later.
    """

    AFTER_ANALYSIS = "after_analysis"
    AFTER_FAULT = "after_fault"
    WITH_RULES = "with_rules"
    AFTER_RULES = "after_rules"


class StabilityReport(Contract):
    """Results of the waits, one entry per service."""

    services: list[ServiceStability] = []

    @property
    def unstable(self) -> list[ServiceStability]:
        """The services that were not stable in time."""
        return [service for service in self.services if not service.stable]

    @property
    def unaskable(self) -> list[ServiceStability]:
        """The unstable services that cannot be asked at all."""
        return [service for service in self.services if service.unaskable]


class StabilityOrder(Contract):
    """Order to wait, in parallel, until services are stable."""

    execution_id: int
    services: list[str]
    moment: StabilityMoment | None = None
    """Moment to store the result under. None: don't store it, as in histories recorded before this field existed."""


class PairHold(Contract):
    """Order that makes a fault window one half of a pair.

    The window holds its fault until it is released, and captures nothing.
    """

    case_index: CaseIndex
    window_id: Text
    """Workflow id of the pairs window. The fault window signals to it that the fault is active."""
    run_id: RunId


class WindowInput(Contract):
    """Input of every window."""

    execution: Execution
    parent_workflow_id: Text
    parent_run_id: RunId
    timeouts: Timeouts
    """Timeouts of the plan."""
    hold_seconds: HoldSeconds
    """How long the window may stay open before it closes itself."""
    service: LabelOrNone = ""
    """Service of a fault window. Empty for other windows."""
    terse: bool = False
    """Whether the window sends only signals that its result cannot replace. The run then updates the window's row
    itself."""
    pair: PairHold | None = None
    """Fault windows: the pair that it belongs to. None: the service's own fault, whose failure is captured."""


class FaultInput(WindowInput):
    """Input of a fault window."""

    asks_case: CaseIndex | None = None
    """Index of the service's own case. Set if the plan's request is also sent while the fault is active. None: it is
    not sent."""
    request_seconds: BatchSeconds = 60
    """Upper bound on the time of those requests."""
    discovery_round: Annotated[int, number_between(1, MOST_ROUNDS)] = 1
    """Round of discovery. From the second on, the window captures how fallback calls fail."""

    @model_validator(mode="after")
    def _breaks_a_service_of_its_run(self, info: ValidationInfo) -> Self:
        if is_start(info) and self.service not in self.execution.services:
            raise UnfitError("service must name the service to break", "one of execution.services")
        return self


class LockInput(WindowInput):
    """Input of the lock."""

    leftovers: Leftovers = Leftovers.REFUSE


class PreflightOrder(ExecutionRef):
    """Order to check that no run has left anything over."""

    leftovers: Leftovers = Leftovers.REFUSE


class PreflightReport(Contract):
    """Leftovers that were switched off, as requested. One line each."""

    cleaned: list[str] = []


class RulesWindowInput(WindowInput):
    """Input of a rules window."""

    services: Services
    """Services with a captured failure. Only these get rules."""
    case_count: CaseIndex
    batch_seconds: BatchSeconds
    """Upper bound on the time of one batch."""
    ttl_seconds: Annotated[int, number_between(1, LONGEST // timedelta(seconds=1))]
    """TTL of the rules at the proxy. Longer than everything that this window does."""
    batches_at_once: Annotated[int, number_between(1, MOST_AT_ONCE)] = 1

    @model_validator(mode="after")
    def _has_rules_for_services_of_its_run(self, info: ValidationInfo) -> Self:
        if is_start(info) and not set(self.services) <= set(self.execution.services):
            raise UnfitError("services has names that are not in its run", "some of execution.services")
        return self


class Closing(Contract):
    """Result of closing a window."""

    verified: bool
    detail: str = ""
    stability: list[ServiceStability] = []


class LockHolder(Contract):
    """The run that holds a namespace.

    Read from the memo of its lock, or from the store if it acts on the same places under another lock.
    """

    plan: str = ""
    workflow_id: str = ""
    run_id: str = ""
    execution_id: int | None = None


class LockWait(Contract):
    """Order to wait until a lock is free.

    With `cancel_holder`, its run is cancelled first. It is never terminated.
    """

    lock_id: str
    cancel_holder: bool = False


class OthersWait(ExecutionRef):
    """Order to wait for other runs that act on the same places.

    Their locks do not matter. With `cancel`, they are cancelled first.
    """

    cancel: bool = False


class RunRef(Contract):
    """Reference to one run of a workflow."""

    execution_id: int
    workflow_id: str
    run_id: str
    recovery: Recovery = Recovery.VERIFIED


class OpenWindows(Contract):
    """Windows whose ledger row is not settled."""

    windows: list[str] = []


class LockReport(Contract):
    """Result of `EnvironmentLock`: the final statement on a run's recovery."""

    execution_id: int
    recovery_verified: bool
    open_windows: list[str] = []
    """Windows whose ledger row is not settled."""
    detail: str = ""
    cleaned: list[str] = []
    """Leftovers of others that were switched off before the run began. One line each."""

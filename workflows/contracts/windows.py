"""Windows: whatever is switched on and must be switched off again, and how a window and its run talk."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ValidationInfo, model_validator

from workflows.contracts.base import Contract, UnfitError
from workflows.contracts.execution import Execution, ExecutionRef, Leftovers, Recovery
from workflows.contracts.metrics import LoadMetrics
from workflows.contracts.plan import Timeouts
from workflows.contracts.starting import (
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
from workflows.contracts.units import LONGEST


class WindowKind(StrEnum):
    """What a window holds open."""

    LOCK = "lock"
    RECORDING = "recording"
    CALLS = "calls"
    """Recordings of which calls failures cause, while its services are broken one after the other."""
    FAULT = "fault"
    RULES = "rules"
    PAIRS = "pairs"
    """Nothing of its own: its pairs' faults have windows of theirs."""
    PAIR_FAULT = "pair_fault"
    """One of the two real faults of a pair."""


RECORDINGS = (WindowKind.RECORDING, WindowKind.CALLS)
"""Windows that hold recordings, which the proxy names: theirs are told apart by nothing but time."""


class WindowState(StrEnum):
    """Where a window is, as it signals to its run."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    UNVERIFIED = "unverified"


class LedgerState(StrEnum):
    """What the ledger knows of a window. Only `closed` and `never_opened` are ends; all else is on, or may be."""

    INTENT = "intent"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    NEVER_OPENED = "never_opened"
    UNVERIFIED = "unverified"


SETTLED = (LedgerState.CLOSED, LedgerState.NEVER_OPENED)
"""Ledger states that need no more care."""


MOST_ROUNDS = 3
"""Of discovery: single failures, what they cause broken as well, and what only that showed."""

_TIME_BASED = 7
"""Version of the UUIDs that carry their time."""


class LedgerEntry(Contract):
    """One window in the ledger: enough to close it without any workflow."""

    window_id: str
    """Workflow id of the window."""
    run_id: str
    """Workflow run id of the window; both together are the row's key."""
    execution_id: int
    parent_workflow_id: str
    parent_run_id: str
    kind: WindowKind
    service: str = ""
    peer_name: str = ""
    """The name under which the peer knows it: fault name, record id; empty for recordings, which the peer names."""
    state: LedgerState = LedgerState.INTENT
    close_by: datetime
    """UTC. After this, plus grace, the sweeper closes it whatever the window's state."""
    detail: str = ""
    created_at: datetime | None = None
    """UTC, by the window's clock: when it began. None: the store's time."""
    updated_at: datetime | None = None
    """UTC: when the row was moved last; of a settled one, when it ended."""

    @property
    def began(self) -> datetime | None:
        """When the window began: its run id is a UUID of version 7 and carries the time. Else None."""
        try:
            run = uuid.UUID(self.run_id)
        except ValueError:
            return None
        return datetime.fromtimestamp((run.int >> 80) / 1000, UTC) if run.version == _TIME_BASED else None


class LedgerUpdate(Contract):
    """Moves a row of the ledger."""

    window_id: str
    run_id: str
    state: LedgerState
    detail: str = ""
    at: datetime | None = None
    """UTC, by the window's clock. None: the store's time."""


class WindowChanged(Contract):
    """The signal `window_changed` of a window to its run: on each change of state, and once per page."""

    window_id: str
    kind: WindowKind
    state: WindowState
    service: str = ""
    peer_name: str = ""
    execution_id: int | None = None
    """Whose window it is. None in histories from before windows said so."""
    cases_done: int = 0
    batches_done: int = 0
    metrics: LoadMetrics | None = None
    """What the last page found."""
    detail: str = ""
    rules: int = 0
    stability: list[ServiceStability] = []
    captured_status: int | None = None
    analyze_task_id: str = ""
    at: datetime | None = None
    """UTC: the time that the ledger has for it, of its beginning and its end."""


class ServiceStability(Contract):
    """What the wait for one service's stability found."""

    service: str
    stable: bool
    waited_seconds: float = 0
    detail: str = ""
    unaskable: bool = False
    """Whether it cannot be asked at all, whatever the service does: no request can be built for its address."""


class StabilityMoment(StrEnum):
    """What services are waited for after, as far as anybody asks later."""

    AFTER_ANALYSIS = "after_analysis"
    AFTER_FAULT = "after_fault"
    WITH_RULES = "with_rules"
    AFTER_RULES = "after_rules"


class StabilityReport(Contract):
    """What the waits found, one entry per service."""

    services: list[ServiceStability] = []

    @property
    def unstable(self) -> list[ServiceStability]:
        """The services that were not stable in time."""
        return [service for service in self.services if not service.stable]

    @property
    def unaskable(self) -> list[ServiceStability]:
        """Those of them that nobody can ask."""
        return [service for service in self.services if service.unaskable]


class StabilityOrder(Contract):
    """Asks to wait, in parallel, until services are stable."""

    execution_id: int
    services: list[str]
    moment: StabilityMoment | None = None
    """Under which what was found is stored. None: it is not, as in histories from before it was."""


class PairHold(Contract):
    """Makes a fault window one half of a pair: it holds its fault until it is released, and captures nothing."""

    case_index: CaseIndex
    window_id: Text
    """Workflow id of the pairs window, which is told that the fault is on."""
    run_id: RunId


class WindowInput(Contract):
    """What every window is started with."""

    execution: Execution
    parent_workflow_id: Text
    parent_run_id: RunId
    timeouts: Timeouts
    """The plan's."""
    hold_seconds: HoldSeconds
    """How long this window may stay open before it closes itself."""
    service: LabelOrNone = ""
    """The one service of a fault window."""
    terse: bool = False
    """Whether the run keeps this window's row itself, and is signalled only what it cannot tell from its result."""
    pair: PairHold | None = None
    """Of a fault window: the pair that it is for. None: its service's own fault, to be captured."""


class FaultInput(WindowInput):
    """What a fault window is started with."""

    asks_case: CaseIndex | None = None
    """The service's own case, when the plan's request is sent as well while the fault is on. None: it is not."""
    request_seconds: BatchSeconds = 60
    """Upper bound on those requests."""
    discovery_round: Annotated[int, number_between(1, MOST_ROUNDS)] = 1
    """From the second on, what is captured is the failure of calls that other failures cause."""

    @model_validator(mode="after")
    def _breaks_a_service_of_its_run(self, info: ValidationInfo) -> Self:
        if is_start(info) and self.service not in self.execution.services:
            raise UnfitError("service must name the service to break", "one of execution.services")
        return self


class LockInput(WindowInput):
    """What the lock is started with besides."""

    leftovers: Leftovers = Leftovers.REFUSE


class PreflightOrder(ExecutionRef):
    """Asks to see that nothing is left over from anyone."""

    leftovers: Leftovers = Leftovers.REFUSE


class PreflightReport(Contract):
    """What was left over and has been switched off, as it was asked for: a line each."""

    cleaned: list[str] = []


class RulesWindowInput(WindowInput):
    """What a rules window is started with besides."""

    services: Services
    """Services that have a captured failure, and so get rules."""
    case_count: CaseIndex
    batch_seconds: BatchSeconds
    """Upper bound on one batch's time."""
    ttl_seconds: Annotated[int, number_between(1, LONGEST // timedelta(seconds=1))]
    """Life of the rules at the proxy: longer than everything this window does."""
    batches_at_once: Annotated[int, number_between(1, MOST_AT_ONCE)] = 1

    @model_validator(mode="after")
    def _has_rules_for_services_of_its_run(self, info: ValidationInfo) -> Self:
        if is_start(info) and not set(self.services) <= set(self.execution.services):
            raise UnfitError("services has names that are not in its run", "some of execution.services")
        return self


class Closing(Contract):
    """What closing a window found."""

    verified: bool
    detail: str = ""
    stability: list[ServiceStability] = []


class LockHolder(Contract):
    """Who holds a namespace, from the memo of its lock."""

    plan: str = ""
    workflow_id: str = ""
    run_id: str = ""
    execution_id: int | None = None


class LockWait(Contract):
    """Asks to wait until a lock is free; with `cancel_holder`, its run is cancelled first, never terminated."""

    lock_id: str
    cancel_holder: bool = False


class OthersWait(ExecutionRef):
    """Asks to wait for other runs on the places of this one, whatever their locks; with `cancel`, they are ended."""

    cancel: bool = False


class RunRef(Contract):
    """One run of a workflow."""

    execution_id: int
    workflow_id: str
    run_id: str
    recovery: Recovery = Recovery.VERIFIED


class OpenWindows(Contract):
    """Windows whose ledger row is not settled."""

    windows: list[str] = []


class LockReport(Contract):
    """The result of `EnvironmentLock`: the last word on a run's recovery."""

    execution_id: int
    recovery_verified: bool
    open_windows: list[str] = []
    """Windows whose ledger row is not settled."""
    detail: str = ""
    cleaned: list[str] = []
    """What others had left over and was switched off before the run began: a line each."""

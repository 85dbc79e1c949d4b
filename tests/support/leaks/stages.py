"""Stages of a run at which a test makes something happen to it, each held by peers that take their time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from domain.names import WorkflowType
from domain.resilience.model import Phase
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.leaks.duo import PAIR, PATIENCE
from tests.support.runs.bench import ASK_EVERY, until

Run = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Stage:
    """One moment of a run.

    It is recognised by the activity in progress in one of its workflows.
    """

    name: str
    phase: Phase
    workflow: WorkflowType
    activity: str
    holding: Misbehaviour = field(default_factory=Misbehaviour)
    load: int = 0
    """Requests per case, if the load test itself takes long."""

    def __str__(self) -> str:
        return self.name

    @property
    def asked(self) -> Endpoint | None:
        """The endpoint of the slow call that holds it, if any."""
        return self.holding.instructions[0].endpoint if self.holding.instructions else None

    def changes(self) -> dict[str, Any]:
        """Return the plan changes that the stage needs."""
        return {"load": {"requests": self.load, "concurrency": 1}} if self.load else {}


def _slow(endpoint: Endpoint, seconds: float = 2.5) -> Misbehaviour:
    return Misbehaviour(instructions=[Instruction(endpoint=endpoint, action=Action.SLOW, seconds=seconds)])


LOCKING = Stage("locking", Phase.GENERATING_CASES, WorkflowType.ENVIRONMENT_LOCK, "preflight", _slow(Endpoint.CHECK))
STARTING = Stage(
    "starting to record",
    Phase.ANALYZING_PATTERNS,
    WorkflowType.RECORDING_WINDOW,
    "start_analysis",
    _slow(Endpoint.ANALYZE),
)
RECORDING = Stage(
    "recording",
    Phase.ANALYZING_PATTERNS,
    WorkflowType.RECORDING_WINDOW,
    "await_patterns",
    Misbehaviour(analysis_stalls=True),
)
STARTING_CALLS = Stage(
    "starting to record calls",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.CALLS_WINDOW,
    "start_recordings",
    _slow(Endpoint.RECORDING_START),
)
LOOKING = Stage(
    "reading calls",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.RESILIENCE_TEST,
    "read_calls",
    _slow(Endpoint.RECORDING_ENTRIES),
)
STOPPING_CALLS = Stage(
    "ending to record calls",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.CALLS_WINDOW,
    "stop_recordings",
    _slow(Endpoint.RECORDING_STOP),
)
PAIR_BROKEN = Stage(
    "two faults on",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.PAIRS_WINDOW,
    "ask_broken",
    Misbehaviour(
        instructions=[
            Instruction(endpoint=Endpoint.FAULT_STATUS, action=Action.SLOW, seconds=1.5, contains=f"-{PAIR}/status")
        ]
    ),
)
CAPTURING = Stage(
    "capturing calls",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.FAULT_WINDOW,
    "capture_calls",
    _slow(Endpoint.RECORDING_ENTRIES),
)
INJECTING = Stage(
    "injecting",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.FAULT_WINDOW,
    "inject_fault",
    _slow(Endpoint.EXECUTE),
)
BROKEN = Stage(
    "fault on",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.FAULT_WINDOW,
    "replay_and_capture",
    Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG)]),
)
REPLAYING = Stage(
    "replaying",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.FAULT_WINDOW,
    "replay_and_capture",
    _slow(Endpoint.REPLAY),
)
RECOVERING = Stage(
    "recovering",
    Phase.INJECTING_AND_REPLAYING,
    WorkflowType.FAULT_WINDOW,
    "recover_fault",
    _slow(Endpoint.FAULT_DELETE),
)
UPSERTING = Stage("upserting", Phase.RULES_READY, WorkflowType.RULES_WINDOW, "upsert_rules", _slow(Endpoint.UPSERT, 5))
MEASURING = Stage("measuring", Phase.LOAD_TEST_BASELINE, WorkflowType.LOAD_PAGE, "measure_batch", load=2000)
REMOVING = Stage(
    "removing rules",
    Phase.LOAD_TEST_BASELINE,
    WorkflowType.RULES_WINDOW,
    "remove_rules",
    _slow(Endpoint.FIXTURE_DELETE, 5),
)

STAGES = [LOCKING, STARTING, RECORDING, STARTING_CALLS, INJECTING, BROKEN, RECOVERING, LOOKING, CAPTURING, PAIR_BROKEN]
STAGES += [STOPPING_CALLS, UPSERTING, MEASURING, REMOVING]


async def pending(client: Client, run: Run) -> AsyncIterator[tuple[str, Run, set[str]]]:
    """Yield a run and its open descendants.

    Each comes as type, handle, and the activities in progress.

    Asked by description and not by history: a stage must not be over before it has been seen.
    """
    described = await run.describe()
    raw = described.raw_description
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    under_way = {activity.activity_type.name for activity in raw.pending_activities if activity.state == started}
    yield described.workflow_type, run, under_way
    for child in raw.pending_children:
        handle = client.get_workflow_handle(child.workflow_id, run_id=child.run_id)
        with suppress(RPCError):  # Not there yet.
            async for descendant in pending(client, handle):
                yield descendant


async def workflows_of(client: Client, run: Run) -> AsyncIterator[tuple[str, Run]]:
    """Yield type and handle of every descendant of a run.

    They come from histories, so ended children are included.
    """
    async for event in run.fetch_history_events():
        started = event.child_workflow_execution_started_event_attributes
        if started.workflow_execution.workflow_id:
            child = client.get_workflow_handle(
                started.workflow_execution.workflow_id, run_id=started.workflow_execution.run_id
            )
            yield started.workflow_type.name, child
            async for grandchild in workflows_of(client, child):
                yield grandchild


async def reached(client: Client, run: Run, stage: Stage) -> Run:
    """Wait until the stage's activity is in progress. Returns the workflow that it belongs to."""

    async def look() -> Run | None:
        async for kind, handle, activities in pending(client, run):
            if kind == stage.workflow and stage.activity in activities:
                return handle
        return None

    found: Run = await until(look, f"{stage.activity} of {run.id}", PATIENCE, every=ASK_EVERY)
    return found

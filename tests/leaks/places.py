"""Places in a run: every activity of every workflow of it, found out from what an undisturbed run really does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from temporalio.client import Client, WorkflowHandle

from lab import Kind
from tests.leaks.checker import Window
from workflows.names import WorkflowType

KIND_OF = {
    WorkflowType.RECORDING_WINDOW: Kind.RECORDING,
    WorkflowType.CALLS_WINDOW: Kind.RECORDING,
    WorkflowType.FAULT_WINDOW: Kind.FAULT,
    WorkflowType.RULES_WINDOW: Kind.RULES,
}


class Moment(StrEnum):
    """When in an activity its worker dies."""

    BEFORE = "before"
    """It was begun and has done nothing yet."""
    AMID = "amid"
    """It is at work, and so is a peer: what was asked for comes on, or goes off, after the death."""
    AFTER = "after"
    """It has done everything, and nobody knows."""


class Place(NamedTuple):
    """One activity of a run. Ids are counted within a workflow, so they are the same in every run of a plan."""

    workflow: str
    window: str
    """Which one, of fault windows: its service, the round of discovery, the pair. Empty for others."""
    number: str
    activity: str

    def __str__(self) -> str:
        """As an argument of a dying worker."""
        return "/".join(self)

    @classmethod
    def of(cls, workflow: str, workflow_id: str, number: str, activity: str) -> Place:
        """The place of an activity; workflow ids name the run, places do not."""
        # fault/<execution>/<service>, fault/<execution>/<service>/<round>, pair/<execution>/<case>/<service>
        window = workflow_id.split("/", 2)[2] if workflow == WorkflowType.FAULT_WINDOW else ""
        return cls(workflow, window, number, activity)

    @property
    def service(self) -> str:
        """Of a fault window; empty for others."""
        return next((one for one in self.window.split("/") if not one.isdecimal()), "")


@dataclass(frozen=True)
class Part:
    """One workflow of a run, as the Temporal server knows it."""

    workflow: str
    workflow_id: str
    run_id: str
    begun: datetime
    ended: datetime | None
    places: dict[Place, datetime]
    """Its activities, and when each was scheduled."""

    @property
    def window(self) -> Window | None:
        """What it could hold, and when; None for what holds nothing at the peers."""
        if self.workflow not in KIND_OF:
            return None
        service = Place.of(self.workflow, self.workflow_id, "", "").service
        kind = KIND_OF[WorkflowType(self.workflow)]
        return Window(kind=kind, service=service, begun=self.begun, ended=self.ended)


async def parts_of(client: Client, run: WorkflowHandle[Any, Any]) -> AsyncIterator[Part]:
    """A run and every workflow that it, or a child of it, started."""
    described = await run.describe()
    places: dict[Place, datetime] = {}
    children = []
    async for event in run.fetch_history_events():
        scheduled = event.activity_task_scheduled_event_attributes
        child = event.child_workflow_execution_started_event_attributes.workflow_execution
        if scheduled.activity_id:
            name = scheduled.activity_type.name
            place = Place.of(described.workflow_type, described.id, scheduled.activity_id, name)
            places[place] = event.event_time.ToDatetime(UTC)
        if child.workflow_id:
            children.append(client.get_workflow_handle(child.workflow_id, run_id=child.run_id))
    yield Part(
        workflow=described.workflow_type,
        workflow_id=described.id,
        run_id=described.run_id,
        begun=described.start_time,
        ended=described.close_time,
        places=places,
    )
    for handle in children:
        async for part in parts_of(client, handle):
            yield part


async def windows_of(client: Client, *runs: WorkflowHandle[Any, Any]) -> list[Window]:
    """Every window of these runs."""
    parts = [part for run in runs for part in [one async for one in parts_of(client, run)]]
    return [part.window for part in parts if part.window is not None]

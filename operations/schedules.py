"""Schedules of definitions, on Temporal's own schedules: when their runs start by themselves.

A definition has at most one schedule. Its id is the workflow id of the definition's runs, so `temporal schedule` finds
it under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecution,
)
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from clients.temporal.connection import server_error
from domain.errors import ErrorCode, HoldfastError
from domain.executions.start_options import StartOptions
from domain.kinds import kinds
from domain.names import MEMO_TIMES, SCHEDULED_BY, SearchAttribute
from domain.units import format_duration
from operations.definitions import DefinitionFile
from operations.environment import operator_name
from operations.runs.find_stored import possible_ids

MOST_RUNS = 10
"""Most runs of a schedule that are shown."""

LAST_VERDICTS = 5
"""Runs whose verdicts a list of schedules shows."""


@dataclass(frozen=True)
class Times:
    """When a schedule starts runs."""

    crons: tuple[str, ...] = ()
    """Cron expressions of five fields: minute, hour, day of the month, month, day of the week."""
    every: timedelta | None = None
    """Interval between starts, counted from the epoch."""
    timezone: str = "UTC"
    """IANA name of the time zone of cron expressions."""
    jitter: timedelta = timedelta(0)
    """Most time, drawn at random, by which a start is late. Spreads plans that are due at the same time."""
    catch_up: timedelta = timedelta(minutes=1)
    """How late a start that the server missed may be made up for."""

    def in_words(self) -> str:
        """Describe the times in one line."""
        words = [f"cron {cron} {self.timezone}" for cron in self.crons]
        words += [f"every {format_duration(self.every)}"] if self.every else []
        late = f", up to {format_duration(self.jitter)} later" if self.jitter else ""
        return " and ".join(words) + late


class ScheduledRun(BaseModel):
    """A run that a schedule started."""

    workflow_id: str
    run_id: str
    started_at: datetime
    status: str
    """The server's word: RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED, TIMED_OUT."""
    verdict: str | None
    """None: there is none yet, there never will be one, or the server does not have our search attributes."""
    recovery: str | None


class ScheduleFacts(BaseModel):
    """A schedule, and what became of its last runs."""

    schedule_id: str
    kind: str
    name: str
    """Name of the definition."""
    times: str
    """In words. Empty for a schedule that was not made by `holdfast schedule`."""
    paused: bool
    note: str
    """Who made or paused it, and why."""
    next_at: list[datetime]
    runs: list[ScheduledRun]
    """Newest first."""
    missed: int
    """Starts that the server missed, and that were too late to be made up for."""
    skipped: int
    """Starts left out because the run before was still going on."""

    @property
    def state(self) -> str:
        """Whether it starts runs."""
        return "paused" if self.paused else "active"


@dataclass(frozen=True)
class NewSchedule:
    """A schedule to be made."""

    definition: DefinitionFile
    times: Times
    queue: str
    """Task queue of the worker."""
    options: StartOptions = field(default_factory=StartOptions)
    replace: bool = False
    """Whether it takes the place of a schedule of the same definition."""

    @property
    def schedule_id(self) -> str:
        """Its id, which is also the beginning of its runs' workflow ids."""
        return self.definition.kind.workflow_id(self.definition.name)

    def for_server(self) -> Schedule:
        """Return it as the server takes it."""
        kind, times = self.definition.kind, self.times
        summary, details = self.definition.for_web_ui()
        return Schedule(
            action=ScheduleActionStartWorkflow(
                kind.workflow_type,
                kind.as_input(self.definition.document, self.options, operator_name()),
                id=self.schedule_id,
                task_queue=self.queue,
                memo={MEMO_TIMES: times.in_words()},
                static_summary=summary,
                static_details=details,
            ),
            spec=ScheduleSpec(
                cron_expressions=list(times.crons),
                intervals=[ScheduleIntervalSpec(every=times.every)] if times.every else [],
                time_zone_name=times.timezone,
                jitter=times.jitter or None,
            ),
            # Skip: two runs of one plan would wait for each other, or break each other's services.
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=times.catch_up),
            state=ScheduleState(note=f"made by {operator_name()}"),
        )


async def create(client: Client, new: NewSchedule) -> None:
    """Make a schedule.

    Raises:
        HoldfastError: EXECUTION_ALREADY_RUNNING when the definition has a schedule and `replace` is not set.
            VALIDATION_ERROR when the server cannot use the times.
        RPCError: the server did not take it for another reason.
    """
    try:
        await _create(client, new)
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT or "spec" not in error.message:
            raise
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"the Temporal server cannot use these times: {error.message}",
            hint="a cron expression has five fields, such as '0 3 * * 1-5'; a time zone has a name such as Europe/Rome",
        ) from error


async def _create(client: Client, new: NewSchedule) -> None:
    schedule = new.for_server()
    try:
        await client.create_schedule(new.schedule_id, schedule)
    except ScheduleAlreadyRunningError as error:
        if not new.replace:
            raise HoldfastError(
                ErrorCode.EXECUTION_ALREADY_RUNNING,
                f"there is a schedule {new.schedule_id} already",
                hint=f"`holdfast schedule show {new.definition.name}` shows it; --replace puts this one in its place",
            ) from error
        # In place: if the server cannot use the new times, the old schedule goes on.
        await client.get_schedule_handle(new.schedule_id).update(partial(_replaced, schedule))


def _replaced(new: Schedule, old: ScheduleUpdateInput) -> ScheduleUpdate:
    # A paused schedule stays paused: a new plan does not end a change freeze.
    if old.description.schedule.state.paused:
        new.state = old.description.schedule.state
    return ScheduleUpdate(new)


async def find(client: Client, given: str) -> tuple[ScheduleHandle, ScheduleDescription]:
    """Find a schedule by its definition's name, or by its id.

    Raises:
        HoldfastError: NOT_FOUND, or what the server's error means.
    """
    for schedule_id in possible_ids(given):
        handle = client.get_schedule_handle(schedule_id)
        try:
            return handle, await handle.describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or "amespace" in error.message:
                raise server_error(error) from error
    raise HoldfastError(
        ErrorCode.NOT_FOUND, f"there is no schedule of {given}", hint="`holdfast schedule list` shows all of them"
    )


async def pause(client: Client, given: str, reason: str) -> None:
    """Let a schedule start no more runs.

    Raises:
        HoldfastError: NOT_FOUND, or what the server's error means.
    """
    note = f"paused by {operator_name()}" + (f": {reason}" if reason else "")
    await (await find(client, given))[0].pause(note=note)


async def resume(client: Client, given: str) -> None:
    """Let a paused schedule start runs again. Raises as `pause`."""
    await (await find(client, given))[0].unpause(note=f"resumed by {operator_name()}")


async def trigger(client: Client, given: str) -> None:
    """Start a run now, unless one of the schedule is going on. Raises as `pause`."""
    await (await find(client, given))[0].trigger()


async def delete(client: Client, given: str) -> None:
    """Delete a schedule. Raises as `pause`."""
    await (await find(client, given))[0].delete()


async def facts_of(client: Client, described: ScheduleDescription, most_runs: int = MOST_RUNS) -> ScheduleFacts:
    """Return a schedule and its last runs."""
    state, info = described.schedule.state, described.info
    kind, _, name = described.id.partition("/")
    runs = await runs_of(client, described.id, most_runs)
    return ScheduleFacts(
        schedule_id=described.id,
        kind=kind,
        name=name,
        times=await _times(described),
        paused=state.paused,
        note=state.note or "",
        next_at=[] if state.paused else list(info.next_action_times),
        runs=[_run(found) for found in runs],
        missed=info.num_actions_missed_catchup_window,
        skipped=info.num_actions_skipped_overlap,
    )


async def _times(described: ScheduleDescription) -> str:
    action = described.schedule.action
    memo = action.memo if isinstance(action, ScheduleActionStartWorkflow) else None
    stored = (memo or {}).get(MEMO_TIMES)
    if not isinstance(stored, Payload):
        return ""
    try:
        [words] = await described.data_converter.decode([stored])
    except HoldfastError:
        return ""  # Encrypted with a key that is not here.
    return str(words)


async def every_schedule(client: Client) -> list[ScheduleFacts]:
    """Return every schedule of a definition, in the order of their ids."""
    prefixes = tuple(kind.workflow_id("") for kind in kinds())
    ids = [found.id async for found in await client.list_schedules() if found.id.startswith(prefixes)]
    described = [await _described(client, one) for one in sorted(ids)]
    return [await facts_of(client, found, LAST_VERDICTS) for found in described if found]


async def _described(client: Client, schedule_id: str) -> ScheduleDescription | None:
    try:
        return await client.get_schedule_handle(schedule_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None  # Deleted since it was listed.
        raise


async def runs_of(client: Client, schedule_id: str, most: int) -> list[WorkflowExecution]:
    """Return the newest runs that a schedule started, newest first."""
    quoted = schedule_id.replace("\\", "\\\\").replace("'", "\\'")
    listed = client.list_workflows(f"{SCHEDULED_BY} = '{quoted}'", limit=most)
    return [found async for found in listed]


def _run(found: WorkflowExecution) -> ScheduledRun:
    def attribute(name: SearchAttribute) -> str | None:
        return found.typed_search_attributes.get(SearchAttributeKey.for_keyword(name))

    return ScheduledRun(
        workflow_id=found.id,
        run_id=found.run_id,
        started_at=found.start_time,
        status=found.status.name if found.status else "UNKNOWN",
        verdict=attribute(SearchAttribute.VERDICT),
        recovery=attribute(SearchAttribute.RECOVERY),
    )

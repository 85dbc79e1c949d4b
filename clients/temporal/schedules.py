"""The sweeper's schedule on the Temporal server, created by the first worker."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from domain.names import SWEEPER_SCHEDULE_ID, SWEEPER_WORKFLOW_ID, WorkflowType


async def ensure_sweeper(client: Client, task_queue: str, every: timedelta) -> bool:
    """Create the sweeper's schedule; false if it already exists."""
    # One sweep at a time, and missed sweeps are not caught up: each sweep looks at the whole ledger anyway.
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(WorkflowType.SWEEPER, id=SWEEPER_WORKFLOW_ID, task_queue=task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )
    try:
        await client.create_schedule(SWEEPER_SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:
        return False
    return True

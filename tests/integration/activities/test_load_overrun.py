"""A run that has sent load for as long as the worker allows gets no further group of cases."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.load.batches import LoadActivities
from activities.toolbox import Subject
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import LedgerEntry, WindowKind
from domain.guardrails.model import Guardrails
from tests.support.activities.stage import Stage


def environment() -> ActivityEnvironment:
    """Make an environment in which the server's clock and the worker's agree."""
    found = ActivityEnvironment()
    now = datetime.now(UTC)
    found.info = replace(found.info, scheduled_time=now, started_time=now)
    return found


async def test_no_group_is_measured_after_the_workers_maximum_load_duration(stage: Stage) -> None:
    """The time counts from the rules window in the ledger. Nothing is sent, and the run ends as stopped."""
    now = datetime.now(UTC)
    row = LedgerEntry(
        window_id=f"rules/{stage.execution.execution_id}",
        run_id=str(uuid.uuid4()),
        execution_id=stage.execution.execution_id,
        parent_workflow_id="w",
        parent_run_id="1",
        kind=WindowKind.RULES,
        close_by=now + timedelta(hours=1),
        created_at=now - timedelta(minutes=31),
    )
    await stage.tools.store.ledger.intent(row)
    stage.tools.rails = Guardrails(max_load_duration=timedelta(minutes=30))
    activities = LoadActivities(stage.tools)
    subject = Subject(stage.execution, stage.plan)
    with pytest.raises(HoldfastError, match="longer than the 30m that the worker allows") as raised:
        await environment().run(activities._measure, subject, [], {})
    assert raised.value.code is ErrorCode.STOP_CONDITION
    assert "HOLDFAST_MAX_LOAD_DURATION" in raised.value.hint
    assert not stage.lab.counters.entry_baggage
    stage.tools.rails = Guardrails(max_load_duration=timedelta(minutes=32))
    await environment().run(activities._require_time, subject)

"""An abandoned ledger row may only be settled once no call of its window can still switch something on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from activities.clocks import Deadline
from activities.recovery.orphans import close_orphan
from activities.toolbox import Toolbox
from clients.secrets.values import Secrets
from clients.store.store import Store
from domain.executions.windows import Closing, LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution
from domain.timing import Timing
from tests.support.plans.builders import good
from tests.support.store.template import put_database

NOW, LONG_AGO = timedelta(seconds=1), timedelta(hours=1)


class Nothing:
    """A fault service without any fault."""

    async def delete(self, _: str) -> None:
        """Find nothing to delete."""

    async def status(self, _: str) -> None:
        """Find no status either."""

    def by_hand(self, name: str) -> str:
        return f"forget {name}"


class Tools(Toolbox):
    def faults(self, plan: Plan) -> Any:
        return Nothing()


@dataclass
class Runs:
    """A server that knows when a window was closed. None: it does not know the window."""

    closed: datetime | None

    async def closed_at(self, workflow_id: str, run_id: str) -> datetime | None:
        assert workflow_id.startswith("fault/")
        assert run_id
        return self.closed


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[Tools]:
    """A toolbox with a store."""
    store = await Store.open(put_database(tmp_path / "holdfast.db"))
    nobody = cast("Any", None)
    yield Tools(store, Secrets({}), nobody, nobody)
    await store.close()


async def left(tools: Tools, run_id: str, state: LedgerState) -> LedgerEntry:
    """Store the row of a fault window that no workflow holds any more."""
    plan = Plan.model_validate(good())
    timing = Timing(settle=timedelta(0), poll=timedelta(milliseconds=1))
    new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="1")
    execution = await tools.store.executions.create(new, plan, timing)
    row = LedgerEntry(
        window_id=f"fault/{execution.execution_id}/cart",
        run_id=run_id,
        execution_id=execution.execution_id,
        parent_workflow_id="w",
        parent_run_id="1",
        kind=WindowKind.FAULT,
        peer_name="hf-1-cart-00000000-1",
        close_by=datetime.now(UTC),
    )
    await tools.store.ledger.intent(row)
    await tools.store.ledger.update(LedgerUpdate(window_id=row.window_id, run_id=run_id, state=state))
    return row.model_copy(update={"state": state})


async def closed(tools: Tools, row: LedgerEntry, since: timedelta | None) -> tuple[Closing, LedgerState]:
    """Close the orphan whose window was closed this long ago. None: the server does not know the window."""
    runs = Runs(None if since is None else datetime.now(UTC) - since)
    closing = await close_orphan(
        tools, cast("Any", runs), row, Deadline.after(timedelta(seconds=30)), "sweeper", clock=lambda: datetime.now(UTC)
    )
    (now,) = await tools.store.ledger.of(row.execution_id)
    return closing, now.state


@pytest.mark.parametrize("state", [LedgerState.INTENT, LedgerState.UNVERIFIED])
async def test_a_row_whose_call_may_still_act_is_kept(tools: Tools, state: LedgerState) -> None:
    """Nothing is active, but that proves nothing yet: the row stays as it is, and the log shows why."""
    row = await left(tools, "1", state)
    closing, now = await closed(tools, row, NOW)
    assert (closing.verified, now) == (False, state)
    assert closing.detail.startswith("nothing is on, but a call under way may switch it on until")
    (line,) = await tools.store.logs.of(row.execution_id)
    assert line.message == f"sweeper: {closing.detail}"


@pytest.mark.parametrize(
    ("state", "since"), [(LedgerState.INTENT, LONG_AGO), (LedgerState.UNVERIFIED, LONG_AGO), (LedgerState.OPEN, NOW)]
)
async def test_a_row_whose_call_can_no_longer_act_is_settled(
    tools: Tools, state: LedgerState, since: timedelta
) -> None:
    """Either the call was answered, or its own time limit and the peer's have passed."""
    row = await left(tools, "1", state)
    closing, now = await closed(tools, row, since)
    assert (closing.verified, now) == (True, LedgerState.CLOSED)


def version_7(ago: timedelta) -> str:
    """Return a run id as the server makes them: a UUID that begins with the time."""
    milliseconds = int((datetime.now(UTC) - ago).timestamp() * 1000)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62))


@pytest.mark.parametrize(
    ("began", "state"), [(NOW, LedgerState.INTENT), (LONG_AGO, LedgerState.CLOSED), (None, LedgerState.CLOSED)]
)
async def test_a_window_unknown_to_the_server_is_timed_from_its_start(
    tools: Tools, began: timedelta | None, state: LedgerState
) -> None:
    """A server may be lost, or its memory of the window. Run ids of older servers carry no time."""
    row = await left(tools, "of an older server" if began is None else version_7(began), LedgerState.INTENT)
    assert (await closed(tools, row, None))[1] is state

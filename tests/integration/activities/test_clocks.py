"""Deadlines, ends and the sweeper's judgement do not depend on the worker's wall clock."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities import clocks
from activities.base import step
from activities.clocks import Deadline, closing_deadline, deadline, elapsed, server_now
from activities.stages.faults import FaultActivities
from clients.secrets.values import Secrets
from domain.executions.windows import Closing
from domain.faults.driving import FaultIntent
from domain.faults.model import FaultOrder
from tests.support.activities.permits import own_fault_name
from tests.support.activities.stage import Stage
from tests.support.paths import ROOT

WRONG_BY = [timedelta(seconds=40), timedelta(seconds=-40), timedelta(hours=1), timedelta(hours=-1)]
LONGEST = timedelta(seconds=30)

_WALL_CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "fromtimestamp", "utc_now"}


def wrong_server(by: timedelta, *, earlier: timedelta = timedelta(0)) -> ActivityEnvironment:
    """Make an activity of a server whose clock is `by` behind the worker's.

    Earlier attempts took `earlier`.
    """
    environment = ActivityEnvironment()
    started = datetime.now(UTC) - by
    environment.info = replace(environment.info, scheduled_time=started - earlier, started_time=started)
    return environment


class Timed:
    """An activity that only reads its clocks."""

    _tools: Any = SimpleNamespace(secrets=Secrets({}))

    @step
    async def look(self, what: Any) -> Any:
        return what()


@pytest.mark.parametrize("by", WRONG_BY)
async def test_a_deadline_does_not_depend_on_the_workers_clock(by: timedelta) -> None:
    left = await wrong_server(by).run(Timed().look, lambda: deadline(LONGEST).left)
    assert LONGEST - timedelta(seconds=10) < left <= LONGEST


@pytest.mark.parametrize("by", WRONG_BY)
async def test_a_repeated_attempt_gets_the_time_that_earlier_attempts_left(by: timedelta) -> None:
    environment = wrong_server(by, earlier=timedelta(seconds=20))
    left = await environment.run(Timed().look, lambda: deadline(LONGEST).left)
    assert left <= timedelta(seconds=10)
    assert await environment.run(Timed().look, lambda: deadline(timedelta(seconds=15)).over)


@pytest.mark.parametrize("by", WRONG_BY)
async def test_closing_gets_its_minimum_time_whatever_the_clocks_show(by: timedelta) -> None:
    environment = wrong_server(by, earlier=timedelta(days=1))
    left = await environment.run(Timed().look, lambda: closing_deadline(LONGEST, timedelta(seconds=20)).left)
    assert timedelta(seconds=5) < left <= timedelta(seconds=20)


@pytest.mark.parametrize("by", WRONG_BY)
async def test_server_now_follows_the_servers_clock(by: timedelta) -> None:
    """The sweeper compares it with ends and `close_by`, which the server's clock wrote."""
    ahead = await wrong_server(by).run(Timed().look, lambda: datetime.now(UTC) - server_now())
    assert abs(ahead - by) < timedelta(seconds=5)


async def test_an_attempt_is_measured_by_the_monotonic_clock_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes to the wall clock have no effect.

    The duration of earlier attempts is added as the server reports it.
    """
    ticks = iter([100.0, 103.0])
    environment = wrong_server(timedelta(hours=1), earlier=timedelta(seconds=7))
    monkeypatch.setattr(clocks, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    assert await environment.run(Timed().look, elapsed) == timedelta(seconds=10)


def test_a_deadline_cannot_be_compared_with_a_time_of_day() -> None:
    with pytest.raises(TypeError):
        assert Deadline.after(LONGEST) < datetime.now(UTC)  # type: ignore[operator]


@pytest.mark.parametrize("by", [WRONG_BY[0], WRONG_BY[-1]])
async def test_a_fault_runs_and_is_removed_when_the_workers_clock_is_wrong(stage: Stage, by: timedelta) -> None:
    """A worker 40 s ahead used to report every fault as «not running after 30 s»."""
    service = stage.plan.services[0]
    order = FaultOrder(
        execution_id=stage.execution.execution_id,
        service=service.name,
        fault_name=own_fault_name(stage.execution, service.name),
    )
    intent = FaultIntent(fault=service.fault, service=service.name, namespace=stage.plan.system.namespace)
    await stage.tools.faults(stage.plan).inject(order.fault_name, timedelta(minutes=10), intent)
    faults = FaultActivities(stage.tools)
    running = await wrong_server(by).run(faults.await_running, order)
    assert running.fault_name == order.fault_name
    assert await wrong_server(by).run(faults.recover, order) == Closing(verified=True)


@pytest.mark.parametrize("path", sorted((ROOT / "activities").rglob("*.py")), ids=lambda path: path.name)
def test_no_activity_reads_the_wall_clock(path: Path) -> None:
    """The wall clock must not be compared with the server's times, which activities are given."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [
        f"{path.name}:{call.lineno}: {ast.unparse(call)}"
        for call in calls
        if isinstance(call, ast.Attribute)
        and call.attr in _WALL_CLOCKS
        and ast.unparse(call.value) in ("datetime", "time", "date", "datetime.datetime", "columns")
    ]
    named += [f"{path.name}:{call.lineno}" for call in calls if isinstance(call, ast.Name) and call.id == "utc_now"]
    names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    # Server times that an activity is given. Only `clocks` may calculate with them.
    given = names & {"scheduled_time", "started_time", "current_attempt_scheduled_time"}
    assert (named, given if path.name != "clocks.py" else set()) == ([], set())

"""Every activity has a duty, and functions that switch something on are called only behind a permit."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity

import activities
from activities.permit import Duty
from activities.toolbox import Toolbox
from tests.support.activities.offered import name_of, offered

CLOSERS = {
    "await_lock_free", "await_others_gone", "finish_from_server", "recover_fault", "remove_rules", "stop_recordings",
    "sweep", "verify_environment",
}  # fmt: skip
READERS = {
    "await_fault_running", "await_rules_acting", "await_rules_registered", "await_run_ended", "await_stability",
    "await_windows_settled", "describe_holder", "describe_others",
}  # fmt: skip


@pytest.mark.parametrize("work", offered(), ids=name_of)
def test_every_activity_has_a_duty(work: Any) -> None:
    """An activity without a permit is listed here as a closer or a reader, so that a person looks at every new one."""
    duty = getattr(work, "duty", None)
    assert isinstance(duty, Duty), f"{name_of(work)} has no duty: see activities/permit.py"
    assert (duty is Duty.CLOSES) == (name_of(work) in CLOSERS)
    assert (duty is Duty.READS) == (name_of(work) in READERS)
    assert duty is not Duty.ACTS or work.need is not None


@pytest.mark.parametrize("work", offered(), ids=name_of)
def test_temporal_sees_only_the_order_as_parameter_of_an_activity(work: Any) -> None:
    assert len(inspect.signature(work).parameters) == 1
    assert len(activity._Definition.must_from_callable(work).arg_types or []) == 1


def test_a_toolbox_without_rails_allows_nothing() -> None:
    """The command line uses one for closing by hand. Forgotten rails must not allow everything."""
    nothing: Any = None
    rails = Toolbox(store=nothing, secrets=nothing, load=nothing, canary=nothing).rails
    assert (rails.namespaces, rails.hosts) == ([], [])


SWITCHING_ON = {
    "inject",
    "upsert_rules",
    "analyze",
    "replay",
    "start_recording",
    "send_once",
    "send_and_read",
    "block",
    "warm_up",
}
CALLED_FROM = {
    ("stages.faults", "_inject"),
    ("stages.faults", "_replay"),
    ("stages.rules", "_upsert"),
    ("stages.traffic", "begin"),
    ("stages.traffic", "_trigger"),
    ("stages.steady", "_why_unmet"),
    ("run.stop_conditions", "send"),
    ("stages.calls", "_start_one"),
    ("stages.calls", "once"),
    ("stages.capturing_calls", "_answer"),
    ("stages.plan_requests", "work"),
    ("load.measuring", "*"),
    ("load.arms", "*"),
}
"""Functions of acting activities, each reached through a permit. `measuring` and `arms` belong to `measure_batch`."""


def called_in(function: ast.AST) -> set[str]:
    """Return the acting client methods that are called, and the reader's own `fetch`, which can reach anything."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    methods = {call.attr for call in calls if isinstance(call, ast.Attribute)} & SWITCHING_ON
    return methods | ({call.id for call in calls if isinstance(call, ast.Name)} & {"fetch"})


def module_of(path: Path) -> str:
    """Return the name within the package: `stages.faults`."""
    return ".".join(path.relative_to(activities.__path__[0]).with_suffix("").parts)


def test_acting_calls_are_made_only_behind_a_permit() -> None:
    """A call added elsewhere must be reviewed: does its activity act?"""
    found = set()
    for path in Path(activities.__path__[0]).rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            inner = {
                name
                for nested in ast.walk(function)
                if nested is not function and isinstance(nested, ast.FunctionDef | ast.AsyncFunctionDef)
                for name in called_in(nested)
            }
            if called_in(function) - inner:
                found.add((module_of(path), function.name))
    strange = {place for place in found if place not in CALLED_FROM and (place[0], "*") not in CALLED_FROM}
    assert strange == set()
    assert {place for place in CALLED_FROM if place[1] != "*"} <= found

"""Every activity that a worker offers has a duty, and what switches something on is called from nowhere else."""

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
from worker import build_activities
from workflows.contracts.timing import Timing

CLOSERS = {
    "await_lock_free", "await_others_gone", "finish_from_server", "recover_fault", "remove_rules", "stop_recordings",
    "sweep", "verify_environment",
}  # fmt: skip
READERS = {
    "await_fault_running", "await_rules_acting", "await_rules_registered", "await_run_ended", "await_stability",
    "await_windows_settled", "describe_holder", "describe_others",
}  # fmt: skip


def offered() -> list[Any]:
    nothing: Any = None
    tools = Toolbox(store=nothing, secrets=nothing, load=nothing, canary=nothing)
    built = build_activities(tools, nothing, Timing(), search_attributes=False)
    return [*built.control, *built.load]


def name_of(work: Any) -> str:
    return str(activity._Definition.must_from_callable(work).name)


@pytest.mark.parametrize("work", offered(), ids=name_of)
def test_every_activity_has_a_duty(work: Any) -> None:
    """One that asks for no permit is a closer or a reader by name, so that a new one is looked at by a person."""
    duty = getattr(work, "duty", None)
    assert isinstance(duty, Duty), f"{name_of(work)} has no duty: see activities/permit.py"
    assert (duty is Duty.CLOSES) == (name_of(work) in CLOSERS)
    assert (duty is Duty.READS) == (name_of(work) in READERS)
    assert duty is not Duty.ACTS or work.need is not None


@pytest.mark.parametrize("work", offered(), ids=name_of)
def test_temporal_fills_the_order_and_not_the_permit(work: Any) -> None:
    assert len(inspect.signature(work).parameters) == 1
    assert len(activity._Definition.must_from_callable(work).arg_types or []) == 1


def test_a_toolbox_without_rails_allows_nothing() -> None:
    """The command line's, for closing by hand: forgetting the rails must not open everything."""
    nothing: Any = None
    rails = Toolbox(store=nothing, secrets=nothing, load=nothing, canary=nothing).rails
    assert (rails.namespaces, rails.hosts) == ([], [])


SWITCHING_ON = {
    "execute",
    "upsert_rules",
    "analyze",
    "replay",
    "start_recording",
    "send_once",
    "ask",
    "block",
    "warm_up",
}
CALLED_FROM = {
    ("faults", "_execute"),
    ("faults", "_replay"),
    ("rules", "_upsert"),
    ("traffic", "begin"),
    ("traffic", "_trigger"),
    ("steady", "_ask"),
    ("stopping", "send"),
    ("calls", "_start_one"),
    ("calls", "once"),
    ("capturing_calls", "_answer"),
    ("asking", "work"),
    ("measuring", "*"),
    ("arms", "*"),
}
"""Functions of activities that act, each reached through a permit. `measuring` and `arms` are `measure_batch`'s."""


def called_in(function: ast.AST) -> set[str]:
    """What acts, as a method of a client; and the reader's own call, by which a request goes anywhere."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    methods = {one.attr for one in calls if isinstance(one, ast.Attribute)} & SWITCHING_ON
    return methods | ({one.id for one in calls if isinstance(one, ast.Name)} & {"fetch"})


def test_what_switches_on_is_called_only_where_a_permit_leads() -> None:
    """A call added elsewhere must be looked at: is its activity one that acts?"""
    found = set()
    for path in Path(activities.__path__[0]).glob("*.py"):
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
                found.add((path.stem, function.name))
    strange = {one for one in found if one not in CALLED_FROM and (one[0], "*") not in CALLED_FROM}
    assert strange == set()
    assert {one for one in CALLED_FROM if one[1] != "*"} <= found

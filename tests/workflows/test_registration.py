"""What the worker offers is what exists."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow

import activities
from activities.toolbox import Toolbox
from worker import WORKFLOWS, build_activities
from workflows.contracts.timing import Timing
from workflows.names import WorkflowType
from workflows.windows.calls import CallsWindow
from workflows.windows.fault import FaultWindow
from workflows.windows.holding import Holding
from workflows.windows.lock import EnvironmentLock
from workflows.windows.recording import RecordingWindow
from workflows.windows.rules import RulesWindow

ROOT = Path(__file__).parents[2]


def defined_activities() -> set[str]:
    """Names of all activities in the package."""
    found = set()
    for module in pkgutil.iter_modules(activities.__path__):
        for _, kind in inspect.getmembers(importlib.import_module(f"activities.{module.name}"), inspect.isclass):
            for _, method in inspect.getmembers(kind, inspect.isfunction):
                definition = activity._Definition.from_callable(method)
                if definition and definition.name:
                    found.add(definition.name)
    return found


def test_every_activity_is_registered_once() -> None:
    """An activity that no worker offers hangs the run that asks for it."""
    nothing: Any = None
    tools = Toolbox(store=nothing, secrets=nothing, load=nothing, canary=nothing)
    offered = build_activities(tools, nothing, Timing(), search_attributes=False)
    names = [activity._Definition.must_from_callable(one).name for one in [*offered.control, *offered.load]]
    assert sorted(str(name) for name in names) == sorted(defined_activities())


def test_every_workflow_type_is_registered() -> None:
    """The names that other programs rely on are those of the classes."""
    names = [workflow._Definition.must_from_class(one).name for one in WORKFLOWS]
    assert sorted(str(name) for name in names) == sorted(WorkflowType)


def test_only_the_run_fails_on_any_exception() -> None:
    """Windows wait for a worker that can replay them; a run that cannot be replayed ends, so that its windows close."""
    failing = {
        definition.name
        for one in WORKFLOWS
        if (definition := workflow._Definition.must_from_class(one)).failure_exception_types
    }
    assert failing == {WorkflowType.RESILIENCE_TEST}


@pytest.mark.parametrize("package", ["workflows", "activities", "clients", "clients/store", "workflows/windows"])
def test_the_packages_import_nothing(package: str) -> None:
    """An import in an `__init__` is paid by every workflow that the sandbox prepares."""
    assert (ROOT / package / "__init__.py").read_text() == ""


@pytest.mark.parametrize("kind", [RecordingWindow, CallsWindow, FaultWindow, RulesWindow])
def test_windows_hold_from_their_first_statement(kind: Any) -> None:
    """One await before the `try`, and half of the cancels skip the clean-up."""
    assert _body(kind.run).startswith("held = await self._holding.hold(")
    assert _body(Holding.hold).startswith("try:")
    assert _body(EnvironmentLock.run).startswith("try:")


@pytest.mark.parametrize("module", ["resilience_test", "injecting", "windows.holding", "windows.recording",
                                    "windows.fault", "windows.rules", "windows.lock", "windows.load_page",
                                    "windows.pairs", "windows.together", "verifying", "windows.calls",
                                    "discovering"])  # fmt: skip
def test_workflows_have_no_finally(module: str) -> None:
    """It would run when Python drops a cached workflow, outside of any event loop and inside whatever runs then."""
    assert "finally:" not in (ROOT / "workflows" / f"{module.replace('.', '/')}.py").read_text()


def _body(function: Any) -> str:
    return inspect.getsource(function).split('"""')[2].strip()

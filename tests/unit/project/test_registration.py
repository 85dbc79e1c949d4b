"""The worker registers everything that exists."""

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
from domain.names import WorkflowType
from domain.timing import Timing
from tests.support.paths import ROOT
from worker import WORKFLOWS, build_activities
from workflows.windows.calls import CallsWindow
from workflows.windows.fault import FaultWindow
from workflows.windows.holding import Holding
from workflows.windows.lock import EnvironmentLock
from workflows.windows.recording import RecordingWindow
from workflows.windows.rules import RulesWindow


def defined_activities() -> set[str]:
    """Return the names of all activities in the package."""
    found = set()
    for module in pkgutil.walk_packages(activities.__path__, "activities."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            for _, method in inspect.getmembers(kind, inspect.isfunction):
                definition = activity._Definition.from_callable(method)
                if definition and definition.name:
                    found.add(definition.name)
    return found


def test_every_activity_is_registered_once() -> None:
    """A run hangs if no worker offers an activity that it calls."""
    nothing: Any = None
    tools = Toolbox(store=nothing, secrets=nothing, load=nothing, canary=nothing)
    offered = build_activities(tools, nothing, Timing())
    names = [activity._Definition.must_from_callable(work).name for work in [*offered.control, *offered.load]]
    assert sorted(str(name) for name in names) == sorted(defined_activities())


def test_every_workflow_type_is_registered() -> None:
    """The names that other programs rely on are those of the classes."""
    names = [workflow._Definition.must_from_class(kind).name for kind in WORKFLOWS]
    assert sorted(str(name) for name in names) == sorted(WorkflowType)


def test_only_the_run_fails_on_any_exception() -> None:
    """Windows wait for a worker that can replay them. A run that cannot be replayed ends, so that its windows close."""
    failing = {
        definition.name
        for kind in WORKFLOWS
        if (definition := workflow._Definition.must_from_class(kind)).failure_exception_types
    }
    assert failing == {WorkflowType.RESILIENCE_TEST}


PACKAGES = [
    path.parent
    for top in ("activities", "clients", "domain", "workflows")
    for path in (ROOT / top).rglob("__init__.py")
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_package_init_files_are_empty(package: Path) -> None:
    """Every workflow that the sandbox prepares would pay for an import in an `__init__`."""
    assert (package / "__init__.py").read_text() == ""


@pytest.mark.parametrize("kind", [RecordingWindow, CallsWindow, FaultWindow, RulesWindow])
def test_windows_are_protected_from_their_first_statement(kind: Any) -> None:
    """With a single await before the `try`, half of the cancellations skip the clean-up."""
    assert _body(kind.run).startswith("held = await self._holding.hold(")
    assert _body(Holding.hold).startswith("try:")
    assert _body(EnvironmentLock.run).startswith("try:")


MODULES = sorted((ROOT / "workflows").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_workflows_contain_no_finally(module: Path) -> None:
    """It would run when Python drops a cached workflow, outside of any event loop and inside whatever runs then."""
    assert "finally:" not in module.read_text()


def _body(function: Any) -> str:
    return inspect.getsource(function).split('"""')[2].strip()

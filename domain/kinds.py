"""The kinds of executions that this installation knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from domain.executions.execution import ExecutionSummary
from domain.executions.kinds import Kind
from domain.executions.state import ExecutionState
from domain.resilience import kind as resilience
from domain.resilience.model import RESILIENCE_TEST

_KINDS: dict[str, Kind] = {RESILIENCE_TEST: resilience.KIND}


def kinds() -> list[Kind]:
    """Return every known kind. Resilience tests come first."""
    return list(_KINDS.values())


@contextmanager
def registered(kind: Kind) -> Iterator[None]:
    """For tests: know one more kind inside the block.

    Raises:
        ValueError: a kind of this name or workflow type is known already.
    """
    if any(kind.name == other.name or kind.workflow_type == other.workflow_type for other in kinds()):
        raise ValueError(f"a kind {kind.name} or a workflow type {kind.workflow_type} already exists")
    _KINDS[kind.name] = kind
    try:
        yield
    finally:
        del _KINDS[kind.name]


def kind_named(name: str) -> Kind | None:
    """Return the kind of this name; None if this version does not know it."""
    return _KINDS.get(name)


def kind_of_workflow(workflow_type: str) -> Kind | None:
    """Return the kind whose executions are workflows of this type."""
    return next((kind for kind in kinds() if kind.workflow_type == workflow_type), None)


def kind_of(document: object) -> Kind:
    """Return the kind of a document, by its keys.

    What no other kind recognises is a plan, so that its problems are reported as those of a plan.
    """
    if isinstance(document, dict):
        for kind in kinds():
            if kind.recognises(document):
                return kind
    return resilience.KIND


def workflow_types() -> list[str]:
    """Return the workflow types of all kinds."""
    return [kind.workflow_type for kind in kinds()]


def as_state(document: Mapping[str, Any]) -> ExecutionState:
    """Read the answer of the query `status`.

    A kind unknown here comes from a newer worker: only the fields that every kind has are read. A document without a
    kind comes from an older worker, which knew only resilience tests.

    Raises:
        ValidationError: it is no state.
    """
    kind = kind_named(_name_in(document))
    return (kind.state if kind else ExecutionState).model_validate(document)


def as_summary(document: Mapping[str, Any]) -> ExecutionSummary:
    """Read the result of an execution, as `as_state` does.

    Raises:
        ValidationError: it is no summary.
    """
    kind = kind_named(_name_in(document))
    return (kind.summary if kind else ExecutionSummary).model_validate(document)


def _name_in(document: Mapping[str, Any]) -> str:
    return str(document.get("kind", RESILIENCE_TEST))

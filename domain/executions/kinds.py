"""What a kind of execution is: what one must know to start, find and show its executions.

A resilience test is one kind. Each kind is described in one place, `domain/kinds.py` collects them, and everything that
starts, follows, lists or reports executions asks there. So a new kind needs no change in `operations/` or `cli/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from domain.errors import Problem
from domain.executions.execution import ExecutionSummary, RunStatus
from domain.executions.start_options import StartOptions
from domain.executions.state import ExecutionState

LONGEST_NAME = 32
"""Characters of a kind's name in the store."""


class Definition(Protocol):
    """What an execution carries out, such as a plan."""

    @property
    def name(self) -> str:
        """The name under which its executions are started and found."""
        ...


@dataclass(frozen=True)
class Kind:
    """A kind of execution."""

    name: str
    """Its name in the store, in states, and at the beginning of workflow ids."""
    workflow_type: str
    state: type[ExecutionState]
    summary: type[ExecutionSummary]
    recognises: Callable[[Mapping[str, Any]], bool]
    """Whether a document is one of this kind, by its keys."""
    check: Callable[[object], tuple[Definition | None, list[Problem]]]
    """Validates a document. Returns either the definition or at least one problem."""
    as_input: Callable[[Any, StartOptions, str], dict[str, Any]]
    """Returns the input of the workflow for a document, options, and who asks."""
    summarised: Callable[[Any], str]
    """Describes a definition in one line."""
    described: Callable[[Any], str] = lambda _definition: ""
    """Describes a definition in Markdown, for the Web UI: a page of a run shows it from the start."""
    warning: Callable[[Any], str] = lambda _definition: ""
    """Says what an execution will really break. Empty: nothing, so nobody needs to confirm it."""

    over: Callable[[Any, RunStatus, str], dict[str, Any]] = lambda _state, _status, _message: {}
    """Returns what changes in a state that cannot know its end: it ended so, with this message."""
    off: Callable[[Any], dict[str, Any]] = lambda _state: {}
    """Returns what changes in a state when everything was seen to be off."""

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME:
            raise ValueError(f"the name of a kind has at most {LONGEST_NAME} characters: {self.name}")

    def workflow_id(self, name: str) -> str:
        """Return the workflow id under which executions of this definition are started."""
        return f"{self.name}/{name}"

"""An execution's progress, as plain lines for what has changed.

Much may happen between two queries, which are about half a second apart. So the lines come from a list of facts, in the
order in which an execution creates them, each shown once.
"""

from __future__ import annotations

from collections.abc import Iterator

from cli.console import one_line
from cli.ui.facts import Fact, Line
from cli.ui.resilience.facts import resilience_facts
from cli.ui.window_names import window_label
from clients.store.read_models import LogLevel
from domain.executions.state import ExecutionState
from domain.executions.windows import WindowState
from domain.resilience.state import ResilienceState


class Progress:
    """Finds what is new in an execution's state since the last call."""

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self._waiting = ""
        self._paused = False

    def lines(self, state: ExecutionState) -> list[str]:
        """Return the text of the new lines, oldest first."""
        return [line.text for line in self.new(state)]

    def new(self, state: ExecutionState) -> list[Line]:
        """Return the new lines, oldest first."""
        facts = [fact for fact in _facts(state) if fact.key not in self._shown]
        self._shown.update(fact.key for fact in facts)
        lines = [*(Line(fact.text, fact.level) for fact in facts), *self._condition_changes(state)]
        return [Line(one_line(line.text), line.level) for line in lines]

    def _condition_changes(self, state: ExecutionState) -> Iterator[Line]:
        """Yield changes of conditions that may come and go more than once."""
        if state.waiting_for and state.waiting_for != self._waiting:
            yield Line(f"waiting: the namespace is held by {state.waiting_for}", LogLevel.WARN)
        if state.paused != self._paused:
            yield Line("paused: nothing new begins", LogLevel.WARN) if state.paused else Line("resumed")
        self._waiting, self._paused = state.waiting_for, state.paused


def _facts(state: ExecutionState) -> Iterator[Fact]:
    """Yield every fact of a state, in the order of their creation."""
    if isinstance(state, ResilienceState):
        yield from resilience_facts(state)
        return
    if state.execution_id:
        yield Fact("execution", f"execution {state.execution_id} of {state.kind} {state.name}")
    if state.step:
        words = state.error_code or state.message
        yield Fact(f"step {state.step} {words}", f"{state.step:<24} {state.progress:>3} %  {words}".rstrip())
    for row in state.windows:
        if row.state is WindowState.UNVERIFIED:
            text = f"!! {window_label(row)} was NOT seen to be off: {row.detail}"
            yield Fact(f"unverified {row.window_id}", text, LogLevel.ERROR)
        elif row.state is WindowState.CLOSED:
            yield Fact(f"closed {row.window_id}", f"  {window_label(row)} off, and seen to be off")

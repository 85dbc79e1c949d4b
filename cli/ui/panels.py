"""The panels of an execution's state, as lines.

`status` prints them, and `watch` prints what changes in them. Every kind of execution has a header. A resilience test
has panels of its own (`resilience/panels.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from cli.console import one_line
from cli.ui.resilience import panels as resilience_panels
from cli.ui.window_names import window_label
from domain.executions.state import ExecutionState
from domain.resilience.state import ResilienceState

_CLOCK = "started "
"""Start of the header line that changes whenever anything does."""


def panel_lines(state: ExecutionState) -> list[str]:
    """Return every panel, as far as the execution has come."""
    return [*header_lines(state), *(line for _, lines in stage_panels(state) for line in lines)]


def header_lines(state: ExecutionState) -> list[str]:
    """Return the header: identity, status, recovery and times."""
    return [one_line(line) for line in _header(state)]


def stage_panels(state: ExecutionState) -> list[tuple[str, list[str]]]:
    """Return each panel with its step, in order.

    A panel's first line sums it up. The other lines are indented by two blanks.
    """
    if isinstance(state, ResilienceState):
        panels = resilience_panels.panels(state)
    else:
        panels = [(state.step, list(_panel(state)))]
    return [(step, [one_line(line) for line in lines]) for step, lines in panels if lines]


class Panels:
    """Finds the panel lines that have changed since the last call."""

    def __init__(self) -> None:
        self._shown: list[str] = []

    def lines(self, state: ExecutionState) -> list[str]:
        """Return the new lines. Empty if only the clock has moved on."""
        known, self._shown = Counter(self._shown), panel_lines(state)
        seen: Counter[str] = Counter()
        found = []
        for line in self._shown:
            # Counted, because two panels may show the same line for a service, one after the other.
            seen[line] += 1
            if seen[line] > known[line]:
                found.append(line)
        return found if any(not line.startswith(_CLOCK) for line in found) else []


def _header(state: ExecutionState) -> Iterator[str]:
    if isinstance(state, ResilienceState):
        yield from resilience_panels.identity(state)
    else:
        yield f"{state.kind} {state.name}, execution {'none yet' if state.execution_id is None else state.execution_id}"
    paused = ", paused" if state.paused else ""
    step = "phase" if isinstance(state, ResilienceState) else "step"
    yield f"status {state.status}, {step} {state.step or 'none yet'}, verdict {state.verdict or 'none yet'}{paused}"
    yield f"recovery {state.recovery or 'not yet: something is on, or not yet seen to be off'}"
    yield f"{_CLOCK}{_time(state.started_at)}, updated {_time(state.updated_at)}, finished {_time(state.finished_at)}"
    if state.waiting_for:
        yield f"waiting for {state.waiting_for}"
    if state.error_code or state.error_message:
        yield f"error {state.error_code or 'none'}: {state.error_message}"
    if isinstance(state, ResilienceState):
        yield from resilience_panels.steady_lines(state)


def _panel(state: ExecutionState) -> Iterator[str]:
    """Yield what is known of any kind of execution: its progress, and what it has switched on."""
    yield f"progress: {state.progress} %" + (f", {state.message}" if state.message else "")
    for row in state.windows:
        yield f"  {window_label(row):<24} {row.state}" + (f" ({row.detail})" if row.detail else "")


def _time(moment: datetime | None) -> str:
    return "not yet" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")

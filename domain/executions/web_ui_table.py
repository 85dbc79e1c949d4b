"""Progress table for the Temporal Web UI (User Metadata), as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from domain.control_characters import visible_line
from domain.executions.execution import Recovery
from domain.executions.state import ExecutionState

_MARKUP = re.compile(r"([\\`*_\[\]|~<>&])")
_LONGEST_CELL = 1_000

_RECOVERIES: dict[Recovery | None, str] = {
    None: "something is on",
    Recovery.NOT_NEEDED: "not needed: nothing was switched on",
    Recovery.VERIFIED: "verified: everything was seen to be off",
    Recovery.UNVERIFIED: "unverified: something may still be on",
}


def progress_table(state: ExecutionState) -> str:
    """Format what is known of any kind of execution."""
    return table(state, [("progress", f"{state.progress} %"), ("now", cell(state.message))])


def table(state: ExecutionState, rows: Sequence[tuple[str, str]]) -> str:
    """Format a table with these rows, below the execution's name and above its verdict and recovery."""
    lines = [
        f"**{cell(state.name) or 'input refused'}**{_where(state)}: {cell(state.step)}",
        "",
        "| step | state |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in rows),
        f"| verdict | {_verdict(state)} |",
        f"| recovery | {_RECOVERIES[state.recovery]} |",
    ]
    if state.error_message:
        lines += ["", f"**{state.error_code}**: {cell(state.error_message)}"]
    # Keep every line of ours on one line, whatever it contains.
    return "\n".join(visible_line(line) for line in lines)


def _verdict(state: ExecutionState) -> str:
    if state.verdict is not None:
        return state.verdict
    return "" if state.finished_at is None else "none: it ended before one was reached"


def _where(state: ExecutionState) -> str:
    return f" in `{cell(state.namespace)}`" if state.namespace else ""


def cell(text: str) -> str:
    """Escape foreign text for Markdown: one line, bounded, without markup."""
    line = visible_line(text[: _LONGEST_CELL + 1])
    cut = line if len(text) <= _LONGEST_CELL else f"{line[:_LONGEST_CELL]}..."
    return _MARKUP.sub(r"\\\1", cut)

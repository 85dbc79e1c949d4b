"""Progress table for the Temporal Web UI (User Metadata), as Markdown."""

from __future__ import annotations

import re

from domain.control_characters import visible_line
from domain.executions.status import RunState


def progress_table(state: RunState) -> str:
    """Format what a person looking at the run wants to know first."""
    load = state.load
    lines = [
        f"**{_cell(state.plan) or 'input refused'}** in `{_cell(state.namespace)}`: {state.phase}",
        "",
        "| step | state |",
        "| --- | --- |",
        f"| analysis | {_cell(state.analysis.state)} |",
        f"| cases | {state.cases.total}, {state.generated.baggage_tokens} baggage tokens |",
    ]
    lines += [
        f"| fault in {_cell(row.service)} | {row.state}{_replay_suffix(row.replay_status)}{_error_suffix(row.error)} |"
        for row in state.injections[:_MOST_ROWS]
    ]
    lines += [
        f"| rules | {state.rules.rules}, {'ready' if state.rules.ready else 'not ready'} |",
        f"| load test | {load.cases_done} of {load.cases_total} cases |",
        f"| verdict | {state.verdict or ''} |",
        f"| recovery | {state.recovery or 'something is on'} |",
    ]
    if state.error_message:
        lines += ["", f"**{state.error_code}**: {_cell(state.error_message)}"]
    # Keep every line of ours on one line, whatever it contains.
    return "\n".join(visible_line(line) for line in lines)


_MOST_ROWS = 30
"""Services shown. The query `status` has all of them."""


_MARKUP = re.compile(r"([\\`*_\[\]|~<>&])")
_LONGEST_CELL = 1_000


def _cell(text: str) -> str:
    """Escape foreign text for Markdown: one line, bounded, without markup."""
    line = visible_line(text[: _LONGEST_CELL + 1])
    cut = line if len(text) <= _LONGEST_CELL else f"{line[:_LONGEST_CELL]}..."
    return _MARKUP.sub(r"\\\1", cut)


def _error_suffix(error: str) -> str:
    return f": {_cell(error)}" if error else ""


def _replay_suffix(status: int | None) -> str:
    return "" if status is None else f", replay {status}"

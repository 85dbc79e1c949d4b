"""Progress table of a resilience test for the Temporal Web UI, as Markdown."""

from __future__ import annotations

from domain.executions.web_ui_table import cell, table
from domain.resilience.state import ResilienceState

_MOST_ROWS = 30
"""Services shown. The query `status` has all of them."""


def resilience_table(state: ResilienceState) -> str:
    """Format what a person looking at the run wants to know first."""
    load = state.load
    rows = [
        ("analysis", cell(state.analysis.state)),
        ("cases", f"{state.cases.total}, {state.generated.baggage_tokens} baggage tokens"),
    ]
    rows += [
        (f"fault in {cell(row.service)}", f"{row.state}{_replay_suffix(row.replay_status)}{_error_suffix(row.error)}")
        for row in state.injections[:_MOST_ROWS]
    ]
    rows += [
        ("rules", f"{state.rules.rules}, {'ready' if state.rules.ready else 'not ready'}"),
        ("load test", f"{load.cases_done} of {load.cases_total} cases"),
    ]
    return table(state, rows)


def _error_suffix(error: str) -> str:
    return f": {cell(error)}" if error else ""


def _replay_suffix(status: int | None) -> str:
    return "" if status is None else f", replay {status}"

"""The progress table in the Temporal Web UI (User Metadata), as Markdown."""

from __future__ import annotations

from workflows.contracts.status import RunState


def progress_table(state: RunState) -> str:
    """What a person looking at the run wants first."""
    load = state.load
    lines = [
        f"**{state.plan or 'input refused'}** in `{state.namespace}`: {state.phase}",
        "",
        "| step | state |",
        "| --- | --- |",
        f"| analysis | {state.analysis.state} |",
        f"| cases | {state.cases.total}, {state.generated.baggage_tokens} baggage tokens |",
    ]
    lines += [
        f"| fault in {row.service} | {row.state}{_replayed(row.replay_status)}{': ' + row.error if row.error else ''} |"
        for row in state.injections[:_MOST_ROWS]
    ]
    lines += [
        f"| rules | {state.rules.rules}, {'ready' if state.rules.ready else 'not ready'} |",
        f"| load test | {load.cases_done} of {load.cases_total} cases |",
        f"| verdict | {state.verdict or ''} |",
        f"| recovery | {state.recovery or 'something is on'} |",
    ]
    if state.error_message:
        lines += ["", f"**{state.error_code}**: {state.error_message}"]
    return "\n".join(lines)


_MOST_ROWS = 30
"""Services shown; the query `status` has them all."""


def _replayed(status: int | None) -> str:
    return "" if status is None else f", replay {status}"

"""How far a resilience test has come, for readers that know no phases."""

from __future__ import annotations

from domain.executions.execution import RunStatus
from domain.resilience.model import Phase
from domain.resilience.state import ResilienceState

# Percent of a run that is done. What a run's time goes into depends on its plan, so these are only a rule of thumb.
_RECORDED = 2
"""It has a record."""
_ANALYZED = 10
"""Its traffic is analysed."""
_BROKEN = 50
"""All services were broken."""
_MEASURED = 95
"""All cases were measured."""

_BEFORE_CASES = {
    Phase.GENERATING_CASES: "preparing the run",
    Phase.ANALYZING_PATTERNS: "recording the requests that one request causes",
    Phase.RULES_READY: "teaching the proxy to answer with the captured failures",
}


def percent_of(state: ResilienceState) -> int:
    """Return the percent of a run that is done, from what it has achieved."""
    # Not from its phase: the last phase of a failed run does not show how far it came.
    if state.status is RunStatus.COMPLETED:
        return 100
    if state.load.cases_done:
        share = state.load.cases_done / max(state.load.cases_total, 1)
        return _BROKEN + int((_MEASURED - _BROKEN) * min(share, 1))
    if state.analysis.state == "completed":
        share = state.injections_completed / max(len(state.injections), 1)
        return _ANALYZED + int((_BROKEN - _ANALYZED) * share)
    return _RECORDED if state.execution_id is not None else 0


def message_of(state: ResilienceState) -> str:
    """Return one sentence about what a run is doing, or how it ended."""
    if state.finished_at is not None:
        return state.error_message or (f"verdict {state.verdict}" if state.verdict else str(state.status))
    if state.waiting_for:
        return f"waiting for {state.waiting_for}"
    if state.phase is Phase.INJECTING_AND_REPLAYING:
        return f"{state.injections_completed} of {len(state.injections)} services broken one at a time"
    if state.phase is Phase.LOAD_TEST_BASELINE:
        return f"{state.load.cases_done} of {state.load.cases_total} cases measured"
    return _BEFORE_CASES.get(state.phase, "")

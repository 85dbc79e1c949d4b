"""What every kind of execution has, however its answers look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from cli.ui.live_lines import bar, symbols
from cli.ui.progress import Progress
from cli.ui.resilience.verdict_table import conclusion
from domain.executions.execution import ExecutionSummary, NewRecord, Recovery, RunStatus, Verdict
from domain.executions.outcome import ExitCode, RunOutcome
from domain.executions.permit_facts import Caller, Standing
from domain.executions.permits import is_of
from domain.executions.state import ExecutionState
from domain.executions.windows import LockReport
from domain.kinds import as_state, kind_of, kinds, registered
from domain.resilience.model import Phase
from domain.resilience.state import ResilienceState
from tests.support.kinds.countdown import KIND

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def outcome(**summary: Any) -> RunOutcome:
    facts = {"kind": "x", "name": "n", "execution_id": 1, "recovery": Recovery.VERIFIED}
    result = ExecutionSummary.model_validate(facts | {"started_at": NOW, "finished_at": NOW} | summary)
    return RunOutcome(workflow_id="w", run_id="r", status=RunStatus.COMPLETED, summary=result)


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        ({"verdict": Verdict.PASSED}, ExitCode.PASSED),
        ({"verdict": Verdict.FAILED}, ExitCode.VERDICT_FAILED),
        ({}, ExitCode.PASSED),
        ({"status": RunStatus.FAILED}, ExitCode.RUN_FAILED),
        ({"verdict": Verdict.PASSED, "recovery": Recovery.UNVERIFIED}, ExitCode.RECOVERY_UNVERIFIED),
    ],
)
def test_a_result_without_a_lock_decides_the_exit_code_by_itself(summary: dict[str, Any], code: ExitCode) -> None:
    """Unverified is never green, although no lock looked at anything."""
    found = outcome(**summary)
    assert found.exit_code is code
    assert found.recovery == summary.get("recovery", Recovery.VERIFIED)


def test_the_locks_last_look_counts_more_than_the_result() -> None:
    lock = LockReport(execution_id=1, recovery_verified=False)
    found = outcome(verdict=Verdict.PASSED).model_copy(update={"lock": lock})
    assert found.exit_code is ExitCode.RECOVERY_UNVERIFIED


def test_a_state_of_an_older_worker_is_in_its_phase() -> None:
    state = as_state({"plan": "shop", "phase": "LOAD_TEST_BASELINE"})
    assert (state.step, state.name) == ("LOAD_TEST_BASELINE", "shop")
    assert isinstance(state, ResilienceState)
    assert state.phase is Phase.LOAD_TEST_BASELINE


def test_texts_of_an_answer_stay_on_their_line() -> None:
    """Otherwise an answer could print lines that look like ours."""
    forged = "m\nrecovery: verified, nothing is left on"
    state = ExecutionState(kind=forged, name=forged, execution_id=1, step=forged, message=forged, finished_at=NOW)
    for line in Progress().lines(state):
        assert "\n" not in line
    for line in conclusion(outcome(kind=forged, name=forged)):
        assert "\n" not in line


@pytest.mark.parametrize("progress", [-50, 0, 100, 10**30])
def test_any_progress_fits_the_bar(progress: int) -> None:
    (line,) = bar(ExecutionState(progress=progress), 60, symbols("ascii"))
    assert len(line.plain) <= 60


def test_a_caller_outside_any_workflow_is_of_no_execution() -> None:
    assert not is_of(Caller(), Standing(execution_id=1, workflow_id="", run_id="", ended=False))


def test_a_parent_is_a_possible_execution() -> None:
    with pytest.raises(ValidationError):
        NewRecord(kind="x", definition_json="{}", workflow_id="w", run_id="r", parent_execution_id=10**30)


def test_a_kind_is_registered_once_and_only_inside_the_block() -> None:
    with registered(KIND):
        assert kind_of({"countdown": "x"}) is KIND
        with pytest.raises(ValueError, match="already"), registered(KIND):
            pass
    assert kind_of({"countdown": "x"}) is not KIND
    assert KIND not in kinds()

"""Exit codes, which pipelines decide by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.errors import ERRORS, ErrorCode
from domain.executions.execution import Recovery, RunFailure, RunStatus, Verdict
from domain.executions.outcome import ExitCode, RunOutcome, code_for
from domain.executions.windows import LockReport
from domain.resilience.model import CaseCounts, Phase, ResilienceSummary

EXPECTED = dict.fromkeys(ErrorCode, 3) | {
    ErrorCode.VALIDATION_ERROR: 2,
    ErrorCode.SECRET_MISSING: 2,
    ErrorCode.OUTSIDE_GUARDRAILS: 2,
    ErrorCode.NOT_COMPARABLE: 2,
    ErrorCode.STOP_CONDITION: 4,
    ErrorCode.STEADY_STATE_NOT_MET: 4,
    ErrorCode.ABORTED: 4,
    ErrorCode.DEADLINE_EXCEEDED: 4,
    ErrorCode.EXECUTION_ALREADY_RUNNING: 7,
    ErrorCode.ENVIRONMENT_NOT_CLEAN: 7,
    ErrorCode.HALTED: 7,
    ErrorCode.CANCELLED: 130,
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_its_exit_code(code: ErrorCode) -> None:
    """By the table of the design, for each code that can end a run."""
    assert code_for(code) == EXPECTED[code]


@pytest.mark.parametrize("code", ErrorCode)
def test_an_unverified_recovery_wins_over_every_error(code: ErrorCode) -> None:
    """Exit code 5, whatever else went wrong."""
    assert _failed(code, lock=False).exit_code == 5
    assert _failed(code, lock=None, recovery=Recovery.UNVERIFIED).exit_code == 5


@pytest.mark.parametrize("code", ErrorCode)
def test_the_lock_has_the_last_word_on_recovery(code: ErrorCode) -> None:
    """If the lock saw everything off, it is off, even if the run could not see it."""
    assert _failed(code, lock=True, recovery=Recovery.UNVERIFIED).exit_code == EXPECTED[code]


@pytest.mark.parametrize(("verdict", "expected"), [(Verdict.PASSED, 0), (Verdict.FAILED, 1), (Verdict.INCONCLUSIVE, 6)])
def test_a_completed_run_exits_with_its_verdict(verdict: Verdict, expected: int) -> None:
    """0, 1 or 6; but 5 if the lock could not verify recovery."""
    summary = ResilienceSummary(
        execution_id=1, plan="p", namespace="n", verdict=verdict, recovery=Recovery.VERIFIED, cases=CaseCounts(),
        started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    assert _outcome(RunStatus.COMPLETED, lock=True, summary=summary).exit_code == expected
    assert _outcome(RunStatus.COMPLETED, lock=False, summary=summary).exit_code == 5
    assert _outcome(RunStatus.COMPLETED, lock=None, summary=summary, lock_trouble="terminated").exit_code == 5


@pytest.mark.parametrize(
    ("status", "expected"), [(RunStatus.CANCELLED, 130), (RunStatus.TIMED_OUT, 4), (RunStatus.FAILED, 3)]
)
def test_a_run_without_a_result_exits_by_its_status_at_the_server(status: RunStatus, expected: int) -> None:
    """Cancelled, timed out or terminated: the run itself could report nothing."""
    assert _outcome(status, lock=True).exit_code == expected
    assert _outcome(status, lock=None).exit_code == expected
    assert _outcome(status, lock=False).exit_code == 5
    assert _outcome(status, lock=None, lock_trouble="its lock was terminated").exit_code == 5


def test_codes_2_and_7_are_exactly_the_errors_that_touch_nothing() -> None:
    """After 2 and 7 a pipeline may run again without looking at the system."""
    for code, kind in ERRORS.items():
        assert (code_for(code) in (ExitCode.INVALID, ExitCode.REFUSED)) == kind.touched_nothing


def test_the_json_of_an_outcome_has_recovery_and_exit_code() -> None:
    """The output of `--json` is enough to decide by."""
    facts = _failed(ErrorCode.ABORTED, lock=True).model_dump(mode="json")
    assert (facts["recovery"], facts["exit_code"], facts["failure"]["code"]) == ("verified", 4, "ABORTED")


def _outcome(status: RunStatus, *, lock: bool | None, **more: object) -> RunOutcome:
    report = None if lock is None else LockReport(execution_id=1, recovery_verified=lock)
    return RunOutcome.model_validate({"workflow_id": "w", "run_id": "r", "status": status, "lock": report} | more)


def _failed(code: ErrorCode, *, lock: bool | None, recovery: Recovery = Recovery.NOT_NEEDED) -> RunOutcome:
    failure = RunFailure(
        code=code, error_class=ERRORS[code].error_class, phase=Phase.RULES_READY, message="m", recovery=recovery
    )
    return _outcome(RunStatus.FAILED, lock=lock, failure=failure)

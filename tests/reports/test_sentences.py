"""The one sentence of a run, where a message or an order would make it worse to read."""

from __future__ import annotations

import pytest

from reports.sentences import verdict_sentence
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import CaseCounts, CaseVerdict, RunStatus, Verdict
from workflows.contracts.load import CaseOutcome
from workflows.contracts.status import RunState


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (ErrorCode.ABORTED, "aborted: too many complained", "ABORTED: too many complained"),
        (ErrorCode.ANALYZE_FAILED, "it ended as NOT_FOUND: ", "ANALYZE_FAILED: it ended as NOT_FOUND"),
        (ErrorCode.HALTED, "", "HALTED: no reason is known"),
        (None, "it said nothing.", "no code: it said nothing"),
    ],
)
def test_a_reason_is_told_once_and_whole(code: ErrorCode | None, message: str, told: str) -> None:
    """Without the code twice, and without a colon that nothing follows."""
    state = RunState(status=RunStatus.FAILED, error_code=code, error_message=message)
    assert verdict_sentence(state) == f"No verdict: the run ended early ({told}); no case was measured."


def test_what_a_service_breaks_alone_is_told_before_its_pairs() -> None:
    """Else seventeen pairs of one bad service hide the one that nobody expects."""
    names = ["a", "a+b", "a+c", "a+d", "c+d"]
    failed = [CaseVerdict(case_id=one, outcome=CaseOutcome.MEASURED, verdict=Verdict.FAILED) for one in names]
    counts = CaseCounts(total=11, measured=11, failed=5, passed=6)
    state = RunState(status=RunStatus.COMPLETED, verdict=Verdict.FAILED, cases=counts, failed_cases=failed)
    assert verdict_sentence(state) == "Failed: 5 of 11 cases miss the SLO: a, c+d, a+b and 2 more."


@pytest.mark.parametrize(("inconclusive", "words"), [(1, "1 is inconclusive"), (2, "2 are inconclusive")])
def test_an_inconclusive_verdict_blames_no_number_of_requests(inconclusive: int, words: str) -> None:
    """A case may also be in doubt because of calls that no rule answers."""
    counts = CaseCounts(total=7, measured=7, passed=7 - inconclusive, inconclusive=inconclusive)
    state = RunState(status=RunStatus.COMPLETED, verdict=Verdict.INCONCLUSIVE, cases=counts)
    assert verdict_sentence(state).endswith(f"none misses it; {words}.")

"""The summary of a run in a sentence, where a message or an order would make it hard to read."""

from __future__ import annotations

import pytest

from domain.errors import ErrorCode
from domain.executions.execution import RunStatus, Verdict
from domain.measuring.load import CaseOutcome
from domain.resilience.model import CaseCounts, CaseVerdict
from domain.resilience.state import ResilienceState
from reports.text.sentences import verdict_sentence


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (ErrorCode.ABORTED, "aborted: too many complained", "ABORTED: too many complained"),
        (ErrorCode.ANALYZE_FAILED, "it ended as NOT_FOUND: ", "ANALYZE_FAILED: it ended as NOT_FOUND"),
        (ErrorCode.HALTED, "", "HALTED: no reason is known"),
        (None, "it said nothing.", "no code: it said nothing"),
    ],
)
def test_a_reason_is_given_once_and_in_full(code: ErrorCode | None, message: str, told: str) -> None:
    """The code is not repeated, and there is no colon that nothing follows."""
    state = ResilienceState(status=RunStatus.FAILED, error_code=code, error_message=message)
    assert verdict_sentence(state) == f"No verdict: the run ended early ({told}); no case was measured."


def test_a_failed_single_comes_first_and_its_own_pairs_last() -> None:
    """Otherwise seventeen pairs of a bad service hide the pair that nobody expects."""
    names = ["a", "a+b", "a+c", "a+d", "c+d"]
    failed = [CaseVerdict(case_id=name, outcome=CaseOutcome.MEASURED, verdict=Verdict.FAILED) for name in names]
    counts = CaseCounts(total=11, measured=11, failed=5, passed=6)
    state = ResilienceState(status=RunStatus.COMPLETED, verdict=Verdict.FAILED, cases=counts, failed_cases=failed)
    assert verdict_sentence(state) == "Failed: 5 of 11 cases miss the SLO: a, c+d, a+b and 2 more."


@pytest.mark.parametrize(("inconclusive", "words"), [(1, "1 is inconclusive"), (2, "2 are inconclusive")])
def test_an_inconclusive_verdict_does_not_blame_the_number_of_requests(inconclusive: int, words: str) -> None:
    """A case may also be in doubt because of calls that no rule answers."""
    counts = CaseCounts(total=7, measured=7, passed=7 - inconclusive, inconclusive=inconclusive)
    state = ResilienceState(status=RunStatus.COMPLETED, verdict=Verdict.INCONCLUSIVE, cases=counts)
    assert verdict_sentence(state).endswith(f"none misses it; {words}.")

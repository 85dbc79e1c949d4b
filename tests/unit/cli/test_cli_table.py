"""The table of verdicts and the sentences below it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.results import show_outcome
from cli.ui.resilience.verdict_table import conclusion, table
from clients.store.read_models import CaseResult
from clients.store.store import Store
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.outcome import RunOutcome
from domain.executions.windows import LockReport
from domain.measuring.load import CaseOutcome
from domain.resilience.model import CaseCounts, CaseVerdict, ResilienceSummary
from domain.traffic.exchange import Measurement
from reports.build.shown_cases import as_shown

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measured(case_id: str, verdict: Verdict, **more: int | None) -> CaseResult:
    facts = {"success_p50_us": 29_000, "success_p95_us": 31_400, "success_p99_us": 31_600, "success_max_us": 32_000}
    found = Measurement.model_validate(
        {"p50_ms": 29, "p95_ms": 31, "p99_ms": 31, "error_rate": 0, "requests": 12, "successes": 12, "errors": 0}
        | facts
        | more
    )
    return CaseResult(
        case_index=0, case_id=case_id, outcome=CaseOutcome.MEASURED, verdict=verdict, measurement=found
    )  # fmt: skip


def test_failed_cases_come_first_and_unmeasured_cases_before_passed() -> None:
    """Cases that need a reader come first, and no unmeasured case looks like a pass."""
    invalid = measured("c", Verdict.PASSED).model_copy(update={"outcome": CaseOutcome.INVALID, "reason": "no baggage"})
    lines = table(
        [as_shown(result) for result in (measured("a", Verdict.PASSED), invalid, measured("b", Verdict.FAILED))]
    )
    assert [line.split()[:2] for line in lines[2:]] == [["b", "FAILED"], ["c", "invalid"], ["a", "passed"]]
    assert lines[3].split() == ["c", "invalid", "no", "baggage"]
    assert lines[4].split() == [
        "a",
        "passed",
        "12",
        "0%",
        "29",
        "ms",
        *["n", "too", "small", "n", "too", "small", "32", "ms"],
    ]


@pytest.mark.parametrize(
    ("successes", "shown"),
    [
        (4, "n too small n too small n too small 32 ms"),
        (5, "29 ms n too small n too small 32 ms"),
        (58, "29 ms n too small n too small 32 ms"),
        (59, "29 ms 31 ms n too small 32 ms"),
        (298, "29 ms 31 ms n too small 32 ms"),
        (299, "29 ms 31 ms 32 ms 32 ms"),
    ],
)
def test_a_percentile_is_shown_only_if_the_sample_supports_it(successes: int, shown: str) -> None:
    """Otherwise the table shows that it does not. Programs get null, and a list of what is null for that reason."""
    line = as_shown(measured("a", Verdict.PASSED, successes=successes))
    assert " ".join(table([line])[2].split()).endswith(shown)
    assert [getattr(line, f"{name}_ms") is None for name in ("p50", "p95", "p99")] == [
        name in line.unsupported for name in ("p50", "p95", "p99")
    ]


def test_inconclusive_cases_come_before_unmeasured_cases() -> None:
    """They need a reader, too."""
    invalid = measured("c", Verdict.PASSED).model_copy(update={"outcome": CaseOutcome.INVALID})
    lines = table([as_shown(result) for result in (invalid, measured("a", Verdict.INCONCLUSIVE))])
    assert [line.split()[:2] for line in lines[2:]] == [["a", "inconclusive"], ["c", "invalid"]]


def test_a_percentile_without_a_success_is_left_out() -> None:
    """A zero would look like a fast answer."""
    none = dict.fromkeys(["success_p50_us", "success_p95_us", "success_p99_us", "success_max_us"])
    line = as_shown(measured("a", Verdict.FAILED, successes=0, **none))
    assert "ms" not in table([line])[2]
    assert line.unsupported == []


def test_a_large_table_is_cut_and_shows_how_much() -> None:
    """Failed cases are never cut."""
    many = [CaseVerdict(case_id=f"p{number}", outcome="measured", verdict=Verdict.PASSED) for number in range(100)]
    lines = table([*many, CaseVerdict(case_id="bad", outcome="measured", verdict=Verdict.FAILED)])
    assert lines[2].startswith("bad")
    assert lines[-1] == "... and 41 more"


def test_the_last_sentence_is_about_recovery() -> None:
    """Whatever else there is to report."""
    for lock, words in ((True, "verified, nothing is left on"), (False, "UNVERIFIED"), (None, "not needed")):
        report = (
            None if lock is None else LockReport(execution_id=1, recovery_verified=lock, open_windows=["fault/1/a"])
        )
        outcome = RunOutcome(workflow_id="w", run_id="r", status=RunStatus.CANCELLED, lock=report)
        first, last = conclusion(outcome)
        assert first == "the run was cancelled"
        assert words in last
        assert ("fault/1/a" in last) == (lock is False)


async def test_a_store_without_the_run_falls_back_to_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database other than the worker's shows the failing cases, not an empty table."""
    url = f"sqlite+aiosqlite:///{tmp_path}/other.db"
    await (await Store.open(url)).close()
    bad = CaseVerdict(case_id="a+b", outcome="measured", verdict=Verdict.FAILED, error_rate=100.0, reason="too many")
    summary = ResilienceSummary(
        execution_id=1, plan="p", namespace="n", verdict=Verdict.FAILED, recovery=Recovery.VERIFIED,
        cases=CaseCounts(total=5, failed=1, inconclusive=1, passed=3), failed_cases=[bad],
        inconclusive_cases=[CaseVerdict(case_id="a+c", outcome="measured", verdict=Verdict.INCONCLUSIVE)],
        requests_saved=70, started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    lock = LockReport(execution_id=1, recovery_verified=True)
    outcome = RunOutcome(workflow_id="w", run_id="r", status=RunStatus.COMPLETED, summary=summary, lock=lock)
    await show_outcome(outcome, url)
    shown = capsys.readouterr()
    assert "does not have this run" in shown.err
    assert "a+b   FAILED" in shown.out
    assert "a+c   inconclusive" in shown.out
    assert "verdict: FAILED: 1 of 5 cases miss the SLO, 3 meet it, 1 inconclusive, 0 invalid" in shown.out
    assert "requests saved: 70" in shown.out
    assert "\x1b" not in shown.out

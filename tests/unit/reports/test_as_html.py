"""The HTML report as text: it needs nothing else, obeys no foreign text, and covers every kind of run."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from domain.executions.execution import Recovery, RunStatus
from domain.executions.state import ExecutionState
from domain.executions.windows import WindowKind, WindowState
from domain.plans.slo import Percentile
from domain.resilience.model import Phase
from domain.resilience.state import LoadPanel, RulesPanel
from reports.build.execution import execution_report
from reports.forms.as_html import render
from reports.forms.html.matrix import MOST_SERVICES, matrix
from reports.forms.html.tables import FEW_PAIRS, MOST_PASSED, MOST_TABLE_ROWS, by_interest, case_rows, interaction_rows
from reports.forms.html.timeline import chart
from reports.model.report import CaseState, CoverageReport, Report
from reports.text import values as words
from tests.support.paths import ROOT
from tests.support.reports.sample_cases import NASTY
from tests.support.reports.sample_reports import sample
from tests.support.reports.sample_state import BEGAN

_TAG = re.compile(r"<[a-z][^<>]*>", re.IGNORECASE)
_ELSEWHERE = re.compile(r"""\b(?:src|href|action|data|poster)\s*=\s*["']?(?!#|data:)[^\s"'>]""", re.IGNORECASE)


def untouched(report: Report) -> Report:
    """Return the report of a run that ended before it did anything."""
    run = report.run.model_copy(
        update={
            "rules": RulesPanel(),
            "load": LoadPanel(),
            "status": RunStatus.FAILED,
            "phase": Phase.FAILED,
            "verdict": None,
            "recovery": Recovery.NOT_NEEDED,
            "error_message": "the namespace is held by another run",
            "finished_at": None,
        }
    )
    nothing = CoverageReport(total=0, measured=0, wanted=0, share=0, at_least=90, enough=False)
    lists = {"services": [], "cases": [], "pairs": []}
    line = report.timeline.model_copy(update={"finished_at": None, "phases": [], "windows": [], "notices": []})
    return report.model_copy(update={"run": run, "coverage": nothing, "timeline": line, **lists})


@pytest.mark.parametrize("services", [1, 2, 19])
def test_a_page_loads_nothing_from_elsewhere(services: int) -> None:
    """It holds no address that a browser would follow by itself. Addresses in text do not count."""
    page = render(sample(services))
    page = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert [tag for tag in _TAG.findall(page) if _ELSEWHERE.search(tag)] == []
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src &#39;none&#39;" in page


def test_the_same_report_gives_the_same_page() -> None:
    """A run that is rendered again can be compared."""
    assert render(sample(5)) == render(sample(5))


def test_answers_of_services_stay_text() -> None:
    """Bodies, messages and log lines are escaped, also in the data of the page's script."""
    page = render(sample(6))
    assert NASTY not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(" in page
    assert page.count("<script") == 2
    assert page.count("</script") == 2


def test_the_data_of_the_page_has_every_case_in_the_order_of_interest() -> None:
    """With the report's own counts of latencies."""
    report = sample(6)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', render(report), re.DOTALL)
    assert found is not None
    data = json.loads(found.group(1))
    assert {row["i"] for row in data["cases"]} == {case.index for case in report.cases}
    assert data["cases"][0]["state"] == CaseState.FAILED
    counts = {row["i"]: row.get("histogram") for row in data["cases"]}
    for case in report.cases:
        assert counts[case.index] == (None if case.histogram is None else [list(bucket) for bucket in case.histogram])


def test_a_run_without_anything_still_has_a_page() -> None:
    """It shows, part by part, what is missing, and why the run ended."""
    page = render(untouched(sample(3)))
    for sentence in (
        "the namespace is held by another run",
        "The plan names no service.",
        "No case was generated before the run ended.",
        "so there is nothing to draw.",
        "so there is nothing to cover.",
        "No rule was made.",
        "No request was sent.",
        "Nothing was switched on.",
        "there is nothing to compare",
    ):
        assert sentence in page


def test_windows_not_seen_to_be_off_stand_out() -> None:
    """Such a window has no end, and its line shows that."""
    report = sample(3)
    lost = report.timeline.windows[2].model_copy(
        update={"state": WindowState.UNVERIFIED, "recovered_at": None, "seconds": None, "detail": "no answer in 60 s"}
    )
    windows = [*report.timeline.windows[:2], lost, *report.timeline.windows[3:]]
    changed = report.model_copy(update={"timeline": report.timeline.model_copy(update={"windows": windows})})
    bar = chart(changed).windows[2]
    assert (bar.end, bar.trouble, bar.unfinished) == ("NOT seen to be off", True, True)
    assert bar.start + bar.width == pytest.approx(100, abs=0.01)
    assert "NOT seen to be off: " in render(changed)


def test_the_last_phase_of_an_ended_run_is_not_under_way() -> None:
    """It has no end of its own."""
    line = sample(3).timeline
    last = line.phases[-1].model_copy(update={"finished_at": None, "seconds": None})
    ended = line.model_copy(update={"phases": [*line.phases[:-1], last]})
    going = ended.model_copy(update={"finished_at": None})
    bars = [chart(sample(3).model_copy(update={"timeline": timeline})).phases[-1] for timeline in (ended, going)]
    assert [(bar.end, bar.unfinished) for bar in bars] == [("the end", False), ("under way", True)]


def test_passed_cases_do_not_bury_the_others() -> None:
    """Many are folded; a few stand below the failed cases. No case is in both tables."""
    report = sample(19)
    first, rest = case_rows(report).groups
    assert {row.state for row in rest.rows} <= {CaseState.PASSED, CaseState.EXCLUDED, CaseState.MISSING}
    assert len(rest.rows) > MOST_PASSED
    assert {CaseState.FAILED, CaseState.INVALID, CaseState.SKIPPED} <= {row.state for row in first.rows}
    assert [group.folded for group in (first, rest)] == [False, True]
    assert f"{sum(row.state is CaseState.PASSED for row in rest.rows)} passed" in rest.title
    assert sorted(row.index for row in [*first.rows, *rest.rows]) == [row.index for row in report.cases]
    assert [group.folded for group in case_rows(sample(3)).groups] == [False]


def test_pairs_that_fail_with_a_service_that_fails_alone_come_last() -> None:
    """Last among the failed cases, because they are no news."""
    report = sample(19)
    alone = {case.services[0] for case in report.cases if case.state is CaseState.FAILED and len(case.services) == 1}
    failed = [case for case in by_interest(report) if case.state is CaseState.FAILED]
    known = [len(case.services) > 1 and bool(alone & {*case.services}) for case in failed]
    assert known == sorted(known)
    assert len({*known}) == 2


def test_a_percentile_that_no_case_supports_becomes_a_sentence() -> None:
    """Instead of a column that repeats it in every row."""
    report = sample(3)
    few = [
        case.model_copy(update={"p95_ms": None, "unsupported": [Percentile.P95, Percentile.P99]})
        if case.requests
        else case
        for case in report.cases
    ]
    assert case_rows(report).unsupported == [Percentile.P99]
    page = render(report.model_copy(update={"cases": few}))
    assert "to show its p95, p99." in page
    assert words.FEW not in page[page.index('id="cases"') : page.index('id="services"')]


def test_bars_stand_at_their_times() -> None:
    """In percent of the time from the first moment to the last."""
    report = sample(3)
    whole = timedelta(seconds=report.timeline.seconds or 0)
    for span, bar in zip(report.timeline.windows, chart(report).windows, strict=True):
        assert span.intent_at is not None
        assert bar.start == pytest.approx(100 * ((span.intent_at - BEGAN) / whole), abs=0.01)
        assert bar.width == pytest.approx(100 * (span.seconds or 0) / whole.total_seconds(), abs=0.01)


def test_the_matrix_keeps_the_services_of_the_worst_cases() -> None:
    """The page shows how many services it leaves out."""
    report = sample(MOST_SERVICES + 5)
    shown = matrix(report)
    assert (len(shown.services), shown.left_out) == (MOST_SERVICES, 5)
    failed = next(case for case in report.cases if case.state is CaseState.FAILED and case.services)
    assert set(failed.services) <= set(shown.services)
    page = render(report)
    assert "5 more" in page
    assert page.count('<tr id="case-') == MOST_TABLE_ROWS


def test_every_worse_pair_is_listed_with_a_few_calm_pairs() -> None:
    """In the report's own order."""
    report = sample(19)
    rows = interaction_rows(report)
    assert rows.worse > FEW_PAIRS
    assert [row.interaction.worse for row in rows.rows] == [True] * rows.worse
    calm = interaction_rows(sample(4, seed=3))
    assert calm.worse < len(calm.rows) <= FEW_PAIRS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0%"),
        (0.001, "<0.01%"),
        (12.5, "12.5%"),
        (33.333, "33.33%"),
        (99.999, ">99.99%"),
        (100, "100%"),
    ],
)
def test_percent_is_never_rounded_to_none_or_all(value: float | None, text: str) -> None:
    assert words.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4, "0.40 ms"),
        (9.996, "10.0 ms"),
        (42.54, "42.5 ms"),
        (425.4, "425 ms"),
        (9999.6, "10.0 s"),
        (12340, "12.3 s"),
    ],
)
def test_latencies_have_three_digits(value: float, text: str) -> None:
    assert words.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(59.97, "1 min 0 s"), (59.9, "59.9 s"), (3599.9, "1 h 0 min"), (62, "1 min 2 s")]
)
def test_durations_never_show_sixty_seconds_or_minutes(value: float, text: str) -> None:
    assert words.seconds(value) == text


def test_every_kind_of_window_has_a_colour_in_the_timeline() -> None:
    """A bar without a colour cannot be seen."""
    style = (ROOT / "reports" / "forms" / "html" / "style.css").read_text()
    assert [kind for kind in WindowKind if not re.search(rf"\.k-{kind}\b[^}}]*background", style)] == []


def test_a_run_without_a_verdict_is_never_shown_as_passed() -> None:
    """It completed, and its result could not be read. Another kind that does not judge is done."""
    report = sample(2)
    undecided = report.run.model_copy(update={"status": RunStatus.COMPLETED, "verdict": None})
    assert 'class="verdict tone-passed"' not in render(report.model_copy(update={"run": undecided}))
    done = ExecutionState(kind="countdown", name="x", status=RunStatus.COMPLETED)
    assert 'class="verdict tone-passed"' in render(execution_report(done))

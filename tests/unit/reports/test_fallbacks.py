"""Fallback calls and real faults in a report: from the store to each form."""

from __future__ import annotations

import json
from xml.etree import ElementTree as Xml

import pytest

from cli.commands.report import short_text
from clients.store.decoding import DamagedRow
from clients.store.store import Store
from domain.calls.model import CallRound, FoundBy
from domain.resilience.state import ResilienceState
from reports.build.fallbacks import MOST_CALLS, fallback_report
from reports.build.gather import gather
from reports.build.reading import read_run
from reports.build.stored_state import stored_state
from reports.build.without_store import report_of
from reports.forms import as_html, as_junit, as_markdown
from reports.forms.html.data import page_data
from reports.model.report import CallStanding, CaseState, FallbackReport, GroundsReport, RealReport, Report
from reports.text.calls import DEFINITION, call_in_words, found_in_words, grounds_in_words, real_in_words
from tests.support.reports.stored_runs import StoredRun, call, finished_run, run_with_fallbacks, small_plan
from tests.support.runs.panel_fields import text_of

OPEN = "OPEN: no rule answers it"
ASKED = "3 of them run with real faults as well."
UNCAPTURED = "how its service fails at it was not captured"


@pytest.fixture
async def found(store: Store) -> Report:
    return await gather(store, await run_with_fallbacks(store))


def fallback(report: Report) -> FallbackReport:
    assert report.fallback is not None
    return report.fallback


def test_calls_are_listed_by_importance(found: Report) -> None:
    """Open calls, new calls, more frequent calls, then calls that only ask the broken service again."""
    assert [(row.under, row.service, row.path, row.standing) for row in fallback(found).calls] == [
        ("baseline", "alpha", "/missed", CallStanding.OPEN),
        ("alpha", "gamma", "/open/1", CallStanding.OPEN),
        ("alpha+gamma", "beta", "/list/1", CallStanding.RULED),
        ("alpha", "beta", "/list/1", CallStanding.RULED),
        ("alpha+beta", "gamma", "/third", CallStanding.NEEDLESS),
        ("alpha", "beta", "/api/a%20b", CallStanding.RULED),
        ("alpha", "alpha", "/api/a%20b", CallStanding.RULED),
    ]
    assert [row.decides for row in fallback(found).calls] == [
        "alpha", "alpha+gamma", "", "alpha+beta", "", "alpha+beta", "alpha",
    ]  # fmt: skip
    assert [row.retry for row in fallback(found).calls] == [False] * 6 + [True]


def test_each_call_reads_as_a_sentence(found: Report) -> None:
    """A pair's stored healthy count also covers its singles. The sentence counts healthy traffic alone."""
    assert [call_in_words(row) for row in fallback(found).calls] == [
        f"nothing broken: GET /missed at alpha (2×, and the analysis had not recorded it); {OPEN}: {UNCAPTURED}",
        f"alpha: GET /open/1 at gamma (1×, never when healthy); {OPEN}: its body was recorded only in part",
        "alpha + gamma: GET /list/1 at beta (2×, never when healthy); a rule answers it",
        "alpha: GET /list/1 at beta (1×, never when healthy); a rule answers it",
        "alpha + beta: GET /third at gamma (1×, never when healthy); needs no rule: no case breaks that many services",
        "alpha: GET /api/a%20b at beta (2×, 1× when healthy); a rule answers it",
        "alpha: GET /api/a%20b at alpha, which is broken itself (3×, 1× when healthy); a rule answers it",
    ]


def test_the_section_counts_its_calls(found: Report) -> None:
    """It also names what could not be looked at."""
    assert found_in_words(fallback(found)) == (
        "7 calls found: 3 different ones that healthy traffic never makes; 2 are open: no rule answers them."
    )
    assert fallback(found).unseen == ["round 2 did not see all calls of beta: the proxy was gone"]
    assert found.run.fallback_calls == 3


def test_a_case_shows_how_its_verdict_was_found(found: Report) -> None:
    """With the real answer where it differs, and the reason where the verdict is in doubt."""
    cases = {case.case_id: case for case in found.cases}
    pair, doubted, unanswered = (cases[name] for name in ("alpha+beta", "beta+gamma", "alpha+gamma"))
    assert (pair.state, pair.found_by) == (CaseState.FAILED, FoundBy.REAL_FAULTS)
    assert pair.real == RealReport(requests=100, differs=["status 200"], status=500, body="no")
    assert (doubted.state, doubted.found_by, doubted.reason) == (
        CaseState.INCONCLUSIVE, FoundBy.RULES, "beta was not seen",
    )  # fmt: skip
    assert (unanswered.state, unanswered.found_by, unanswered.reason) == (
        CaseState.INVALID, None, "no rule answers GET /open/1 at gamma",
    )  # fmt: skip
    assert cases["alpha"].real == RealReport(requests=1)
    unreachable = RealReport(requests=2, differs=["body at $.a"], error="timeout")
    assert cases["beta"].real == unreachable
    assert real_in_words(cases["beta"]) == "no answer (timeout) when really broken: body at $.a"
    assert {name: case.substituted for name, case in cases.items() if case.substituted} == {
        "alpha": ["alpha"], "beta": ["beta"], "alpha+beta": ["alpha", "beta"], "alpha+gamma": ["alpha"],
        "beta+gamma": ["beta"],
    }  # fmt: skip


def test_the_grounds_of_verdicts_are_counted(found: Report) -> None:
    """An invalid case rests on nothing, so it is in no count."""
    assert found.grounds == GroundsReport(
        asked=3, differed=2, by_real_faults=1, substituted=4, substituted_asked=3,
        substituted_services=["alpha", "beta"],
    )  # fmt: skip
    assert list(grounds_in_words(found.grounds)) == [
        "3 cases run with real faults as well: 2 answered differently than by rules.",
        "1 verdict was found by real faults, all others by rules.",
        f"4 cases rest on a substitute status, because a service gave no HTTP answer; {ASKED}",
    ]


def forms(report: Report) -> dict[str, str]:
    return {
        "html": text_of(as_html.render(report)),
        "markdown": as_markdown.render(report),
        "junit": as_junit.render(report),
        "text": "\n".join(short_text(report)),
    }


def test_every_form_lists_the_calls(found: Report) -> None:
    texts = forms(found)
    for form, text in texts.items():
        assert "3 different ones that healthy traffic never makes" in text, form
        for words in ("/list/1", "/open/1", "its body was recorded only in part"):
            assert words in text, (form, words)
        assert "the proxy was gone" in text, form
    assert DEFINITION in texts["html"]
    assert DEFINITION in texts["markdown"]
    assert "| alpha + gamma | beta | GET /list/1 | 2×, never when healthy | a rule answers it |" in (
        texts["markdown"].replace("\\", "")
    )
    assert "alpha beta GET /list/1 1×, never when healthy a rule answers it in alpha + beta" in texts["html"]
    lines = texts["text"].splitlines()
    assert "  alpha: GET /list/1 at beta (1×, never when healthy); a rule answers it" in lines
    assert "1 verdict was found by real faults, all others by rules." in lines


def test_every_form_shows_the_answers_of_really_broken_services(found: Report) -> None:
    texts = forms(found)
    assert "alpha + beta failed, found by real faults: status 500 when really broken: status 200 no" in texts["html"]
    assert "alpha + beta failed found by real faults on a substitute status" in texts["html"]
    assert "| alpha+beta | **FAILED** | real faults | status 500 when really broken: status 200 |" in texts["markdown"]
    root = Xml.fromstring(texts["junit"])  # noqa: S314 - it is ours
    cases = {element.get("name"): element for element in root.iter("testcase")}
    assert "found by real faults\nstatus 500 when really broken: status 200\nsubstitute status of alpha, beta" in (
        cases["alpha+beta"].findtext("system-out", "")
    )
    invalid = cases["alpha+gamma"].find("skipped")
    assert invalid is not None
    assert invalid.get("message") == "invalid: no rule answers GET /open/1 at gamma"
    facts = {element.get("name"): element.get("value") for element in root.iter("property")}
    assert facts["verdicts found by real faults"] == "1"
    assert facts["cases on a substitute status"] == "4"
    drawn = {row["name"]: row for row in json.loads(page_data(found))["cases"]}
    assert drawn["alpha + beta"]["grounds"] == (
        "found by real faults. status 500 when really broken: status 200. rests on a substitute status of alpha, beta"
    )
    assert "grounds" not in drawn["baseline"]


async def test_a_run_that_found_no_calls_has_a_sentence_for_it(store: Store) -> None:
    run = await StoredRun.begin(store)
    await run.store.calls.save_round(run.execution_id, CallRound(round=1, complete=True))
    report = await gather(store, run.execution_id)
    assert (report.run.fallback_calls, fallback(report).calls) == (0, [])
    for form, text in forms(report).items():
        assert "None was found." in text, form


async def test_a_run_without_discovery_has_no_section(store: Store) -> None:
    """As runs from before discovery existed."""
    report = await gather(store, await finished_run(store))
    assert (report.fallback, report.grounds, report.run.fallback_calls) == (None, None, None)
    for form, text in forms(report).items():
        assert "allback call" not in text, form


async def test_only_the_first_of_very_many_calls_are_listed(store: Store) -> None:
    """The others are counted."""
    run = await StoredRun.begin(store)
    calls = [call("beta", f"/{number}", 1, times=1 + number) for number in range(MOST_CALLS + 5)]
    await store.calls.save(run.execution_id, calls)
    await store.calls.save_round(run.execution_id, CallRound(round=1, complete=True))
    report = await gather(store, run.execution_id)
    found = fallback(report)
    assert (len(found.calls), found.calls_left_out, found.found, found.open) == (MOST_CALLS, 5, 205, 205)
    assert found.calls[0].path == "/204"
    texts = forms(report)
    assert "5 more calls in the store." in texts["html"]
    assert "... and 185 more" in texts["markdown"]
    assert "  ... and 195 more" in texts["text"].splitlines()
    assert len(texts["markdown"]) < 65_536


async def test_a_damaged_row_is_reported_as_unseen(store: Store) -> None:
    run = await read_run(
        store, await store.executions.row(await run_with_fallbacks(store)), most_cases=100, worst_of_more=True
    )
    run.calls.damaged.append(DamagedRow(table="fallback_call", row="id=1", trouble="no number"))
    found = fallback_report(run)
    assert found is not None
    assert found.unseen[-1] == "stored rows of what was found are damaged"


async def test_status_has_the_stored_count_of_calls(store: Store) -> None:
    row = await store.executions.row(await run_with_fallbacks(store))
    assert (await stored_state(store, row)).fallback_calls == 3


def test_without_the_store_only_the_count_of_calls_is_known() -> None:
    report = report_of(small_plan(), ResilienceState(plan="small", fallback_calls=2), "resilience-test/small", "run")
    assert found_in_words(fallback(report)) == "2 calls found: 2 different ones that healthy traffic never makes."
    assert "2 more calls in the store." in forms(report)["html"]


async def test_pairs_in_doubt_do_not_count_as_requested(store: Store) -> None:
    """Nobody asked for them, so no share of them was asked for."""
    execution = await run_with_fallbacks(store)
    report = await gather(store, execution)
    assert report.run.pairs is not None
    assert (report.run.pairs.share, report.run.pairs.asked_for, report.run.pairs.measured) == (0, False, 3)
    assert "1 of 3 measured pairs, because their results by rules were in doubt. 0 agreed" in forms(report)["html"]

"""JSON, JUnit XML and Markdown: each valid by what reads it, and all of one mind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import xmlschema
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from cli.report import short_text
from clients.store.store import Store
from reports import as_html, as_json, as_junit, as_markdown
from reports.as_junit import Inconclusive
from reports.gather import gather
from reports.html.data import page_data
from reports.model import CaseState, Notice, Report
from reports.without_store import report_of
from reports.words import milliseconds, percent
from tests.reports.stored_runs import StoredRun, aborted_run, call, finished_run, measured, small_plan, taken
from workflows.contracts.calls import CallRound, RealAnswer, RealCase
from workflows.contracts.execution import CaseCounts, CaseVerdict, Recovery, RunStatus, Verdict
from workflows.contracts.status import RunState
from workflows.logic.steering import STEERING

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "report.schema.json"
XSD = xmlschema.XMLSchema(str(Path(__file__).parent / "junit.xsd"))
HOSTILE = "|<script>alert(1)</script>\n`x` *y* [z](http://evil) @somebody & \x00\x1b[31m \x9b2J \U0001f600 ]]>"


async def _hostile_run(store: Store) -> int:
    """A run whose reasons read as somebody would write them who wants to break a page."""
    run = await StoredRun.begin(store)
    await run.generate()
    await run.record_and_break()
    for index in range(7):
        await run.measure(index, taken(1), Verdict.FAILED, HOSTILE, response_code=200)
    hostile = call("beta", f"/{HOSTILE}", 1, method=HOSTILE, reason=HOSTILE)
    await store.save_calls(run.execution_id, [hostile, call("beta", f"/{HOSTILE}", 5)])
    await store.save_call_round(run.execution_id, CallRound(round=1, complete=False, detail=HOSTILE, unread=["beta"]))
    answers = [RealAnswer(status=500, body=HOSTILE), RealAnswer(status=None, error=HOSTILE)]
    real = RealCase(case_index=1, answers=answers, measurement=measured(taken(1)))
    await store.save_real_case(run.execution_id, real)
    await run.end(verdict=Verdict.FAILED)
    return run.execution_id


@pytest.fixture
async def hostile(store: Store) -> Report:
    return await gather(store, await _hostile_run(store))


@pytest.fixture(params=[finished_run, aborted_run, _hostile_run, None])
async def any_report(request: pytest.FixtureRequest, store: Store) -> Report:
    return await gather(store, await request.param(store)) if request.param else _without_store()


def _without_store() -> Report:
    failed = CaseVerdict(case_id="alpha+beta", outcome="measured", verdict=Verdict.FAILED, error_rate=100, reason="x")
    counts = CaseCounts(total=7, baseline=1, single=3, dual=3, measured=7, passed=6, failed=1)
    state = RunState(
        execution_id=1, plan="small", status=RunStatus.COMPLETED, verdict=Verdict.FAILED, recovery=Recovery.VERIFIED,
        cases=counts, failed_cases=[failed],
    )  # fmt: skip
    return report_of(small_plan(), state, "resilience-test/small", "run")


def test_the_committed_schema_is_that_of_the_model() -> None:
    """When this fails: `holdfast schema --report --output docs/report.schema.json`."""
    assert json.loads(COMMITTED.read_text()) == as_json.report_schema()


async def test_json_is_valid_by_the_schema_and_reads_back(any_report: Report) -> None:
    """Nothing is lost on the way."""
    text = as_json.render(any_report)
    Draft202012Validator(json.loads(COMMITTED.read_text())).validate(json.loads(text))
    assert Report.model_validate_json(text) == any_report


async def test_junit_is_valid_by_its_schema(any_report: Report) -> None:
    """In both readings of inconclusive."""
    for inconclusive in Inconclusive:
        XSD.validate(as_junit.render(any_report, inconclusive))


def _xml(text: str) -> Xml.Element:
    return Xml.fromstring(text)  # noqa: S314 - it is ours


def _junit(report: Report, inconclusive: Inconclusive = Inconclusive.FAILURE) -> dict[str, str]:
    """What each testcase is: its name, and the element that says so."""
    root = _xml(as_junit.render(report, inconclusive))
    kinds = ("failure", "skipped")
    return {
        one.get("name", ""): next((kind for kind in kinds if one.find(kind) is not None), "passed")
        for one in root.iter("testcase")
    }


async def test_every_case_is_a_testcase(finished: Report) -> None:
    """Failures with their reason, once for those that show the attribute and once for those that show the text."""
    found = _junit(finished)
    assert set(found) == {one.case_id for one in finished.cases} | {
        "the run comes to a verdict", "everything is off again",
    }  # fmt: skip
    assert {name for name, kind in found.items() if kind == "failure"} == {"alpha+beta", "alpha+gamma"}
    root = _xml(as_junit.render(finished))
    failure = next(one for one in root.iter("testcase") if one.get("name") == "alpha+gamma").find("failure")
    assert failure is not None
    assert failure.get("message") == failure.text == "p95 280.1ms > 250ms"


async def test_a_run_without_a_verdict_is_never_green(aborted: Report) -> None:
    """Invalid, skipped and missing cases are skipped, and counted; the run itself, and its recovery, fail. Nor is one
    that is still under way."""
    found = _junit(aborted)
    assert found["the run comes to a verdict"] == found["everything is off again"] == "failure"
    assert [kind for name, kind in found.items() if " " not in name] == ["skipped"] * 7
    state = aborted.run.model_copy(update={"recovery": None, "finished_at": None, "status": RunStatus.RUNNING})
    assert {"the run comes to a verdict", "everything is off again"} <= {
        name for name, kind in _junit(aborted.model_copy(update={"run": state})).items() if kind == "failure"
    }
    suite = _xml(as_junit.render(aborted)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("9", "2", "7")


@pytest.mark.parametrize("inconclusive", Inconclusive)
async def test_inconclusive_is_a_failure_unless_told_otherwise(finished: Report, inconclusive: Inconclusive) -> None:
    """For the case, and for the run."""
    cases = [one.model_copy(update={"state": CaseState.INCONCLUSIVE, "reason": "few"}) for one in finished.cases]
    state = finished.run.model_copy(update={"verdict": Verdict.INCONCLUSIVE})
    found = _junit(finished.model_copy(update={"cases": cases, "run": state}), inconclusive)
    assert found.pop("everything is off again") == "passed"
    assert set(found.values()) == {inconclusive.value}


class Page:
    """Markdown as a reader sees it: GitHub's tables, and no HTML but what we write."""

    def __init__(self, text: str) -> None:
        self.html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
        self.tables = [
            [[_plain(cell) for cell in row.children] for part in table.children for row in part.children]
            for table in SyntaxTreeNode(tokens).walk()
            if table.type == "table"
        ]
        self.raw = [token.content for token in tokens if token.type == "html_block"]
        self.raw += [one.content for token in tokens for one in token.children or [] if one.type == "html_inline"]


def _plain(cell: SyntaxTreeNode) -> str:
    return "".join(one.content for one in cell.walk() if one.type in ("text", "code_inline"))


async def test_markdown_is_read_as_it_is_meant(finished: Report) -> None:
    """Tables with as many cells as headings, and in them what the report says."""
    page = Page(as_markdown.render(finished))
    for table in page.tables:
        assert {len(row) for row in table} == {len(table[0])}
    assert "<strong>Failed: 2 of 7 cases miss the SLO: alpha+beta, alpha+gamma.</strong>" in page.html
    cases = next(table for table in page.tables if table[0][0] == "case")
    assert {row[0] for row in cases[1:]} == {"alpha+beta", "alpha+gamma"}
    matrix = next(table for table in page.tables if table[0][0] == "")
    assert matrix[0][1:] == [row[0] for row in matrix[1:]] == ["alpha", "beta", "gamma"]
    assert [[row[place] for row in matrix[1:]] for place in (1, 2, 3)] == [row[1:] for row in matrix[1:]]


async def test_what_services_answer_means_nothing_to_markdown(hostile: Report) -> None:
    """No cell, no element and no mention of its own."""
    text = as_markdown.render(hostile)
    page = Page(text)
    for table in page.tables:
        assert {len(row) for row in table} == {len(table[0])}
    assert {one.strip() for raw in page.raw for one in raw.splitlines() if one.strip()} <= {
        "<details><summary>Phases and what was switched on</summary>",
        "<details><summary>Environment, plan and versions</summary>",
        "</details>",
    }
    assert "evil" in text
    assert 'href="http://evil"' not in page.html
    assert " @somebody" not in text


def test_what_peers_have_in_calls_is_shown_and_obeyed_nowhere(hostile: Report) -> None:
    """Methods, paths, reasons and real answers, in every form."""
    assert hostile.fallback is not None
    assert all(HOSTILE[:5] in one.path for one in hostile.fallback.calls)
    page = as_html.render(hostile)
    assert page.count("<script") == page.count("</script") == 2
    assert "<script>alert(1)" not in page
    for text in (page, "\n".join(short_text(hostile)), as_markdown.render(hostile), as_junit.render(hostile)):
        assert "evil" in text
        assert STEERING.search(text) is None
    assert len(list(short_text(hostile))) == len("\n".join(short_text(hostile)).splitlines())


async def test_markdown_fits_a_comment(finished: Report) -> None:
    """Of a large run as well: 65,536 characters are GitHub's limit."""
    cases = [finished.cases[4].model_copy(update={"reason": "y" * 5_000})] * 5_000
    pairs = [finished.pairs[0]] * 5_000
    services = [finished.services[0]] * 100
    large = finished.model_copy(
        update={"cases": cases, "pairs": pairs, "services": services, "plan_yaml": "a: b\n" * 20_000}
    )
    assert len(as_markdown.render(large)) < 65_536
    # The longest that names and answers may be, all of it characters that Markdown must be kept from reading.
    answers = [finished.services[0].captured[0].model_copy(update={"path": "/" + "*" * 3_000})] * 20
    loud = [one.model_copy(update={"fault": "*" * 300, "captured": answers}) for one in services]
    cases = [one.model_copy(update={"case_id": "_" * 300, "reason": "*" * 5_000}) for one in cases[:20]]
    windows = [finished.timeline.windows[0].model_copy(update={"peer_name": "_" * 300, "service": ""})] * 500
    notices = [Notice(at=finished.written_at, level="WARN", message="*" * 5_000)] * 200
    timeline = finished.timeline.model_copy(update={"windows": windows, "notices": notices})
    worst = large.model_copy(update={"services": loud, "cases": cases, "timeline": timeline})
    text = as_markdown.render(worst)
    assert len(text) < 65_536
    assert text.endswith("Too long for a comment, and so not here: timeline, plan.\n")
    assert text.count("<details>") == text.count("</details>")


async def test_all_forms_tell_the_same_numbers(finished: Report) -> None:
    """Each case, in JSON, in JUnit XML, in HTML and, where it failed, in Markdown. No form rounds as it likes."""
    odd = {1: 100 / 120, 5: 100 / 60, 6: 100 / 30_000}
    cases = [one.model_copy(update={"error_rate": odd.get(one.index, one.error_rate)}) for one in finished.cases]
    finished = finished.model_copy(update={"cases": cases})
    facts = {one["case_id"]: one for one in json.loads(as_json.render(finished))["cases"]}
    root = _xml(as_junit.render(finished))
    said = {one.get("name"): one.findtext("system-out", "") for one in root.iter("testcase")}
    rows = next(table for table in Page(as_markdown.render(finished)).tables if table[0][0] == "case")[1:]
    shown = {row[0]: row for row in rows}
    drawn = {one["i"]: one for one in json.loads(page_data(finished))["cases"]}
    for name, one in facts.items():
        latencies = ["n too small" if p in one["unsupported"] else milliseconds(one[f"{p}_ms"])
                     for p in ("p50", "p95", "p99")]  # fmt: skip
        errors = percent(one["error_rate"])
        assert drawn[one["index"]]["figures"] == [str(one["requests"]), errors, *latencies, milliseconds(one["max_ms"])]
        told = said[name]
        assert told.startswith(f"{one['requests']} requests, errors {errors}")
        assert told.split(", p50 ")[1].startswith(f"{latencies[0]}, p95 {latencies[1]}, p99 {latencies[2]}, max ")
        if name in shown:
            assert shown[name][2:7] == [str(one["requests"]), errors, *latencies]
    assert {name for name, one in facts.items() if one["state"] == "failed"} == set(shown)


def test_without_the_store_failed_cases_and_counts_remain() -> None:
    """And it is told how many cases are not in it."""
    found = _without_store()
    assert found.verdict_sentence == "Failed: 1 of 7 cases misses the SLO: alpha+beta."
    assert [(one.case_id, one.index, one.state) for one in found.cases] == [("alpha+beta", 4, CaseState.FAILED)]
    assert (found.cases_left_out, found.coverage.measured, found.coverage.enough) == (6, 7, True)
    assert _junit(found)["alpha+beta"] == "failure"


def test_a_share_of_nothing_is_the_same_with_and_without_the_store() -> None:
    """All that is wanted was measured, where the plan wants nothing."""
    counts = CaseCounts(total=7, baseline=1, single=3, dual=3, skipped=7, excluded=7)
    state = RunState(plan="small", status=RunStatus.COMPLETED, verdict=Verdict.PASSED, cases=counts)
    found = report_of(small_plan(), state, "resilience-test/small", "run").coverage
    assert (found.wanted, found.share, found.enough, found.skipped, found.missing) == (0, 100, True, 0, 0)


def test_no_form_steers_a_terminal(hostile: Report) -> None:
    """People read Markdown and XML there as well."""
    for text in (as_markdown.render(hostile), as_junit.render(hostile), as_json.render(hostile)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


async def test_a_failed_verdict_is_never_green(finished: Report) -> None:
    """Also where the cases that failed are not in the report."""
    large = finished.model_copy(update={"cases": finished.cases[:5], "cases_left_out": 2})
    assert _junit(large)["the run comes to a verdict"] == "failure"
    assert _junit(finished)["the run comes to a verdict"] == "passed"

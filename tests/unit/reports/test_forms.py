"""JSON, JUnit XML and Markdown: each form is valid to its readers, and all of them agree."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as Xml

import pytest
import xmlschema
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from cli.commands.report import short_text
from clients.store.store import Store
from domain.calls.model import CallRound, RealAnswer, RealCase
from domain.control_characters import STEERING
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.resilience.model import CaseCounts, CaseVerdict
from domain.resilience.state import ResilienceState
from reports.build.gather import gather
from reports.build.without_store import report_of
from reports.forms import as_html, as_json, as_junit, as_markdown
from reports.forms.as_junit import Inconclusive
from reports.forms.html.data import page_data
from reports.model.report import CaseState, Notice, Report
from reports.text.values import milliseconds, percent
from tests.support.paths import ROOT
from tests.support.reports.stored_runs import StoredRun, aborted_run, call, finished_run, measured, small_plan, taken

COMMITTED = ROOT / "docs" / "report.schema.json"
XSD = xmlschema.XMLSchema(str(ROOT / "tests" / "support" / "reports" / "junit.xsd"))
HOSTILE = "|<script>alert(1)</script>\n`x` *y* [z](http://evil) @somebody & \x00\x1b[31m \x9b2J \U0001f600 ]]>"


async def _hostile_run(store: Store) -> int:
    """Store a run whose reasons are written to break a page."""
    run = await StoredRun.begin(store)
    await run.generate()
    await run.record_and_break()
    for index in range(7):
        await run.measure(index, taken(1), Verdict.FAILED, HOSTILE, response_code=200)
    hostile = call("beta", f"/{HOSTILE}", 1, method=HOSTILE, reason=HOSTILE)
    await store.calls.save(run.execution_id, [hostile, call("beta", f"/{HOSTILE}", 5)])
    await store.calls.save_round(run.execution_id, CallRound(round=1, complete=False, detail=HOSTILE, unread=["beta"]))
    answers = [RealAnswer(status=500, body=HOSTILE), RealAnswer(status=None, error=HOSTILE)]
    real = RealCase(case_index=1, answers=answers, measurement=measured(taken(1)))
    await store.calls.save_real_case(run.execution_id, real)
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
    state = ResilienceState(
        execution_id=1, plan="small", status=RunStatus.COMPLETED, verdict=Verdict.FAILED, recovery=Recovery.VERIFIED,
        cases=counts, failed_cases=[failed],
    )  # fmt: skip
    return report_of(small_plan(), state, "resilience-test/small", "run")


def test_the_committed_schema_matches_the_model() -> None:
    """If this fails: `holdfast schema --report --output docs/report.schema.json`."""
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
    """Return each testcase's name and what its element makes of it."""
    root = _xml(as_junit.render(report, inconclusive))
    kinds = ("failure", "skipped")
    return {
        case.get("name", ""): next((kind for kind in kinds if case.find(kind) is not None), "passed")
        for case in root.iter("testcase")
    }


async def test_every_case_is_a_testcase(finished: Report) -> None:
    """Failures have their reason twice: some readers show the attribute, others the text."""
    found = _junit(finished)
    assert set(found) == {case.case_id for case in finished.cases} | {
        "the run comes to a verdict", "everything is off again",
    }  # fmt: skip
    assert {name for name, kind in found.items() if kind == "failure"} == {"alpha+beta", "alpha+gamma"}
    root = _xml(as_junit.render(finished))
    failure = next(case for case in root.iter("testcase") if case.get("name") == "alpha+gamma").find("failure")
    assert failure is not None
    assert failure.get("message") == failure.text == "p95 280.1ms > 250ms"


async def test_a_run_without_a_verdict_is_never_green(aborted: Report) -> None:
    """Neither is a run under way.

    Invalid, skipped and missing cases are skipped and counted. The run itself and its recovery fail.
    """
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
async def test_inconclusive_is_a_failure_unless_configured_otherwise(
    finished: Report, inconclusive: Inconclusive
) -> None:
    """For the case and for the run."""
    cases = [case.model_copy(update={"state": CaseState.INCONCLUSIVE, "reason": "few"}) for case in finished.cases]
    state = finished.run.model_copy(update={"verdict": Verdict.INCONCLUSIVE})
    found = _junit(finished.model_copy(update={"cases": cases, "run": state}), inconclusive)
    assert found.pop("everything is off again") == "passed"
    assert set(found.values()) == {inconclusive.value}


class Page:
    """Markdown as a reader sees it: with GitHub's tables, and no HTML but our own."""

    def __init__(self, text: str) -> None:
        self.html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
        self.tables = [
            [[_plain(cell) for cell in row.children] for part in table.children for row in part.children]
            for table in SyntaxTreeNode(tokens).walk()
            if table.type == "table"
        ]
        self.raw = [token.content for token in tokens if token.type == "html_block"]
        self.raw += [child.content for token in tokens for child in token.children or [] if child.type == "html_inline"]


def _plain(cell: SyntaxTreeNode) -> str:
    return "".join(node.content for node in cell.walk() if node.type in ("text", "code_inline"))


async def test_markdown_renders_as_intended(finished: Report) -> None:
    """Its tables have as many cells as headings, and hold the report's content."""
    page = Page(as_markdown.render(finished))
    for table in page.tables:
        assert {len(row) for row in table} == {len(table[0])}
    assert "<strong>Failed: 2 of 7 cases miss the SLO: alpha+beta, alpha+gamma.</strong>" in page.html
    cases = next(table for table in page.tables if table[0][0] == "case")
    assert {row[0] for row in cases[1:]} == {"alpha+beta", "alpha+gamma"}
    matrix = next(table for table in page.tables if table[0][0] == "")
    assert matrix[0][1:] == [row[0] for row in matrix[1:]] == ["alpha", "beta", "gamma"]
    assert [[row[place] for row in matrix[1:]] for place in (1, 2, 3)] == [row[1:] for row in matrix[1:]]


async def test_answers_of_services_mean_nothing_to_markdown(hostile: Report) -> None:
    """They make no cell, no element and no mention."""
    text = as_markdown.render(hostile)
    page = Page(text)
    for table in page.tables:
        assert {len(row) for row in table} == {len(table[0])}
    assert {line.strip() for raw in page.raw for line in raw.splitlines() if line.strip()} <= {
        "<details><summary>Phases and what was switched on</summary>",
        "<details><summary>Environment, plan and versions</summary>",
        "</details>",
    }
    assert "evil" in text
    assert 'href="http://evil"' not in page.html
    assert " @somebody" not in text


def test_hostile_text_in_calls_is_shown_and_obeyed_nowhere(hostile: Report) -> None:
    """Methods, paths, reasons and real answers, in every form."""
    assert hostile.fallback is not None
    assert all(HOSTILE[:5] in row.path for row in hostile.fallback.calls)
    page = as_html.render(hostile)
    assert page.count("<script") == page.count("</script") == 2
    assert "<script>alert(1)" not in page
    for text in (page, "\n".join(short_text(hostile)), as_markdown.render(hostile), as_junit.render(hostile)):
        assert "evil" in text
        assert STEERING.search(text) is None
    assert len(list(short_text(hostile))) == len("\n".join(short_text(hostile)).splitlines())


async def test_markdown_fits_a_comment(finished: Report) -> None:
    """Even for a large run: GitHub's limit is 65,536 characters."""
    cases = [finished.cases[4].model_copy(update={"reason": "y" * 5_000})] * 5_000
    pairs = [finished.pairs[0]] * 5_000
    services = [finished.services[0]] * 100
    large = finished.model_copy(
        update={"cases": cases, "pairs": pairs, "services": services, "plan_yaml": "a: b\n" * 20_000}
    )
    assert len(as_markdown.render(large)) < 65_536
    # Names and answers as long as they may be, made of characters that Markdown must not interpret.
    answers = [finished.services[0].captured[0].model_copy(update={"path": "/" + "*" * 3_000})] * 20
    loud = [service.model_copy(update={"fault": "*" * 300, "captured": answers}) for service in services]
    cases = [case.model_copy(update={"case_id": "_" * 300, "reason": "*" * 5_000}) for case in cases[:20]]
    windows = [finished.timeline.windows[0].model_copy(update={"peer_name": "_" * 300, "service": ""})] * 500
    notices = [Notice(at=finished.written_at, level="WARN", message="*" * 5_000)] * 200
    timeline = finished.timeline.model_copy(update={"windows": windows, "notices": notices})
    worst = large.model_copy(update={"services": loud, "cases": cases, "timeline": timeline})
    text = as_markdown.render(worst)
    assert len(text) < 65_536
    assert text.endswith("Left out, because a comment would be too long: timeline, plan.\n")
    assert text.count("<details>") == text.count("</details>")


async def test_all_forms_show_the_same_numbers(finished: Report) -> None:
    """For each case: in JSON, in JUnit XML, in HTML and, if it failed, in Markdown. No form rounds in its own way."""
    odd = {1: 100 / 120, 5: 100 / 60, 6: 100 / 30_000}
    cases = [case.model_copy(update={"error_rate": odd.get(case.index, case.error_rate)}) for case in finished.cases]
    finished = finished.model_copy(update={"cases": cases})
    facts = {fact["case_id"]: fact for fact in json.loads(as_json.render(finished))["cases"]}
    root = _xml(as_junit.render(finished))
    outputs = {element.get("name"): element.findtext("system-out", "") for element in root.iter("testcase")}
    rows = next(table for table in Page(as_markdown.render(finished)).tables if table[0][0] == "case")[1:]
    shown = {row[0]: row for row in rows}
    drawn = {fact["i"]: fact for fact in json.loads(page_data(finished))["cases"]}
    for name, fact in facts.items():
        latencies = ["n too small" if p in fact["unsupported"] else milliseconds(fact[f"{p}_ms"])
                     for p in ("p50", "p95", "p99")]  # fmt: skip
        errors = percent(fact["error_rate"])
        assert drawn[fact["index"]]["figures"] == [
            str(fact["requests"]),
            errors,
            *latencies,
            milliseconds(fact["max_ms"]),
        ]
        output = outputs[name]
        assert output.startswith(f"{fact['requests']} requests, errors {errors}")
        assert output.split(", p50 ")[1].startswith(f"{latencies[0]}, p95 {latencies[1]}, p99 {latencies[2]}, max ")
        if name in shown:
            assert shown[name][2:7] == [str(fact["requests"]), errors, *latencies]
    assert {name for name, fact in facts.items() if fact["state"] == "failed"} == set(shown)


def test_without_the_store_failed_cases_and_counts_remain() -> None:
    """The report shows how many cases are missing from it."""
    found = _without_store()
    assert found.verdict_sentence == "Failed: 1 of 7 cases misses the SLO: alpha+beta."
    assert [(case.case_id, case.index, case.state) for case in found.cases] == [("alpha+beta", 4, CaseState.FAILED)]
    assert (found.cases_left_out, found.coverage.measured, found.coverage.enough) == (6, 7, True)
    assert _junit(found)["alpha+beta"] == "failure"


def test_a_share_of_nothing_is_the_same_with_and_without_the_store() -> None:
    """If the plan wants nothing, all that is wanted was measured."""
    counts = CaseCounts(total=7, baseline=1, single=3, dual=3, skipped=7, excluded=7)
    state = ResilienceState(plan="small", status=RunStatus.COMPLETED, verdict=Verdict.PASSED, cases=counts)
    found = report_of(small_plan(), state, "resilience-test/small", "run").coverage
    assert (found.wanted, found.share, found.enough, found.skipped, found.missing) == (0, 100, True, 0, 0)


def test_no_form_holds_control_characters(hostile: Report) -> None:
    """People read Markdown and XML in terminals as well."""
    for text in (as_markdown.render(hostile), as_junit.render(hostile), as_json.render(hostile)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


async def test_a_failed_verdict_is_never_green(finished: Report) -> None:
    """Even if the failed cases are not in the report."""
    large = finished.model_copy(update={"cases": finished.cases[:5], "cases_left_out": 2})
    assert _junit(large)["the run comes to a verdict"] == "failure"
    assert _junit(finished)["the run comes to a verdict"] == "passed"

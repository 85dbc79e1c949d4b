"""The report as JUnit XML, one testcase for each case.

Two more testcases are for the run itself: that it came to a verdict, and that everything is off. Without them a reader
of the counts alone would take a broken run for a green one.

The readers of GitHub and GitLab show different parts of the file:

* The reason is therefore in the attribute `message`, and again as text.
* Every name is used only once. Of two testcases with the same name, GitLab keeps the first.
* Whatever is wrong is a `failure`, never an `error`, because some readers count errors separately.
"""

from __future__ import annotations

import re
from enum import StrEnum
from xml.etree import ElementTree as Xml

from domain.control_characters import visible
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.measuring.load import CaseType
from domain.plans.slo import Percentile
from reports.model.execution import ExecutionReport
from reports.model.report import CaseReport, CaseState, Report
from reports.text.calls import call_in_words, found_by, found_in_words, real_in_words
from reports.text.figures import latency
from reports.text.values import STATE_WORDS, milliseconds, percent

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML forbids in any notation, and characters that control terminals."""

_SUITES = {CaseType.BASELINE: "baseline", CaseType.SINGLE: "single", CaseType.DUAL: "pairs"}


class Inconclusive(StrEnum):
    """How an inconclusive case is reported. The value is the name of the JUnit element."""

    FAILURE = "failure"
    SKIPPED = "skipped"


def render(report: ExecutionReport, inconclusive: Inconclusive = Inconclusive.FAILURE) -> str:
    """Render one `testsuite` in `testsuites`, the root that every reader accepts."""
    suite = Xml.Element("testsuite")
    _properties(suite, report)
    _run_testcases(suite, report, inconclusive)
    if isinstance(report, Report):
        for case in report.cases:
            _case(suite, report, case, inconclusive)
    counts = {name: str(len(suite.findall(f"testcase/{name}"))) for name in ("failure", "skipped")}
    totals = {"tests": str(len(suite.findall("testcase"))), "failures": counts["failure"], "errors": "0"}
    time = f"{report.timeline.seconds or 0:.3f}"
    suite.attrib |= {"name": _clean(f"holdfast {report.run.name}")} | totals | {"skipped": counts["skipped"]}
    suite.attrib |= {"time": time, "timestamp": f"{report.timeline.started_at:%Y-%m-%dT%H:%M:%S}"}
    root = Xml.Element("testsuites", {"name": "holdfast", "time": time} | totals)
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + visible(Xml.tostring(root, encoding="unicode")) + "\n"


def _properties(suite: Xml.Element, report: ExecutionReport) -> None:
    """Add the facts that readers with only this file need."""
    facts: dict[str, object] = {
        "execution": report.run.execution_id,
        "environment": report.run.environment,
        "namespace": report.run.namespace,
        "verdict": report.run.verdict or "none",
        "recovery": report.run.recovery or "not yet",
        "holdfast": report.holdfast_version,
    }
    if isinstance(report, Report):
        facts |= _case_facts(report)
    holder = Xml.SubElement(suite, "properties")
    for name, value in facts.items():
        Xml.SubElement(holder, "property", {"name": name, "value": _clean(str(value))})


def _case_facts(report: Report) -> dict[str, object]:
    counts = report.run.cases
    facts: dict[str, object] = {
        "cases": counts.total,
        "passed": counts.passed,
        "failed": counts.failed,
        "inconclusive": counts.inconclusive,
        "invalid": report.coverage.invalid,
        "skipped": report.coverage.skipped,
        "excluded": report.coverage.excluded,
        "not measured": report.coverage.missing,
        "cases that are not in this file": report.cases_left_out,
    }
    fallback = report.fallback
    grounds = report.grounds
    if fallback is not None:
        facts |= {"fallback calls": found_in_words(fallback)}
        facts |= {f"fallback call {place}": call_in_words(call) for place, call in enumerate(fallback.calls, start=1)}
        facts |= {
            f"fallback calls not seen {place}": sentence for place, sentence in enumerate(fallback.unseen, start=1)
        }
        facts |= {"fallback calls that are not in this file": fallback.calls_left_out}
    if grounds is not None:
        facts |= {
            "verdicts found by real faults": grounds.by_real_faults,
            "cases asked with real faults as well": grounds.asked,
            "cases on a substitute status": grounds.substituted,
            "of these asked with real faults as well": grounds.substituted_asked,
        }
    return facts


def _run_testcases(suite: Xml.Element, report: ExecutionReport, inconclusive: Inconclusive) -> None:
    run = report.run
    verdict_testcase = _testcase(suite, report, "run", "the run comes to a verdict", report.timeline.seconds)
    cases, failed = (report.cases, report.run.cases.failed) if isinstance(report, Report) else ([], 0)
    shown = sum(case.state is CaseState.FAILED for case in cases)
    if run.status is not RunStatus.COMPLETED:
        _child(verdict_testcase, "failure", "run", report.verdict_sentence)
    elif run.verdict is Verdict.FAILED and not isinstance(report, Report):
        _child(verdict_testcase, "failure", "failed", report.verdict_sentence)
    elif run.verdict is Verdict.FAILED and shown < max(1, failed):
        # In a very large run, or without the store, failed cases may not be in this file. They must not go unnoticed.
        _child(verdict_testcase, "failure", "failed", f"{report.verdict_sentence} Of these, {shown} are in this file.")
    elif run.verdict is Verdict.INCONCLUSIVE:
        # A run can be inconclusive although no single case is: too few of them were measured.
        _child(verdict_testcase, inconclusive, "inconclusive", report.verdict_sentence)
    recovery_testcase = _testcase(suite, report, "run", "everything is off again", None)
    if run.recovery not in (Recovery.VERIFIED, Recovery.NOT_NEEDED):
        _child(recovery_testcase, "failure", "recovery", report.recovery_sentence)


def _case(suite: Xml.Element, report: Report, case: CaseReport, inconclusive: Inconclusive) -> None:
    took = case.requests / case.per_second if case.per_second else None
    testcase = _testcase(suite, report, _SUITES[case.case_type], case.case_id, took)
    match case.state:
        case CaseState.PASSED:
            pass
        case CaseState.FAILED:
            _child(testcase, "failure", "failed", case.reason)
        case CaseState.INCONCLUSIVE:
            _child(testcase, inconclusive, "inconclusive", case.reason)
        case _:
            _child(testcase, "skipped", case.state, f"{STATE_WORDS[case.state]}: {case.reason or 'no reason is known'}")
    if case.error_rate is not None:
        Xml.SubElement(testcase, "system-out").text = _clean(_measured(case))


def _measured(case: CaseReport) -> str:
    kinds = ", ".join(f"{count} x {kind}" for kind, count in case.errors_by_kind.items())
    latencies = ", ".join(f"{percentile} {latency(case, percentile)}" for percentile in Percentile)
    errors = f"errors {percent(case.error_rate)}" + (f" ({kinds})" if kinds else "")
    numbers = f"{case.requests} requests, {errors}, {latencies}, max {milliseconds(case.max_ms)}"
    found = f"found by {found_by(case)}" if found_by(case) else ""
    substitutes = f"substitute status of {', '.join(case.substituted)}" if case.substituted else ""
    return "\n".join(line for line in (numbers, found, real_in_words(case), substitutes) if line)


def _testcase(suite: Xml.Element, report: ExecutionReport, group: str, name: str, took: float | None) -> Xml.Element:
    facts = {"classname": _clean(f"{report.run.name}.{group}"), "name": _clean(name)}
    return Xml.SubElement(suite, "testcase", facts | ({} if took is None else {"time": f"{took:.3f}"}))


def _child(parent: Xml.Element, tag: str, kind: str, message: str) -> None:
    Xml.SubElement(parent, tag, {"type": kind, "message": _clean(message)}).text = _clean(message)


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)

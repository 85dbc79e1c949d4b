"""The report as JUnit XML: a testcase for each case, and two for the run itself.

GitHub's and GitLab's readers differ in what they show, so the reason stands in the attribute `message` and again as
text; every name is used once (of two testcases with one name GitLab keeps the first); and what is wrong is always a
`failure`, never an `error`, which some count apart. Whoever looks at the counts alone must not see a broken run as
green: that it came to a verdict, and that everything is off, are testcases of their own.
"""

from __future__ import annotations

import re
from enum import StrEnum
from xml.etree import ElementTree as Xml

from reports.call_words import call_in_words, found_by, found_in_words, real_in_words
from reports.figures import STATE_WORDS, latency
from reports.model import CaseReport, CaseState, Report
from reports.words import milliseconds, percent
from workflows.contracts.execution import Recovery, RunStatus, Verdict
from workflows.contracts.load import CaseType
from workflows.contracts.slo import Percentile
from workflows.logic.steering import visible

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may have, however they are written, or should not have: they steer terminals."""

_SUITES = {CaseType.BASELINE: "baseline", CaseType.SINGLE: "single", CaseType.DUAL: "pairs"}


class Inconclusive(StrEnum):
    """What an inconclusive case counts as."""

    FAILURE = "failure"
    SKIPPED = "skipped"


def render(report: Report, inconclusive: Inconclusive = Inconclusive.FAILURE) -> str:
    """One `testsuite`, in `testsuites`: the root that every reader takes."""
    suite = Xml.Element("testsuite")
    _properties(suite, report)
    _of_the_run(suite, report, inconclusive)
    for case in report.cases:
        _case(suite, report, case, inconclusive)
    counts = {name: str(len(suite.findall(f"testcase/{name}"))) for name in ("failure", "skipped")}
    totals = {"tests": str(len(suite.findall("testcase"))), "failures": counts["failure"], "errors": "0"}
    time = f"{report.timeline.seconds or 0:.3f}"
    suite.attrib |= {"name": _clean(f"holdfast {report.run.plan}")} | totals | {"skipped": counts["skipped"]}
    suite.attrib |= {"time": time, "timestamp": f"{report.timeline.started_at:%Y-%m-%dT%H:%M:%S}"}
    root = Xml.Element("testsuites", {"name": "holdfast", "time": time} | totals)
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + visible(Xml.tostring(root, encoding="unicode")) + "\n"


def _properties(suite: Xml.Element, report: Report) -> None:
    """What somebody needs who has only this file."""
    counts = report.run.cases
    facts = {
        "execution": report.run.execution_id,
        "environment": report.run.environment,
        "namespace": report.run.namespace,
        "verdict": report.run.verdict or "none",
        "recovery": report.run.recovery or "not yet",
        "holdfast": report.holdfast_version,
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
    found, grounds = report.fallback, report.grounds
    if found is not None:
        facts |= {"fallback calls": found_in_words(found)}
        facts |= {f"fallback call {place}": call_in_words(one) for place, one in enumerate(found.calls, start=1)}
        facts |= {f"fallback calls not seen {place}": one for place, one in enumerate(found.unseen, start=1)}
        facts |= {"fallback calls that are not in this file": found.calls_left_out}
    if grounds is not None:
        facts |= {
            "verdicts found by real faults": grounds.by_real_faults,
            "cases asked with real faults as well": grounds.asked,
            "cases on a substitute status": grounds.substituted,
            "of these asked with real faults as well": grounds.substituted_asked,
        }
    holder = Xml.SubElement(suite, "properties")
    for name, value in facts.items():
        Xml.SubElement(holder, "property", {"name": name, "value": _clean(str(value))})


def _of_the_run(suite: Xml.Element, report: Report, inconclusive: Inconclusive) -> None:
    run = report.run
    came_to = _testcase(suite, report, "run", "the run comes to a verdict", report.timeline.seconds)
    shown = sum(one.state is CaseState.FAILED for one in report.cases)
    if run.status is not RunStatus.COMPLETED:
        _child(came_to, "failure", "run", report.verdict_sentence)
    elif run.verdict is Verdict.FAILED and shown < max(1, run.cases.failed):
        # Of a very large run, or without the store: what is not here must not be missed.
        _child(came_to, "failure", "failed", f"{report.verdict_sentence} Of these, {shown} are in this file.")
    elif run.verdict is Verdict.INCONCLUSIVE:
        # Also where no single case is: too few of them were measured.
        _child(came_to, inconclusive, "inconclusive", report.verdict_sentence)
    off = _testcase(suite, report, "run", "everything is off again", None)
    if run.recovery not in (Recovery.VERIFIED, Recovery.NOT_NEEDED):
        _child(off, "failure", "recovery", report.recovery_sentence)


def _case(suite: Xml.Element, report: Report, case: CaseReport, inconclusive: Inconclusive) -> None:
    took = case.requests / case.per_second if case.per_second else None
    one = _testcase(suite, report, _SUITES[case.case_type], case.case_id, took)
    match case.state:
        case CaseState.PASSED:
            pass
        case CaseState.FAILED:
            _child(one, "failure", "failed", case.reason)
        case CaseState.INCONCLUSIVE:
            _child(one, inconclusive, "inconclusive", case.reason)
        case _:
            _child(one, "skipped", case.state, f"{STATE_WORDS[case.state]}: {case.reason or 'no reason is known'}")
    if case.error_rate is not None:
        Xml.SubElement(one, "system-out").text = _clean(_measured(case))


def _measured(case: CaseReport) -> str:
    kinds = ", ".join(f"{count} x {kind}" for kind, count in case.errors_by_kind.items())
    latencies = ", ".join(f"{one} {latency(case, one)}" for one in Percentile)
    errors = f"errors {percent(case.error_rate)}" + (f" ({kinds})" if kinds else "")
    numbers = f"{case.requests} requests, {errors}, {latencies}, max {milliseconds(case.max_ms)}"
    found = f"found by {found_by(case)}" if found_by(case) else ""
    substitutes = f"substitute status of {', '.join(case.substituted)}" if case.substituted else ""
    return "\n".join(line for line in (numbers, found, real_in_words(case), substitutes) if line)


def _testcase(suite: Xml.Element, report: Report, group: str, name: str, took: float | None) -> Xml.Element:
    facts = {"classname": _clean(f"{report.run.plan}.{group}"), "name": _clean(name)}
    return Xml.SubElement(suite, "testcase", facts | ({} if took is None else {"time": f"{took:.3f}"}))


def _child(parent: Xml.Element, tag: str, kind: str, message: str) -> None:
    Xml.SubElement(parent, tag, {"type": kind, "message": _clean(message)}).text = _clean(message)


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)

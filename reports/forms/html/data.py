"""The data of the page's script: every case with its distribution.

It is JSON that a page may embed. Numbers come as text, in the same words as everywhere on the page, so that the script
rounds nothing. Only what the script draws comes as numbers.
"""

from __future__ import annotations

import json
from typing import Any, Final

from domain.control_characters import visible
from domain.plans.slo import Percentile
from reports.forms.html.tables import by_interest
from reports.model.report import CaseReport, CaseState, ControlReport, Report
from reports.text import values as words
from reports.text.calls import found_by, real_in_words

MOST_OF_BODY: Final = 600
"""Characters of the last answer's body that the page shows. The JSON report has more of it."""

FIGURES: Final = ("requests", "errors", "p50", "p95", "p99", "slowest")
"""What `figures` has, in this order. The page shows them beside the baseline's."""


def page_data(report: Report) -> str:
    """Render the data block of the page.

    It contains no `<`, so no answer of a service can end the block.
    """
    bodies: dict[str, int] = {}
    data = {
        "figures": FIGURES,
        "states": {state: words.state(state) for state in CaseState},
        # The order in which the page offers them: what a reader looks for first.
        "cases": [_case(case, report.shown_percentile, bodies) for case in by_interest(report)],
        "controls": [_control(control) for control in report.controls],
        # Thousands of cases share a few different answers.
        "bodies": list(bodies),
    }
    # The script shows these texts, and parsing JSON undoes its escapes. Control characters are therefore spelt out
    # first, as in the page itself.
    text = json.dumps(_spelt_out(data), ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _spelt_out(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {name: _spelt_out(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelt_out(inner) for inner in value]
    return value


def _case(case: CaseReport, percentile: Percentile, bodies: dict[str, int]) -> dict[str, Any]:
    entry: dict[str, Any] = {"i": case.index, "name": words.together(case.case_id), "state": case.state}
    if case.reason:
        entry["reason"] = case.reason
    notes = [
        f"found by {found_by(case)}" if found_by(case) else "",
        real_in_words(case),
        f"rests on a substitute status of {', '.join(case.substituted)}" if case.substituted else "",
    ]
    if any(notes):
        entry["grounds"] = ". ".join(note for note in notes if note)
    if case.error_rate is None:
        return entry
    entry |= {
        "figures": [
            f"{case.requests:,}",
            words.percent(case.error_rate),
            *_latencies(case),
            words.milliseconds(case.max_ms),
        ],
        "ratio": _ratio(case, percentile),
        "p95": case.p95_ms,
        "successes": case.successes,
        "histogram": case.histogram,
        "control": case.control,
    }
    if case.errors_by_kind:
        entry["errors"] = ", ".join(f"{kind}: {many:,}" for kind, many in case.errors_by_kind.items())
    if case.answer_status is not None:
        entry["status"] = case.answer_status
    if case.answer_body:
        cut = case.answer_body[:MOST_OF_BODY] + ("…" if len(case.answer_body) > MOST_OF_BODY else "")
        entry["body"] = bodies.setdefault(cut, len(bodies))
    return entry


def _latencies(case: CaseReport) -> list[str]:
    shown = {Percentile.P50: case.p50_ms, Percentile.P95: case.p95_ms, Percentile.P99: case.p99_ms}
    return [words.FEW if name in case.unsupported else words.milliseconds(value) for name, value in shown.items()]


def _ratio(case: CaseReport, percentile: Percentile) -> str:
    """Compare a case with the baseline, in a sentence.

    Empty if there is nothing to compare.
    """
    if case.ratio is not None and case.ratio.value is not None:
        limits = [
            f"surely {words.interval(case.ratio.low, case.ratio.high)}" if case.ratio.low or case.ratio.high else "",
            f"allowed {words.times(case.ratio.limit)}" if case.ratio.limit else "",
            case.finding or "",
        ]
        details = ", ".join(part for part in limits if part)
        return f"{case.ratio.percentile} {words.times(case.ratio.value)} the baseline's" + (
            f" ({details})" if details else ""
        )
    value = case.p50_ratio if percentile is Percentile.P50 else case.p95_ratio
    return "" if value is None else f"{percentile} {words.times(value)} the baseline's"


def _control(control: ControlReport) -> dict[str, Any]:
    latencies = [words.milliseconds(value) for value in (control.p50_ms, control.p95_ms, control.p99_ms)]
    return {
        "figures": [f"{control.requests:,}", words.percent(control.error_rate), *latencies, words.NONE],
        "p95": control.p95_ms,
        "histogram": control.histogram,
    }

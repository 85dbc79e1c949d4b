"""What the page's script needs of a report: every case with its distribution, as JSON that a page may carry.

Numbers come as text, in the same words as everywhere on the page, so that the script rounds nothing. Only what it draws
comes as numbers.
"""

from __future__ import annotations

import json
from typing import Any, Final

from reports import words
from reports.call_words import found_by, real_in_words
from reports.html.tables import by_interest
from reports.model import CaseReport, CaseState, ControlReport, Report
from workflows.contracts.slo import Percentile
from workflows.logic.steering import visible

MOST_OF_BODY: Final = 600
"""Characters of the last answer's body that the page shows; the JSON report has what is stored."""

FIGURES: Final = ("requests", "errors", "p50", "p95", "p99", "slowest")
"""What stands beside the baseline's, in this order, in `figures`."""


def page_data(report: Report) -> str:
    """The data block of the page. No `<` is in it, so nothing that a service answered can end the block."""
    bodies: dict[str, int] = {}
    found = {
        "figures": FIGURES,
        "states": {state: words.state(state) for state in CaseState},
        # The order in which they are offered: what a reader looks for first.
        "cases": [_case(one, report.shown_percentile, bodies) for one in by_interest(report)],
        "controls": [_control(one) for one in report.controls],
        # Thousands of cases have few different answers between them.
        "bodies": list(bodies),
    }
    # Shown by the script, which would undo what JSON escapes: spelt out before, as the page itself is.
    text = json.dumps(_spelt_out(found), ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _spelt_out(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {name: _spelt_out(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelt_out(inner) for inner in value]
    return value


def _case(one: CaseReport, percentile: Percentile, bodies: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"i": one.index, "name": words.together(one.case_id), "state": one.state}
    if one.reason:
        found["reason"] = one.reason
    notes = [
        f"found by {found_by(one)}" if found_by(one) else "",
        real_in_words(one),
        f"rests on a substitute status of {', '.join(one.substituted)}" if one.substituted else "",
    ]
    if any(notes):
        found["grounds"] = ". ".join(note for note in notes if note)
    if one.error_rate is None:
        return found
    found |= {
        "figures": [
            f"{one.requests:,}",
            words.percent(one.error_rate),
            *_latencies(one),
            words.milliseconds(one.max_ms),
        ],
        "ratio": _ratio(one, percentile),
        "p95": one.p95_ms,
        "successes": one.successes,
        "histogram": one.histogram,
        "control": one.control,
    }
    if one.errors_by_kind:
        found["errors"] = ", ".join(f"{kind}: {many:,}" for kind, many in one.errors_by_kind.items())
    if one.answer_status is not None:
        found["status"] = one.answer_status
    if one.answer_body:
        cut = one.answer_body[:MOST_OF_BODY] + ("…" if len(one.answer_body) > MOST_OF_BODY else "")
        found["body"] = bodies.setdefault(cut, len(bodies))
    return found


def _latencies(one: CaseReport) -> list[str]:
    shown = {Percentile.P50: one.p50_ms, Percentile.P95: one.p95_ms, Percentile.P99: one.p99_ms}
    return [words.FEW if name in one.unsupported else words.milliseconds(value) for name, value in shown.items()]


def _ratio(one: CaseReport, percentile: Percentile) -> str:
    """What the case is against the baseline, as a sentence; empty where nothing can be said."""
    if one.ratio is not None and one.ratio.value is not None:
        limits = [
            f"surely {words.interval(one.ratio.low, one.ratio.high)}" if one.ratio.low or one.ratio.high else "",
            f"allowed {words.times(one.ratio.limit)}" if one.ratio.limit else "",
            one.finding or "",
        ]
        told = ", ".join(part for part in limits if part)
        return f"{one.ratio.percentile} {words.times(one.ratio.value)} the baseline's" + (f" ({told})" if told else "")
    value = one.p50_ratio if percentile is Percentile.P50 else one.p95_ratio
    return "" if value is None else f"{percentile} {words.times(value)} the baseline's"


def _control(one: ControlReport) -> dict[str, Any]:
    latencies = [words.milliseconds(value) for value in (one.p50_ms, one.p95_ms, one.p99_ms)]
    return {
        "figures": [f"{one.requests:,}", words.percent(one.error_rate), *latencies, words.NONE],
        "p95": one.p95_ms,
        "histogram": one.histogram,
    }

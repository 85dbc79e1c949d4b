"""The report as one self-contained HTML file.

It needs no network, no fonts and no other file.

The answers of services are foreign text, so they are escaped everywhere. The page's own security policy runs no script
but ours and loads nothing at all. A report can therefore be opened, mailed and published as it is.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from domain.control_characters import visible
from reports.forms.html.data import page_data
from reports.forms.html.matrix import ERROR_LEGEND, RATIO_LEGEND, matrix
from reports.forms.html.tables import case_rows, interaction_rows, rules_stand
from reports.forms.html.timeline import chart
from reports.model.execution import ExecutionReport
from reports.model.report import Report
from reports.text import calls as call_words
from reports.text import values as words

MOST_REAL: Final = 50
"""Cases shown with differing answers of really broken services."""

_HERE: Final = Path(__file__).parent / "html"


_SECTIONS: Final = (
    "matrix", "interactions", "fallbacks", "explorer", "cases", "services", "timeline", "coverage", "stages",
    "environment",
)  # fmt: skip
"""Sections of a resilience test, in order, each a template in `html/parts`."""


def render(report: ExecutionReport) -> str:
    """Render the whole page.

    It depends on the report alone: the same report always gives the same page.
    """
    script = _asset("script.js")
    values = {
        "report": report,
        "run": report.run,
        "chart": chart(report),
        "style": _asset("style.css"),
        "script": script,
        "policy": _policy(script),
        "header": "execution",
        "sections": ("timeline",),
        "data": "",
    }
    if isinstance(report, Report):
        values |= _of_cases(report)
    return visible(_environment().get_template("page.html.j2").render(values))


def _of_cases(report: Report) -> dict[str, Any]:
    """Return what only the report of a resilience test shows."""
    differing = [case for case in report.cases if call_words.real_in_words(case)]
    return {
        "header": "verdict",
        "sections": _SECTIONS,
        "matrix": matrix(report),
        "cases": case_rows(report),
        "interactions": interaction_rows(report),
        "rules_stand": rules_stand(report),
        "grounds_lines": list(call_words.grounds_in_words(report.grounds)) if report.grounds else [],
        "real_cases": differing[:MOST_REAL],
        "real_left_out": max(0, len(differing) - MOST_REAL),
        "error_legend": ERROR_LEGEND,
        "ratio_legend": RATIO_LEGEND,
        "data": Markup(page_data(report)),  # noqa: S704 - it has no `<`: see there
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "points": words.points,
        "times": words.times,
        "ms": words.milliseconds,
        "more_ms": words.more_milliseconds,
        "seconds": words.seconds,
        "moment": words.moment,
        "clock": words.clock,
        "state": words.state,
        "together": words.together,
        "found_in_words": call_words.found_in_words,
        "under": call_words.under,
        "often": call_words.often,
        "standing": call_words.standing,
        "found_by": call_words.found_by,
        "real_in_words": call_words.real_in_words,
    }
    environment.globals |= {"DEFINITION": call_words.DEFINITION}
    environment.globals |= {"count": words.count, "interval": words.interval, "NONE": words.NONE, "FEW": words.FEW}
    return environment


@cache
def _asset(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of ours


def _policy(script: str) -> str:
    """Return the page's Content-Security-Policy.

    It allows our script by its hash and inline styles, and nothing from elsewhere.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    )

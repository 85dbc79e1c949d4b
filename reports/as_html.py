"""The report as one HTML file that needs nothing else: no network, no fonts, no other file.

What a service answered is somebody else's text. It is escaped wherever it stands, and the page's own policy lets no
script run but ours and nothing be loaded at all, so that a report can be opened, mailed and published as it is.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import call_words, words
from reports.html.data import page_data
from reports.html.matrix import ERROR_LEGEND, RATIO_LEGEND, matrix
from reports.html.tables import case_rows, interaction_rows, rules_stand
from reports.html.timeline import chart
from reports.model import Report
from workflows.logic.steering import visible

MOST_REAL: Final = 50
"""Cases of which the page shows what really broken services answered, where that differs."""

_HERE: Final = Path(__file__).parent / "html"


def render(report: Report) -> str:
    """The whole page. It depends on the report alone: the same one always gives the same page."""
    script = _asset("script.js")
    differing = [one for one in report.cases if call_words.real_in_words(one)]
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            run=report.run,
            matrix=matrix(report),
            chart=chart(report),
            cases=case_rows(report),
            interactions=interaction_rows(report),
            rules_stand=rules_stand(report),
            grounds_lines=list(call_words.grounds_in_words(report.grounds)) if report.grounds else [],
            real_cases=differing[:MOST_REAL],
            real_left_out=max(0, len(differing) - MOST_REAL),
            error_legend=ERROR_LEGEND,
            ratio_legend=RATIO_LEGEND,
            style=_asset("style.css"),
            script=script,
            policy=_policy(script),
            data=Markup(page_data(report)),  # noqa: S704 - it has no `<`: see there
        )
    )
    return visible(page)


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
    """The page's Content-Security-Policy: our script by its hash, styles, and nothing from anywhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    )

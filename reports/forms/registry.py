"""The forms that a report can take. A new form is one module and one line here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from reports.forms.as_junit import Inconclusive
from reports.model.execution import ExecutionReport


@dataclass(frozen=True)
class Form:
    """One form. Its module has a function `render(report)` that returns the text."""

    name: str
    """Names the option of the command line: `--html`."""
    words: str
    """Help of that option."""
    module: str
    """Imported when the form is wanted: a template engine takes time to load."""
    takes_inconclusive: bool = False
    """Whether `render` also takes how an inconclusive case is reported."""

    def render(self, report: ExecutionReport, inconclusive: Inconclusive = Inconclusive.FAILURE) -> str:
        """Render a report in this form."""
        more = [inconclusive] if self.takes_inconclusive else []
        rendered: Any = importlib.import_module(self.module).render(report, *more)
        return str(rendered)


HTML = Form("html", "The report as one HTML file that needs nothing else.", "reports.forms.as_html")
JSON = Form("json", "The report as JSON (`holdfast schema --report`).", "reports.forms.as_json")
MARKDOWN = Form(
    "markdown", "The report as Markdown, for a pull request or a step's summary.", "reports.forms.as_markdown"
)
JUNIT = Form("junit", "A testcase for each case, as JUnit XML.", "reports.forms.as_junit", takes_inconclusive=True)

FORMS = (HTML, JSON, MARKDOWN, JUNIT)

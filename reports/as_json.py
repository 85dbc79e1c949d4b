"""The report as JSON, and what JSON of reports looks like.

The committed copy of the schema is `docs/report.schema.json`; a test keeps it current.
"""

from __future__ import annotations

import re
from typing import Any

from reports.model import Report

_CONTROL = re.compile(r"[\x7f-\x9f]")

SCHEMA_ID = "https://holdfast.invalid/report.schema.json"
"""Names the schema; nothing is fetched from there."""


def render(report: Report) -> str:
    """The model as it stands, without what steers a terminal: of that JSON itself only escapes the half."""
    text = report.model_dump_json(indent=2)
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n"


def report_schema() -> dict[str, Any]:
    """The schema of what is written. Readers should ignore what they do not know: fields are added."""
    schema = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}

"""The report as JSON, and what JSON of reports looks like.

The committed copy of the schema is `docs/report.schema.json`; a test keeps it current.
"""

from __future__ import annotations

from typing import Any

from domain.control_characters import visible
from reports.model.report import Report

SCHEMA_ID = "https://holdfast.invalid/report.schema.json"
"""Names the schema; nothing is fetched from there."""


def render(report: Report) -> str:
    """The model as it stands, with everything escaped that steers a display; JSON by itself escapes only some of it."""
    return visible(report.model_dump_json(indent=2)) + "\n"


def report_schema() -> dict[str, Any]:
    """The schema of what is written. Readers should ignore what they do not know: fields are added."""
    schema = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}

"""The report as JSON, and its JSON schema.

The committed copy of the schema is `docs/report.schema.json`. A test keeps it current.
"""

from __future__ import annotations

from typing import Any

from domain.control_characters import visible
from reports.model.execution import ExecutionReport
from reports.model.report import Report

SCHEMA_ID = "https://holdfast.invalid/report.schema.json"
"""Name of the schema. Nothing is fetched from there."""


def render(report: ExecutionReport) -> str:
    """Render the report's model as JSON.

    Everything that controls a display is escaped. JSON by itself escapes only some of it.
    """
    return visible(report.model_dump_json(indent=2)) + "\n"


def report_schema() -> dict[str, Any]:
    """Return the schema of the JSON report.

    Readers should ignore fields that they do not know, because fields are added.
    """
    schema = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}

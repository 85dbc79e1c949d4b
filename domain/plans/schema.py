"""The plan as JSON Schema, generated from the model.

Editors therefore complete and check what the validator accepts. The committed copy is `docs/plan.schema.json`; a test
keeps it current.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from domain.plans.original_names import OUR_SETTINGS
from domain.plans.plan import Plan
from domain.units import DURATION_PATTERN, PERCENT_PATTERN, format_duration, format_percent

_ISO = TypeAdapter(timedelta)

SCHEMA_ID = "https://holdfast.invalid/plan.schema.json"
"""The name of the schema. Nothing is fetched from this address."""


def plan_schema() -> dict[str, Any]:
    """Return the schema of a plan.

    It does not contain rules between fields, such as names that must exist and hosts that must be allowed.
    """
    schema = Plan.model_json_schema(by_alias=True, mode="validation")
    _add_originals(schema)
    _tidy(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def _add_originals(schema: dict[str, Any]) -> None:
    """Add the original names, so that editors do not mark valid fields."""
    for their_name, ours in OUR_SETTINGS.items():
        section = schema["$defs"][ours.section.capitalize()]["properties"]
        unit = ", in whole seconds" if ours.seconds else ""
        section[their_name] = {
            "type": "integer",
            "minimum": 1,
            "deprecated": True,
            "description": f"The original orchestrator's name of `{ours.name}`{unit}.",
        }


def _tidy(value: Any) -> None:
    """Rewrite defaults and descriptions the way people write them.

    Defaults get their units, and descriptions are no longer wrapped.
    """
    if isinstance(value, dict):
        if isinstance(value.get("description"), str):
            value["description"] = " ".join(value["description"].split())
        if isinstance(value.get("title"), str):
            del value["title"]
        if "default" in value:
            value["default"] = _as_written(value["default"], value.get("pattern"))
            if value["default"] is None or isinstance(value["default"], dict):
                del value["default"]
        for child in value.values():
            _tidy(child)
    elif isinstance(value, list):
        for child in value:
            _tidy(child)


def _as_written(default: Any, pattern: object) -> Any:
    if pattern == DURATION_PATTERN:
        return format_duration(_ISO.validate_python(default))
    if pattern == PERCENT_PATTERN:
        return format_percent(default)
    return default

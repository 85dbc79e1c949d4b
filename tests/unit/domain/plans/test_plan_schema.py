"""The committed JSON Schema of plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from clients.plans.files import read_plan_file
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.plans.schema import plan_schema
from domain.plans.validation.validate import check_plan
from tests.support.paths import ROOT
from tests.support.plans.builders import good

COMMITTED = ROOT / "docs" / "plan.schema.json"
VALIDATOR = Draft202012Validator(plan_schema())


def test_the_committed_schema_is_current() -> None:
    """Editors read the committed file. If this fails: `holdfast schema --output docs/plan.schema.json`."""
    assert json.loads(COMMITTED.read_text()) == plan_schema()


def test_the_plan_schema_is_valid_json_schema() -> None:
    """Checked against the 2020-12 draft."""
    Draft202012Validator.check_schema(plan_schema())


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_plans_match_the_schema(path: Path) -> None:
    """Both as written and as stored."""
    document = read_plan_file(path)
    if "topology" in path.stem:
        pytest.skip("a topology, not a plan")
    VALIDATOR.validate(document)
    plan, _ = check_plan(document)
    assert isinstance(plan, Plan)
    VALIDATOR.validate(json.loads(canonical_json(plan)))


@pytest.mark.parametrize(
    "parts",
    [
        {"slo": {"regression": {"percentile": "p50", "at_least": "0ms"}}, "load": {"max_requests": 9, "rate": "90/m"}},
        {"slo": {"p95": "1s", "overrides": [{"for": "reviews+*", "budget": "4s"}]}},
        {"exclude": ["reviews", {"case": "shipping", "reason": "x"}]},
        {"timeouts": {"waitAnalyzeTimeoutSec": 30}, "load": {"requestNum": 3}},
        {"steady_state": {"status": [200], "error_rate": "10%"}},
        {"request": {"url": "http://127.0.0.1/", "query": {"a": 1, "b": ["x", True]}, "form": {"c": "d"}}},
    ],
)
def test_plans_that_pass_validation_match_the_schema(parts: dict[str, Any]) -> None:
    """An editor must not mark a plan that works."""
    assert check_plan(good() | parts)[0] is not None
    VALIDATOR.validate(good() | parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"servces": []},
        {"slo": {"p95": "5"}},
        {"slo": {"error_rate": 1}},
        {"services": [{"name": "reviews"}]},
        {"exclude": [3]},
        {"request": {"url": "http://127.0.0.1/", "form": {"c": 1.5}}},
    ],
)
def test_the_schema_refuses_plans_that_validation_refuses(parts: dict[str, Any]) -> None:
    """As far as a schema can: shapes, units and unknown fields."""
    assert check_plan(good() | parts)[0] is None
    assert not VALIDATOR.is_valid(good() | parts)


def _fields(schema: Any, path: str = "") -> list[str]:
    if not isinstance(schema, dict):
        return []
    undescribed = [
        f"{path}.{name}"
        for name, field in schema.get("properties", {}).items()
        if not {"description", "const", "$ref"} & set(field)
    ]
    return undescribed + [found for name, model in schema.get("$defs", {}).items() for found in _fields(model, name)]


def test_every_field_of_the_schema_has_a_description() -> None:
    """Editors show it where a plan is written."""
    assert _fields(plan_schema()) == []

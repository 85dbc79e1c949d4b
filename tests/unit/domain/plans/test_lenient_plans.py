"""Plans of other versions and damaged plans are read as far as closing and reporting need them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from domain.plans.canonical import canonical_json
from domain.plans.lenient import UNREADABLE_ADDRESS, read_leniently
from tests.support.store.samples import shop_plan

PLAN = shop_plan()
RAW: dict[str, Any] = json.loads(canonical_json(PLAN))
DAMAGE: list[Any] = [None, "", 0, -1, 1e308, [], {}, [None], {"x": 1}, "\0\x1b", "x" * 1_000_000, True]


def read(document: Any, **row: str) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    return read_leniently(text, **({"name": "row", "namespace": "row-ns"} | row))


def test_an_intact_plan_is_read_unchanged() -> None:
    found = read(canonical_json(PLAN))
    assert (found.plan, found.trouble) == (PLAN, "")


def test_a_plan_of_another_version_keeps_its_system_services_and_timeouts() -> None:
    found = read(RAW | {"holdfast": 7, "invented": {"deep": 1}, "load": {"requests": "many"}})
    assert found.plan.system == PLAN.system
    assert found.plan.services == PLAN.services
    assert found.plan.timeouts == PLAN.timeouts
    assert "holdfast" in found.trouble
    assert "invented" in found.trouble


@pytest.mark.parametrize("field", [*RAW, *(f"system.{name}" for name in RAW["system"])])
@pytest.mark.parametrize("value", DAMAGE, ids=lambda value: repr(value)[:20])
def test_a_damaged_field_leaves_all_other_fields_legible(field: str, value: Any) -> None:
    document = copy.deepcopy(RAW)
    part = document["system"] if "." in field else document
    part[field.rpartition(".")[2]] = value
    plan = read(document).plan
    if field.startswith("system"):
        assert plan.service_names == PLAN.service_names
    else:
        assert plan.system == PLAN.system
    assert plan.service_names
    assert plan.timeouts == PLAN.timeouts or field == "timeouts"
    assert plan.system.namespace
    assert json.dumps(plan.request.model_dump(mode="json", by_alias=True))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0", "[" * 100_000, '{"system": "x"}', "9" * 10_000])
def test_an_unreadable_plan_takes_its_names_from_the_row(text: str) -> None:
    found = read(text)
    assert (found.plan.name, found.plan.system.namespace) == ("row", "row-ns")
    assert found.plan.system.faults == UNREADABLE_ADDRESS
    assert found.trouble


def test_the_placeholder_for_a_damaged_request_is_never_sent() -> None:
    assert not read(RAW | {"request": {"url": 5}}).plan.steady_state.check

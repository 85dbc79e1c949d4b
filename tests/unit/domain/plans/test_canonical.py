"""A plan as one text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.plans.files import read_plan_file
from domain.plans.canonical import canonical_json, content_id, sha256
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from tests.support.paths import EXAMPLES


def plan(**changes: Any) -> Plan:
    document = read_plan_file(EXAMPLES / "shop.yaml")
    assert isinstance(document, dict)
    found, problems = check_plan(document | changes)
    assert found is not None, problems
    return found


FAULTS = st.one_of(
    st.sampled_from(["remove", "error"]),
    st.integers(1, 119_999).map(lambda number: {"delay": f"{number}ms"}),
    st.sampled_from(["remove", "error"]).map(lambda kind: {kind: {"containers": ["app"]}}),
    st.dictionaries(st.sampled_from(["time", "path", "size", "mode"]), st.just(["x y"]), min_size=1, max_size=3).map(
        lambda matchers: {
            "type": "t",
            "experiment": {
                "scope": "pod",
                "target": "a",
                "action": "b",
                "matchers": matchers | {"namespace": ["shop"]},
            },
        }
    ),
)
TEXT = st.text().filter(lambda text: "$" not in text)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
BODIES = st.recursive(
    LEAVES | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(FAULTS, BODIES, st.integers(1, 600_000), st.floats(0, 100).map(lambda value: f"{value:.6f}%"))
def test_a_plan_survives_being_written(fault: Any, body: Any, timeout: int, share: str) -> None:
    """It loads back to an equal plan, is valid again, and is written the same again."""
    written = plan(
        services=[{"name": "reviews", "fault": fault}],
        request={"url": "http://127.0.0.1/", "json": body, "timeout": f"{timeout}ms"},
        load={"requests": 1},
        slo={"error_rate": share},
    )
    text = canonical_json(written)
    again = Plan.model_validate_json(text)
    assert again == written
    assert canonical_json(again) == text
    assert check_plan(json.loads(text)) == (written, [])
    assert sha256(text)


def test_keys_are_sorted_named_as_in_the_plan_file_and_without_space() -> None:
    """Quantities are text with their unit, and `json` keeps its name."""
    text = canonical_json(plan())
    found = json.loads(text)
    assert text == json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert "json" in found["request"]
    assert "json_body" not in found["request"]
    assert (found["request"]["timeout"], found["slo"]["error_rate"], found["slo"]["p95"]) == ("5s", "1%", "550ms")


def test_the_order_of_keys_does_not_matter() -> None:
    """Equal plans have equal texts, and so equal ids."""
    document = read_plan_file(EXAMPLES / "shop.yaml")
    assert isinstance(document, dict)
    turned, _ = check_plan(dict(reversed(document.items())))
    assert turned is not None
    assert canonical_json(turned) == canonical_json(plan())


@pytest.mark.parametrize("part", ["headers", "query", "form", "json"])
def test_what_is_sent_keeps_its_order(part: str) -> None:
    """Fields go out as the plan has them, also when it comes from the store; another order is another plan."""
    fields = {"z": "1", "a": "2", "m": "3"}
    one = plan(request={"url": "http://127.0.0.1/", part: fields})
    other = plan(request={"url": "http://127.0.0.1/", part: dict(sorted(fields.items()))})
    again = Plan.model_validate_json(canonical_json(one))
    assert list(again.request.model_dump(by_alias=True)[part]) == ["z", "a", "m"]
    assert canonical_json(one) != canonical_json(other)
    assert canonical_json(again) == canonical_json(one)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_ids_fit_a_double(text: str) -> None:
    """So that JSON readers everywhere keep them exactly."""
    assert 0 <= content_id(text) < 2**53
    assert int(float(content_id(text))) == content_id(text)


def test_ids_never_change() -> None:
    """They are in databases and at the proxy."""
    assert sha256("holdfast") == "d1580d2df7f24b6f5e2a861eba2918755c3a7246b7068817e349d8adc66a8566"
    assert content_id("holdfast") == 7365635470196297

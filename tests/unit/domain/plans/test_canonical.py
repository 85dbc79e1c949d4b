"""The canonical JSON of a plan."""

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
def test_a_plan_read_from_its_canonical_json_is_equal_valid_and_written_the_same(
    fault: Any, body: Any, timeout: int, share: str
) -> None:
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


def test_canonical_json_has_sorted_keys_named_as_in_the_plan_file_and_no_spaces() -> None:
    """Quantities are text with their unit, and `json` keeps its name."""
    text = canonical_json(plan())
    found = json.loads(text)
    assert text == json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert "json" in found["request"]
    assert "json_body" not in found["request"]
    assert (found["request"]["timeout"], found["slo"]["error_rate"], found["slo"]["p95"]) == ("5s", "1%", "550ms")


def test_plans_that_differ_in_key_order_have_the_same_canonical_json() -> None:
    """Equal plans therefore have equal ids."""
    document = read_plan_file(EXAMPLES / "shop.yaml")
    assert isinstance(document, dict)
    turned, _ = check_plan(dict(reversed(document.items())))
    assert turned is not None
    assert canonical_json(turned) == canonical_json(plan())


@pytest.mark.parametrize("part", ["headers", "query", "form", "json"])
def test_the_canonical_json_keeps_the_order_of_request_fields(part: str) -> None:
    """Fields are sent in the order of the plan, even if the plan was read from the store.

    A different order is a different plan.
    """
    fields = {"z": "1", "a": "2", "m": "3"}
    unsorted = plan(request={"url": "http://127.0.0.1/", part: fields})
    in_order = plan(request={"url": "http://127.0.0.1/", part: dict(sorted(fields.items()))})
    again = Plan.model_validate_json(canonical_json(unsorted))
    assert list(again.request.model_dump(by_alias=True)[part]) == ["z", "a", "m"]
    assert canonical_json(unsorted) != canonical_json(in_order)
    assert canonical_json(again) == canonical_json(unsorted)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_content_ids_fit_a_double(text: str) -> None:
    """Every JSON reader keeps them exact."""
    assert 0 <= content_id(text) < 2**53
    assert int(float(content_id(text))) == content_id(text)


def test_digests_and_content_ids_never_change() -> None:
    """Databases and the proxy hold them."""
    assert sha256("holdfast") == "d1580d2df7f24b6f5e2a861eba2918755c3a7246b7068817e349d8adc66a8566"
    assert content_id("holdfast") == 7365635470196297

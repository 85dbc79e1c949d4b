"""Plans that are too large are refused quickly, with few problems."""

import time
from typing import Any

import pytest

from domain.plans.validation.validate import check_input
from tests.support.plans.builders import SECRET, changed, good, problems


def test_an_endless_load_test_is_refused() -> None:
    """The product of services, requests and timeout is bounded.

    Otherwise a window would need a date that does not exist.
    """
    raw = good()
    names = [f"s{number}" for number in range(400)]
    raw["system"]["services"] = dict.fromkeys(names, "http://127.0.0.1")
    raw["services"] = [{"name": name, "fault": "remove"} for name in names]
    assert problems(raw) == {}
    raw["load"] = {"requests": 1_000_000, "concurrency": 1}
    assert list(problems(raw)) == ["load.requests"]


def test_more_than_a_thousand_services_are_refused() -> None:
    """One problem reports it, not one per service."""
    raw = good()
    raw["services"] = [{"name": "reviews", "fault": "remove"}] * 1_001
    assert problems(raw) == {"services": "1001 services; at most 1000 in one plan | split it into several plans"}


def test_a_document_nested_too_deeply_is_refused() -> None:
    """The depth is checked before anything walks through the document.

    A document that contains itself counts as too deep.
    """
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    endless: list[Any] = []
    endless.append(endless)
    for value in (deep, endless):
        assert "nested deeper than 40 levels" in problems(changed(("request", "json"), value))[""]


@pytest.mark.parametrize(
    "change",
    [
        {f"field-{number}": number for number in range(12_000)},
        {"request": {"url": "http://127.0.0.1/", "headers": {f"x {number}": SECRET for number in range(5_000)}}},
        {"request": {"url": "http://127.0.0.1/", "headers": dict.fromkeys(map(str, range(12_000)))}},
        {"request": {"url": "http://127.0.0.1/", "json": [float("nan")] * 40_000}},
        {"services": [{"name": f"revie{number}", "fault": "remoove"} for number in range(1_000)]},
        {"system": good()["system"] | {"services": {f"s{number}": "ftp://x" for number in range(5_000)}}},
    ],
    ids=["unknown", "names", "values", "numbers", "services", "addresses"],
)
def test_thousands_of_mistakes_are_cut_off_quickly(change: dict[str, Any]) -> None:
    """A workflow that computes for two seconds counts as dead, and nobody reads thousands of problems."""
    raw = good() | change
    started = time.thread_time()
    checked = check_input({"plan": raw})
    # Takes a tenth of a second on an idle machine. Work quadratic in the number of mistakes takes minutes.
    assert time.thread_time() - started < 10
    assert len(checked.problems) == 201
    assert checked.problems[-1].message == "only the first 200 problems are shown"
    assert len(checked.model_dump_json()) < 200_000

"""Validation of plans that are too large: one problem says so, and it takes no time."""

import time
from typing import Any

import pytest

from domain.plans.validation.validate import check_input
from tests.support.plans.builders import SECRET, changed, good, problems


def test_an_endless_load_test_is_refused() -> None:
    """The product of services, requests and timeout is bounded, so that no window needs a date that does not exist."""
    raw = good()
    names = [f"s{number}" for number in range(400)]
    raw["system"]["services"] = dict.fromkeys(names, "http://127.0.0.1")
    raw["services"] = [{"name": name, "fault": "remove"} for name in names]
    assert problems(raw) == {}
    raw["load"] = {"requests": 1_000_000, "concurrency": 1}
    assert list(problems(raw)) == ["load.requests"]


def test_too_many_services() -> None:
    """A thousand is the bound, and one problem tells it."""
    raw = good()
    raw["services"] = [{"name": "reviews", "fault": "remove"}] * 1_001
    assert problems(raw) == {"services": "1001 services; at most 1000 in one plan | make several plans of it"}


def test_too_deep() -> None:
    """Nesting is bounded before anything walks through it; a document that contains itself is as deep as can be."""
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
def test_very_many_mistakes_take_no_time(change: dict[str, Any]) -> None:
    """A workflow that thinks for two seconds is taken for dead, and nobody reads thousands of problems."""
    raw = good() | change
    started = time.thread_time()
    checked = check_input({"plan": raw})
    # A tenth of a second where nothing else runs; what grows with the square of the mistakes takes minutes.
    assert time.thread_time() - started < 10
    assert len(checked.problems) == 201
    assert "200 problems or more" in checked.problems[-1].message
    assert len(checked.model_dump_json()) < 200_000

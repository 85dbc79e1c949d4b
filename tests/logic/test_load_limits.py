"""How much load a worker sends for a plan."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.logic.plans import good
from workflows.contracts.guardrails import Guardrails
from workflows.contracts.plan import Plan
from workflows.contracts.timing import Timing
from workflows.logic.guardrails import outside
from workflows.logic.load_limits import _counted_load, _most_load, in_flight, load_problems, overrun
from workflows.logic.preview import preview
from workflows.logic.validation import check_plan

ROOT = Path(__file__).parents[2]
COMPARES = {"relative_to_baseline": {"p95": "150%"}}


def plan(services: int = 2, **parts: Any) -> Plan:
    document = good()
    names = [f"s{position}" for position in range(services)]
    document["system"]["services"] = dict.fromkeys(names, "http://127.0.0.1:18083")
    document["services"] = [{"name": name, "fault": "remove"} for name in names]
    found, problems = check_plan(document | parts)
    assert found is not None, problems
    return found


def limited(found: Plan, **limits: Any) -> dict[str, str]:
    return {one.path: f"{one.message} | {one.hint}" for one in load_problems(found, Guardrails(**limits))}


@pytest.mark.parametrize(
    ("load", "limits", "path", "words"),
    [
        ({"requests": 10, "rate": "20/s"}, {"max_rate": 19.5}, "load.rate", "20/s is more than the 19.5/s"),
        ({"concurrency": 4}, {"max_in_flight": 3}, "load.concurrency", "up to 4 requests under way at once"),
        ({"rate": "5/s"}, {"max_in_flight": 49}, "load.rate", "up to 50 requests under way at once"),
        ({"requests": 100}, {"max_requests": 426}, "load.requests", "up to 427 requests in one run"),
        (
            {"requests": 100, "rate": "10/s"},
            {"max_load_duration": timedelta(seconds=39)},
            "load.rate",
            "400 requests at this rate take 40s; the worker allows 39s",
        ),
    ],
)
def test_a_limit_names_the_field_and_the_setting(load: Any, limits: dict[str, Any], path: str, words: str) -> None:
    found = limited(plan(load=load), **limits)
    assert list(found) == [path]
    assert words in found[path]
    ((name, value),) = limits.items()
    assert f"HOLDFAST_{name.upper()}" in found[path]
    # One more is enough.
    more = timedelta(seconds=1) if name.endswith("duration") else 100
    assert limited(plan(load=load), **{name: value + more}) == {}


def test_what_is_asked_again_and_again_has_a_rate() -> None:
    stop = {"request": {"error_rate": "50%", "every": "1ms"}, "health": {"url": "http://127.0.0.1:1", "every": "2ms"}}
    found = limited(plan(stop=stop), max_rate=400.0)
    assert list(found) == ["stop.request.every", "stop.health.every"]
    assert "1000/s is more than the 400/s" in found["stop.request.every"]


def test_in_flight_is_what_a_timeout_may_hold_and_never_more_than_the_engine_does() -> None:
    assert in_flight(plan(load={"concurrency": 3})) == 3
    assert in_flight(plan(load={"rate": "1/m"})) == 1
    assert in_flight(plan(load={"rate": "10000/s"})) == 1_000
    assert in_flight(plan(load={"rate": "10000/s", "batches_at_once": 2})) == 2_000


@pytest.mark.parametrize("slo", [{"error_rate": "1%"}, COMPARES])
@pytest.mark.parametrize("services", [2, 5, 7, 20, 40])
def test_the_quick_bound_is_never_below_what_is_counted(services: int, slo: Any) -> None:
    """And what is counted is what the preview shows."""
    found = plan(services, slo=slo, load={"requests": 30}, exclude=["s0"])
    sent = preview(found, Timing()).requests
    assert _counted_load(found) == sent.load + sent.control + sent.warm_up
    assert _most_load(found) >= _counted_load(found)
    everything = plan(services, slo=slo, load={"requests": 30})
    assert _most_load(everything) >= _counted_load(everything)


def test_excluded_cases_are_not_counted_against_a_plan() -> None:
    found = plan(10, load={"requests": 100}, exclude=["*+*"])
    assert limited(found, max_requests=1_100 + 59) == {}
    assert list(limited(found, max_requests=1_100 + 58)) == ["load.requests"]


def test_pairs_that_may_really_be_broken_are_counted() -> None:
    """One pair of two services, asked twenty times at most; without two faults at once there is none."""
    found = plan(load={"requests": 100})
    assert limited(found, max_requests=427, max_active_faults=1) == {}
    assert limited(found, max_requests=447, max_active_faults=2) == {}
    assert list(limited(found, max_requests=446, max_active_faults=2)) == ["load.requests"]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_example_needs_more_than_the_default(path: Path) -> None:
    found, _ = check_plan(yaml.safe_load(path.read_text()))
    if found is not None:
        assert limited(found) == {}


def test_a_thousand_services_are_within_the_default() -> None:
    assert limited(plan(1_000)) == {}


def test_limits_are_part_of_what_a_permit_asks() -> None:
    rails = Guardrails(hosts=["127.0.0.1:1-65535"], max_requests=10)
    assert [one.path for one in outside(plan(), rails)] == ["load.requests"]


def test_a_load_that_has_taken_all_its_time_gets_no_further_batch() -> None:
    rails = Guardrails(max_load_duration=timedelta(minutes=30))
    assert overrun(plan(), rails, timedelta(minutes=30)) == []
    (problem,) = overrun(plan(), rails, timedelta(minutes=30, seconds=1))
    assert (problem.path, "HOLDFAST_MAX_LOAD_DURATION" in problem.hint) == ("load", True)

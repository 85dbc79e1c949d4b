"""Limits on the load that a worker sends for a plan."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.guardrails.check import outside
from domain.guardrails.load_limits import _counted_load, _most_load, in_flight, load_problems, overrun
from domain.guardrails.model import Guardrails
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from domain.preview.build import preview
from domain.timing import Timing
from tests.support.paths import ROOT
from tests.support.plans.builders import good

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
    return {
        problem.path: f"{problem.message} | {problem.hint}" for problem in load_problems(found, Guardrails(**limits))
    }


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
def test_an_exceeded_limit_is_reported_with_its_field_and_setting(
    load: Any, limits: dict[str, Any], path: str, words: str
) -> None:
    found = limited(plan(load=load), **limits)
    assert list(found) == [path]
    assert words in found[path]
    ((name, value),) = limits.items()
    assert f"HOLDFAST_{name.upper()}" in found[path]
    # A slightly higher limit is enough.
    more = timedelta(seconds=1) if name.endswith("duration") else 100
    assert limited(plan(load=load), **{name: value + more}) == {}


def test_the_rate_limit_applies_to_repeated_stop_checks() -> None:
    stop = {"request": {"error_rate": "50%", "every": "1ms"}, "health": {"url": "http://127.0.0.1:1", "every": "2ms"}}
    found = limited(plan(stop=stop), max_rate=400.0)
    assert list(found) == ["stop.request.every", "stop.health.every"]
    assert "1000/s is more than the 400/s" in found["stop.request.every"]


def test_in_flight_is_rate_times_timeout_up_to_the_engines_maximum() -> None:
    assert in_flight(plan(load={"concurrency": 3})) == 3
    assert in_flight(plan(load={"rate": "1/m"})) == 1
    assert in_flight(plan(load={"rate": "10000/s"})) == 1_000
    assert in_flight(plan(load={"rate": "10000/s", "batches_at_once": 2})) == 2_000


@pytest.mark.parametrize("slo", [{"error_rate": "1%"}, COMPARES])
@pytest.mark.parametrize("services", [2, 5, 7, 20, 40])
def test_the_quick_bound_is_never_below_the_exact_count(services: int, slo: Any) -> None:
    """The exact count equals the number in the preview."""
    found = plan(services, slo=slo, load={"requests": 30}, exclude=["s0"])
    sent = preview(found, Timing()).requests
    assert _counted_load(found) == sent.load + sent.control + sent.warm_up
    assert _most_load(found) >= _counted_load(found)
    everything = plan(services, slo=slo, load={"requests": 30})
    assert _most_load(everything) >= _counted_load(everything)


def test_excluded_cases_do_not_count_towards_the_limit() -> None:
    found = plan(10, load={"requests": 100}, exclude=["*+*"])
    assert limited(found, max_requests=1_100 + 59) == {}
    assert list(limited(found, max_requests=1_100 + 58)) == ["load.requests"]


def test_requests_to_really_broken_pairs_count_towards_the_limit() -> None:
    """Two services have one pair, which gets at most twenty requests.

    If two faults at once are not allowed, it gets none.
    """
    found = plan(load={"requests": 100})
    assert limited(found, max_requests=427, max_active_faults=1) == {}
    assert limited(found, max_requests=447, max_active_faults=2) == {}
    assert list(limited(found, max_requests=446, max_active_faults=2)) == ["load.requests"]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_plans_stay_within_the_default_limits(path: Path) -> None:
    found, _ = check_plan(yaml.safe_load(path.read_text()))
    if found is not None:
        assert limited(found) == {}


def test_a_plan_of_a_thousand_services_stays_within_the_default_limits() -> None:
    assert limited(plan(1_000)) == {}


def test_a_permit_checks_the_load_limits() -> None:
    rails = Guardrails(hosts=["127.0.0.1:1-65535"], max_requests=10)
    assert [problem.path for problem in outside(plan(), rails)] == ["load.requests"]


def test_a_load_test_that_has_used_up_its_time_gets_no_further_batch() -> None:
    rails = Guardrails(max_load_duration=timedelta(minutes=30))
    assert overrun(plan(), rails, timedelta(minutes=30)) == []
    (problem,) = overrun(plan(), rails, timedelta(minutes=30, seconds=1))
    assert (problem.path, "HOLDFAST_MAX_LOAD_DURATION" in problem.hint) == ("load", True)

"""Conditions that end a run early, judged by its measurements."""

from __future__ import annotations

import pytest

from domain.measuring.percentiles import measure
from domain.measuring.stop_conditions import FailingHealth, FailingRequests, baseline_reason
from domain.plans.stop import BaselineStop, HealthStop, RequestStop, Stop
from domain.plans.validation.validate import check_plan
from domain.traffic.exchange import RequestSample
from tests.support.plans.builders import good


def answers(watch: FailingRequests | FailingHealth, text: str) -> list[bool]:
    """Return for each answer whether the run had to end. An x is a bad answer."""
    return [bool(watch.answered("status 500" if letter == "x" else "")) for letter in text]


@pytest.mark.parametrize(
    ("share", "over", "text", "trips_at"),
    [
        ("0%", 10, "...x", 4),  # none may fail: the first one decides
        ("10%", 10, "x...x", 5),  # the second failure of ten requests
        ("50%", 4, "x.x.x.", None),  # never more than two of four
        ("50%", 4, "xx.x", 4),
        ("50%", 4, "xx...xx..xxx", 12),  # failures before the last four do not count
        ("100%", 3, "xxxxx", None),  # all may fail
        (None, 3, "xxxxx", None),
    ],
)
def test_the_request_condition_trips_when_too_many_requests_fail(
    share: str | None, over: int, text: str, trips_at: int | None
) -> None:
    """Only the last `over` requests count. It trips as soon as the remaining ones cannot change the outcome."""
    trips = answers(FailingRequests(RequestStop.model_validate({"error_rate": share, "over": over})), text)
    assert (trips.index(True) + 1 if True in trips else None) == trips_at


def test_the_reason_contains_the_measured_values() -> None:
    """How many of how many failed, the last failure, and what is allowed."""
    watch = FailingRequests(RequestStop.model_validate({"error_rate": "10%"}))
    assert watch.answered("timeout") == ""
    reason = watch.answered("status 503")
    assert reason == (
        "stop.request.error_rate: 2 of the last 2 requests failed, the last one with status 503; the limit is 10% of 10"
    )


def test_the_health_condition_trips_after_consecutive_failures() -> None:
    """A good answer resets the count."""
    assert answers(FailingHealth(HealthStop(failures=3)), "xx.xxx") == [False] * 5 + [True]


def test_a_bad_baseline_is_reported_with_its_values() -> None:
    """Reports every limit that it exceeds, and nothing where no limit is set."""
    samples = [RequestSample(latency_us=200_000, status=200), RequestSample(latency_us=1_000, status=500)]
    measured = measure(samples, duration_us=1, last_status=200, last_body="")
    limits = BaselineStop.model_validate({"error_rate": "10%", "p95": "100ms"})
    assert baseline_reason(measured, limits) == "stop.baseline: error rate 50% > 10%; p95 200.0ms > 100ms (n = 1)"
    assert baseline_reason(measured, BaselineStop()) == ""


def test_only_configured_conditions_are_watched() -> None:
    """Otherwise nothing is sent either."""
    assert not Stop().watches
    assert not Stop.model_validate({"deadline": "1h", "baseline": {"error_rate": "1%"}}).watches
    assert Stop.model_validate({"request": {"error_rate": "0%"}}).watches
    assert Stop(health=HealthStop(url="http://127.0.0.1/health")).watches


def test_the_health_url_must_be_allowed_like_every_address() -> None:
    """A plan reaches no host that is not in its list of allowed hosts."""
    plan, problems = check_plan(good() | {"stop": {"health": {"url": "http://elsewhere.example/health"}}})
    assert plan is None
    assert [problem.path for problem in problems] == ["stop.health.url"]
    assert "safety.allowed_hosts" in problems[0].message

"""Which runs can be held against each other: every difference is told, and none that does not matter."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from domain.measuring.comparability import differences, other_address, other_limits
from domain.plans.plan import Plan
from tests.support.cli.terminal import plan_document

Edit = Callable[[dict[str, Any]], object]


def changed(edit: Edit) -> tuple[Plan, Plan]:
    document = plan_document("shop")
    document["system"]["environment"] = "lab"
    document["services"] = [one for one in document["services"] if isinstance(one["fault"], str)]
    document["request"] |= {"query": {"a": "1", "b": "2"}, "headers": {"x-tenant": "secret-one"}}
    other = copy.deepcopy(document)
    edit(other)
    return Plan.model_validate(document), Plan.model_validate(other)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda one: one["system"].update(environment="other"), "different environments: lab, then other"),
        (lambda one: one["system"].update(namespace="books"), "different namespaces: shop, then books"),
        (lambda one: one["request"].update(url="http://127.0.0.1:18080/api/cart"), "different requests: request.url"),
        (lambda one: one["request"].update(timeout="6s"), "different requests: request.timeout"),
        (lambda one: one["request"]["headers"].update({"x-tenant": "b"}), "different requests: request.headers.x-ten"),
        (lambda one: one["request"].update(query={"b": "2", "a": "1"}), "different requests: the order of its fields"),
        (lambda one: one["load"].update(requests=13), "different loads: load.requests 12, then 13"),
        (lambda one: one["load"].update(concurrency=5), "different loads: load.concurrency 4, then 5"),
        (lambda one: one["load"].update(warm_up=5), "different loads: warm-up of 0 requests, then 5"),
        (lambda one: one["slo"].update(regression={}), "cases measured alone, then beside the baseline"),
        (lambda one: one["services"].pop(), "different services: shipping only in one of them"),
        (lambda one: one["services"][0].update(fault="error"), "recommendations.fault remove, then error"),
        (lambda one: one["services"][0].update(substitute_status=504), "substitute_status 503, then 504"),
    ],
)
def test_what_differs_is_told_with_its_place(edit: Edit, told: str) -> None:
    """From either side."""
    one, other = changed(edit)
    assert told in "; ".join(differences(one, other))
    assert differences(other, one)
    assert differences(one, one) == []


def test_every_difference_is_told_and_no_value_of_a_request() -> None:
    """Which may be a secret."""

    def edit(document: dict[str, Any]) -> None:
        document["request"]["headers"]["x-tenant"] = "secret-two"
        document["load"]["requests"] = 99
        document["system"]["namespace"] = "books"

    told = differences(*changed(edit))
    assert len(told) == 3
    assert "secret" not in "; ".join(told)


@pytest.mark.parametrize(
    "edit",
    [
        lambda one: one.update(name="other", description="of another name"),
        lambda one: one.update(timeouts={"analyze": "1m"}),
        lambda one: one.update(safety={"fault_ttl": "7m"}),
        lambda one: one.update(exclude=["reviews"]),
        lambda one: one["slo"].update(p95="1s"),
        lambda one: one.update(services=one["services"][::-1]),
        lambda one: one["services"][0].update(calls=[]),
    ],
)
def test_what_does_not_touch_what_is_measured_may_differ(edit: Edit) -> None:
    """Names, limits, time limits of stages, the order in which services are written."""
    assert differences(*changed(edit)) == []


def test_limits_that_differ_are_known() -> None:
    """A verdict says nothing then of what changed."""
    assert other_limits(*changed(lambda one: one["slo"].update(p95="1s")))
    assert not other_limits(*changed(lambda one: one.update(name="other")))


def test_a_named_environment_may_move() -> None:
    """The name says which system it is; without one, the address does."""

    def move(document: dict[str, Any]) -> None:
        document["request"]["url"] = "http://127.0.0.1:28080/api/home"

    one, other = changed(move)
    assert differences(one, other) == []
    assert other_address(one, other)
    unnamed = [
        plan.model_copy(update={"system": plan.system.model_copy(update={"environment": None})})
        for plan in (one, other)
    ]
    assert differences(*unnamed) == ["different requests: request.url"]

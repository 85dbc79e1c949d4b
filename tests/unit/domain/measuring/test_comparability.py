"""Runs are comparable unless a difference affects the measurement; every such difference is reported."""

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
    document["services"] = [service for service in document["services"] if isinstance(service["fault"], str)]
    document["request"] |= {"query": {"a": "1", "b": "2"}, "headers": {"x-tenant": "secret-one"}}
    edited = copy.deepcopy(document)
    edit(edited)
    return Plan.model_validate(document), Plan.model_validate(edited)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            lambda document: document["system"].update(environment="other"),
            "different environments: lab, then other",
        ),
        (lambda document: document["system"].update(namespace="books"), "different namespaces: shop, then books"),
        (
            lambda document: document["request"].update(url="http://127.0.0.1:18080/api/cart"),
            "different requests: request.url",
        ),
        (lambda document: document["request"].update(timeout="6s"), "different requests: request.timeout"),
        (
            lambda document: document["request"]["headers"].update({"x-tenant": "b"}),
            "different requests: request.headers.x-ten",
        ),
        (
            lambda document: document["request"].update(query={"b": "2", "a": "1"}),
            "different requests: the order of its fields",
        ),
        (lambda document: document["load"].update(requests=13), "different loads: load.requests 12, then 13"),
        (lambda document: document["load"].update(concurrency=5), "different loads: load.concurrency 4, then 5"),
        (lambda document: document["load"].update(warm_up=5), "different loads: warm-up of 0 requests, then 5"),
        (lambda document: document["slo"].update(regression={}), "cases measured alone, then beside the baseline"),
        (lambda document: document["services"].pop(), "different services: shipping only in one of them"),
        (
            lambda document: document["services"][0].update(fault="error"),
            "recommendations.fault remove, then error",
        ),
        (lambda document: document["services"][0].update(substitute_status=504), "substitute_status 503, then 504"),
    ],
)
def test_a_difference_is_reported_with_its_place_in_both_directions(edit: Edit, told: str) -> None:
    first, second = changed(edit)
    assert told in "; ".join(differences(first, second))
    assert differences(second, first)
    assert differences(first, first) == []


def test_every_difference_is_reported_without_values_of_the_request() -> None:
    """A value of the request may be a secret."""

    def edit(document: dict[str, Any]) -> None:
        document["request"]["headers"]["x-tenant"] = "secret-two"
        document["load"]["requests"] = 99
        document["system"]["namespace"] = "books"

    found = differences(*changed(edit))
    assert len(found) == 3
    assert "secret" not in "; ".join(found)


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document.update(name="other", description="of another name"),
        lambda document: document.update(timeouts={"analyze": "1m"}),
        lambda document: document.update(safety={"fault_ttl": "7m"}),
        lambda document: document.update(exclude=["reviews"]),
        lambda document: document["slo"].update(p95="1s"),
        lambda document: document.update(services=document["services"][::-1]),
        lambda document: document["services"][0].update(calls=[]),
    ],
)
def test_changes_that_do_not_affect_the_measurement_are_no_difference(edit: Edit) -> None:
    """Names, limits, timeouts of stages, and the order of services."""
    assert differences(*changed(edit)) == []


def test_different_limits_are_detected() -> None:
    """A changed verdict then proves no change of the system."""
    assert other_limits(*changed(lambda document: document["slo"].update(p95="1s")))
    assert not other_limits(*changed(lambda document: document.update(name="other")))


def test_a_named_environment_may_change_its_address() -> None:
    """The name identifies the system. Without a name, the address does."""

    def move(document: dict[str, Any]) -> None:
        document["request"]["url"] = "http://127.0.0.1:28080/api/home"

    first, second = changed(move)
    assert differences(first, second) == []
    assert other_address(first, second)
    unnamed = [
        plan.model_copy(update={"system": plan.system.model_copy(update={"environment": None})})
        for plan in (first, second)
    ]
    assert differences(*unnamed) == ["different requests: request.url"]

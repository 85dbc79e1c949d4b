"""Hints fit the place of a mistake: they recognise what people often write there and show what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from domain.plans.validation.hints import LIST, wrong_type_hint
from tests.support.plans.builders import good, problems

REVIEWS = ("services", 0)
WRONG: list[tuple[tuple[str | int, ...], Any, str, str]] = [
    (("services",), {"reviews": "remove"}, "services", "- {name: cart, fault: remove}"),
    ((*REVIEWS,), "reviews", "services[0]", "write {name: cart, fault: remove}"),
    (("slo",), "1%", "slo", "write {error_rate: 1%, p95: 500ms}"),
    (("slo",), {"latency": "1s"}, "slo.latency", "valid here: p50"),
    (("slo",), {"relative_to_baseline": {"p59": "150%"}}, "slo.relative_to_baseline.p59", "did you mean 'p9"),
    (("slo", "error_rate"), 0.01, "slo.error_rate", "write '0.01%', or '1%' for 0.01 of all"),
    (("slo", "error_rate"), "2", "slo.error_rate", "| write '2%'"),
    (("load",), 20, "load", "write {requests: 20, concurrency: 4}"),
    (("request",), "http://127.0.0.1/", "request", "write {url: http://127.0.0.1:8080/api}"),
    (("request", "headers"), ["a: b"], "request.headers", "write {accept: application/json}"),
    (("request", "body"), {}, "request.body", "the name here is json, form or raw"),
    (("request", "params"), {}, "request.params", "the name here is query"),
    (("system", "services", "reviews"), 8080, "system.services.reviews", "write the whole address"),
    (("system", "stability"), "kubernetes", "system.stability", "{kind: kubernetes}"),
    (("safety", "allowed_hosts"), "127.0.0.1", "safety.allowed_hosts", '| write ["127.0.0.1"]'),
    (("redact",), "password", "redact", '| write ["password"]'),
    (("exclude",), ["shipping,reviews"], "exclude[0]", "a pair is written cart+payment"),
    (("exclude",), ["shipping & reviews"], "exclude[0]", "a pair is written cart+payment"),
    (("exclude",), [["shipping", "reviews"]], "exclude[0]", "write cart+payment, or {case:"),
    (("steady_state",), False, "steady_state", "write {check: false}"),
    (("steady_state",), {"status": 200}, "steady_state.status", "list each one, for example [200, 204]"),
    (("holdfast",), "1", "holdfast", "write 1, without quotes"),
    (("name",), "My Shop!", "name", "for example my-shop"),
    (("name",), None, "name", "give it a value: it names the runs of this plan"),
    (("description",), None, "description", "give it a value, or leave the field out"),
    ((*REVIEWS, "fault"), "kill", "services[0].fault", "the name here is remove: write remove"),
    ((*REVIEWS, "fault"), {"latency": "3s"}, "services[0].fault", "the name here is delay: write {delay: 3s}"),
    ((*REVIEWS, "fault"), {"type": "remove"}, "services[0].fault.experiment", "write fault: remove"),
    ((*REVIEWS, "fault"), {"remove": "reviews"}, "services[0].fault.remove", "write fault: remove, or {remove:"),
    (("timeouts",), {"waitAnalyzeTimeout": 60}, "timeouts.waitAnalyzeTimeout", "did you mean 'waitAnalyzeTimeoutSec'?"),
]


@pytest.mark.parametrize(("place", "value", "path", "hint"), WRONG, ids=lambda value: str(value)[:40])
def test_a_hint_fits_the_field_of_the_mistake(place: tuple[str | int, ...], value: Any, path: str, hint: str) -> None:
    """Exactly one problem, at its path, with an example of what to write there."""
    document: Any = good()
    inner = document
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    found = problems(document)
    assert list(found) == [path]
    assert hint in found[path]


def test_hints_never_contain_a_value_that_may_be_secret() -> None:
    """Not even to show how to write it."""
    document = good()
    document["request"]["headers"] = "Authorization: hunter2"
    document["request"]["query"] = "token=hunter2"
    assert "hunter2" not in str(problems(document))
    assert wrong_type_hint("request.query.token", "hunter2", LIST) == LIST

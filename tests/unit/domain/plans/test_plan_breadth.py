"""Less common parts of a plan: bodies, lists, exclusions, steady state and the original orchestrator's field names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.cases import case_at, case_count
from domain.plans.exclusions import PlanExclusions, needless
from domain.plans.plan import Plan
from domain.plans.system import HttpStability, KubernetesStability
from domain.plans.validation.validate import check_plan
from tests.support.plans.builders import good, problems


def valid(**parts: Any) -> Plan:
    plan, found = check_plan(good() | parts)
    assert plan is not None, found
    return plan


def request(**parts: Any) -> dict[str, Any]:
    return {"request": good()["request"] | parts}


def comparing(regression: dict[str, Any] | None = None, load: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"slo": {"regression": regression or {}}, "load": {"requests": 400} if load is None else load}


def overriding(*overrides: dict[str, Any]) -> dict[str, Any]:
    return {"slo": good()["slo"] | {"overrides": list(overrides)}}


@pytest.mark.parametrize(
    ("parts", "path", "words"),
    [
        (request(form={"a": "1"}, json={}), "request.form", "already has json"),
        (request(raw="x", form={"a": "1"}), "request.raw", "already has form"),
        (request(method="HEAD", raw="x"), "request.raw", "HEAD has no body"),
        (request(form={"a": 1.5}), "request.form.a", "in quotes"),
        (request(form={"a": None}), "request.form.a", "not nothing"),
        (request(form={"a": []}), "request.form.a", "empty list"),
        (request(query={"a": {"b": 1}}), "request.query.a", "not a mapping"),
        (request(headers={"a": ["x"]}), "request.headers.a", "not a list"),
        (
            request(form={"a": "1"}, headers={"Content-Type": "application/json"}),
            "request.headers.content-type",
            "form",
        ),
        (request(raw="${env:}"), "request.raw", "reference"),
        (request(form={"${env:USER}": "x"}), "request.form.'${env:USER}'", "is the name of a field"),
        (request(json={"a": [{"b${env:USER}": 1}]}), "request.json.a[0].'b${env:USER}'", "is the name of a field"),
        (request(url="http://127.0.0.1:18080/über"), "request.url", "percent-encode"),
        (request(url="http://127.0.0.1:18080/a?q=ü"), "request.url", "percent-encode"),
        (request(headers={"x-a": "a\x01b"}), "request.headers.x-a", "control character"),
        (request(timeout="1s") | {"slo": {"p95": "2s"}}, "slo.p95", "can never be missed"),
        ({"slo": {"relative_to_baseline": {"p95": "80%"}}}, "slo.relative_to_baseline.p95", "would fail"),
        ({"steady_state": {"within": "20s"}}, "steady_state.within", "longer than request.timeout"),
        ({"steady_state": {"error_rate": "100%"}}, "steady_state.error_rate", "proves nothing"),
        ({"steady_state": {"status": []}}, "steady_state.status", "empty"),
        ({"steady_state": {"status": [99]}}, "steady_state.status[0]", "at least 100"),
        ({"steady_state": {"statuses": [200]}}, "steady_state.statuses", "did you mean 'status'"),
        (request(method="HEAD") | {"steady_state": {"body_contains": "x"}}, "steady_state.body_contains", "no body"),
        (request(timeout="11m"), "request.timeout", "whole analysis"),
        ({"timeouts": {"replay": "3s"}}, "services[1].fault.delay", "outlasts timeouts.replay"),
        ({"timeouts": {"waitAnalyzeTimeoutSec": "30s"}}, "timeouts.waitAnalyzeTimeoutSec", "analyze with its unit"),
        ({"timeouts": {"waitInterceptorReadySec": 0}}, "timeouts.waitInterceptorReadySec", "must be 1"),
        (
            {"timeouts": {"ttlSecForInterceptors": 9, "rules_ttl": "9s"}},
            "timeouts.ttlSecForInterceptors",
            "given as well",
        ),
        ({"load": {"requestNum": "many"}}, "load.requestNum", "a whole number"),
        ({"waitAnalyzeTimeoutSec": 30}, "waitAnalyzeTimeoutSec", "belongs under timeouts"),
        ({"exclude": ["reviews+shiping"]}, "exclude[0]", "did you mean 'shipping'"),
        ({"exclude": [{"case": "reviews+shiping"}]}, "exclude[0].case", "did you mean 'shipping'"),
        ({"exclude": ["baseline"]}, "exclude[0]", "always measured"),
        ({"exclude": ["a+b+c"]}, "exclude[0]", "is not a case"),
        ({"exclude": ["*"]}, "exclude[0]", "*+*"),
        ({"exclude": ["reviews+reviews"]}, "exclude[0]", "two different"),
        ({"exclude": ["reviews", "shipping+reviews", "reviews+shipping"]}, "exclude[2]", "already excluded"),
        ({"exclude": ["reviews", "shipping+reviews"]}, "services[0]", "broken for nothing"),
        ({"exclude": ["shipping", "*+*"]}, "services[1]", "broken for nothing"),
        ({"exclude": ["shipping", "reviews+*"]}, "services[1]", "broken for nothing"),
        ({"exclude": [3]}, "exclude[0]", "must be a mapping"),
        ({"load": {"requests": 9, "max_requests": 9}}, "load.max_requests", "leave out one of the two"),
        ({"load": {"requestNum": 9, "max_requests": 9}}, "load.max_requests", "leave out one of the two"),
        ({"load": {"max_requests": 900}}, "load.max_requests", "add slo.regression"),
        ({"load": {"rate": "9/s", "concurrency": 2}}, "load.rate", "leave out one of the two"),
        ({"load": {"rate": 9}}, "load.rate", "'9/s' or '9/m'"),
        ({"load": {"arrivals": "constant"}}, "load.arrivals", "needs a rate"),
        ({"load": {"rate": "9/s", "arrivals": "poison"}}, "load.arrivals", "did you mean 'poisson'"),
        ({"load": {"requests": 1_000_000, "rate": "0.02/m"}}, "load.requests", "10 years at this rate"),
        (comparing(load={"requests": 58}), "load.requests", "at least 59 for p95"),
        (comparing(load={}), "load.requests", "1 requests are too few for p95"),
        (comparing({"percentile": "p99"}, load={"max_requests": 298}), "load.max_requests", "at least 299"),
        (comparing({"percentile": "p90"}), "slo.regression.percentile", "did you mean 'p99'"),
        (comparing({"confidence": "50%"}), "slo.regression.confidence", "above 50% and below 100%, not 50%"),
        (comparing({"confidence": "100%"}), "slo.regression.confidence", "leave it out for 95%"),
        (comparing({"false_alarms": "0%"}), "slo.regression.false_alarms", "above 0% and below 50%"),
        (comparing({"misses": "50%"}), "slo.regression.misses", "above 0% and below 50%"),
        (comparing({"margins": "5%"}), "slo.regression.margins", "did you mean 'margin'"),
        (overriding({"p95": "1s"}), "slo.overrides[0].for", "names the cases"),
        (overriding({"for": "shiping", "p95": "1s"}), "slo.overrides[0].for", "did you mean 'shipping'"),
        (overriding({"for": "baseline", "p95": "1s"}), "slo.overrides[0].for", "always measured"),
        (overriding({"for": "shipping"}), "slo.overrides[0]", "has no effect"),
        (overriding({"for": "shipping", "p95": "11s"}), "slo.overrides[0].p95", "can never be missed"),
        (overriding({"for": "shipping", "budget": "11s"}), "slo.overrides[0].budget", "can never be missed"),
        (
            overriding({"for": "shipping", "budget": "2s", "p50": "1s"}),
            "slo.overrides[0].p50",
            "no effect beside a budget",
        ),
        (
            overriding({"for": "*+*", "p95": "1s"}, {"for": "*+*", "p95": "2s"}),
            "slo.overrides[1].for",
            "already named",
        ),
    ],
)
def test_a_mistake_is_reported_at_its_path(parts: dict[str, Any], path: str, words: str) -> None:
    """With advice on how to fix it, and together with all other mistakes."""
    found = problems(good() | parts)
    assert words in found[path], found


@pytest.mark.parametrize(
    ("stability", "path", "words"),
    [
        ({"kind": "kubernets"}, "system.stability.kind", "did you mean 'kubernetes'"),
        ({"kind": "http", "path": "x"}, "system.stability.path", "begins with /"),
        ({"kind": "kubernetes", "path": "/x"}, "system.stability.path", "unknown field"),
        ({"kind": "http", "hold": "2m"}, "system.stability.hold", "unknown field"),
        ({"kind": "kubernetes", "hold": 3}, "system.stability.hold", "needs a unit"),
        ({"kind": "kubernetes", "hold": "2m"}, "system.stability.hold", "2m does not fit into timeouts.stability, 2m"),
        ({"kind": "kubernetes", "workloads": {"shiping": "a"}}, "system.stability.workloads.shiping", "'shipping'"),
        ("http", "system.stability", "mapping"),
    ],
)
def test_mistakes_in_stability_are_reported_for_the_intended_kind_only(stability: Any, path: str, words: str) -> None:
    document = good()
    document["system"]["stability"] = stability
    found = problems(document)
    assert list(found) == [path]
    assert words in found[path]


def test_stability_defaults_to_http_readiness() -> None:
    document = good()
    document["system"]["stability"] = {"path": "/ready"}
    assert valid(system=document["system"]).system.stability == HttpStability(path="/ready")
    document["system"]["stability"] = {"kind": "kubernetes", "workloads": {"reviews": "reviews-v2"}}
    stability = valid(system=document["system"]).system.stability
    assert stability == KubernetesStability(kind="kubernetes", workloads={"reviews": "reviews-v2"})


def test_the_original_orchestrators_field_names_are_translated() -> None:
    """The original counts whole seconds, our fields have a unit. Plans are stored with our names only."""
    plan = valid(
        timeouts={"waitAnalyzeTimeoutSec": 61, "waitInterceptorReadySec": 7, "ttlSecForInterceptors": 700},
        load={"requestNum": 5},
    )
    assert (plan.timeouts.analyze, plan.timeouts.rules_ready) == (timedelta(seconds=61), timedelta(seconds=7))
    assert (plan.timeouts.rules_ttl, plan.load.requests) == (timedelta(seconds=700), 5)
    assert plan == valid(timeouts={"analyze": "61s", "rules_ready": "7s", "rules_ttl": "700s"}, load={"requests": 5})


def test_numbers_and_lists_become_the_text_that_is_sent() -> None:
    """A person who writes `limit: 3` means this text."""
    plan = valid(**request(query={"limit": 3, "tag": ["a", 2, True]}, headers={"x-version": 2}))
    assert plan.request.query == {"limit": "3", "tag": ["a", "2", "true"]}
    assert plan.request.headers == {"x-version": "2"}


@pytest.mark.parametrize(
    ("excluded", "cases"),
    [
        (["cart"], {"cart"}),
        (["pay+cart"], {"cart+pay"}),
        ([{"case": "cart+*"}], {"cart+mail", "cart+pay"}),
        (["*+mail"], {"cart+mail", "mail+pay"}),
        (["*+*"], {"cart+mail", "cart+pay", "mail+pay"}),
        ([], set()),
    ],
)
def test_exclusions_select_their_cases_in_either_order_of_a_pair(excluded: list[Any], cases: set[str]) -> None:
    names = ["cart", "mail", "pay"]
    document = good()
    document["system"]["services"] = dict.fromkeys(names, "http://127.0.0.1:1")
    plan = valid(
        system=document["system"], services=[{"name": name, "fault": "remove"} for name in names], exclude=excluded
    )
    found = PlanExclusions(plan)
    assert bool(found) is bool(excluded)
    every = [case_at(names, index) for index in range(case_count(3))]
    assert {case.case_id for case in every if found.reason(case) is not None} == cases


def test_an_excluded_case_has_the_reason_given_in_the_plan() -> None:
    plan = valid(exclude=[{"case": "reviews+shipping", "reason": "one database"}])
    assert PlanExclusions(plan).reason(case_at(["reviews", "shipping"], 3)) == "excluded by the plan: one database"


NAMES = ["cart", "mail", "pay"]
FORMS = [*NAMES, "*+*", *(f"{name}+*" for name in NAMES), "cart+mail", "pay+cart", "mail+pay"]


@given(st.lists(st.sampled_from(FORMS), unique=True))
def test_a_service_without_any_case_left_is_reported(excluded: list[str]) -> None:
    """A case can be left out by name, by the pairs of its service, or by those of all partners."""
    document = good() | {"services": [{"name": name, "fault": "remove"} for name in NAMES], "exclude": excluded}
    document["system"]["services"] = dict.fromkeys(NAMES, "http://127.0.0.1:1")
    found = PlanExclusions(Plan.model_validate(document))
    measured = [case for case in (case_at(NAMES, index) for index in range(case_count(3))) if not found.reason(case)]
    nothing_left = {
        f"services[{position}]"
        for position, name in enumerate(NAMES)
        if not any(name in case.services for case in measured)
    }
    assert set(problems(document)) == nothing_left


@pytest.mark.parametrize(
    ("excluded", "unusable", "found"),
    [
        (["cart"], set(), set()),
        (["cart"], {"mail"}, set()),
        (["cart"], {"mail", "pay"}, {"cart"}),
        (["cart", "cart+pay"], {"mail"}, {"cart"}),
        (["cart", "mail+*"], {"pay"}, {"cart"}),
        (["cart", "mail", "cart+pay", "mail+pay"], {"pay"}, set()),
        (["pay"], {"pay", "mail"}, set()),
        (["*+*"], {"cart", "pay"}, set()),
        ([], {"mail", "pay"}, set()),
    ],
)
def test_a_service_is_needless_if_no_case_of_it_can_be_measured(
    excluded: list[str], unusable: set[str], found: set[str]
) -> None:
    """The plan excludes the rest of its cases, so its fault would serve nothing."""
    document = good() | {"services": [{"name": name, "fault": "remove"} for name in NAMES], "exclude": excluded}
    assert set(needless(Plan.model_validate(document), unusable)) == found

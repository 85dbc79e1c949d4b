"""Validation finds every mistake and reports its path and what to do."""

from typing import Any

import pytest

from clients.plans.files import read_plan_file
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from tests.support.paths import EXAMPLES
from tests.support.plans.builders import FAULT, FULL, MISSING, SECRET, changed, experiment, good, problems

WRONG: list[tuple[tuple[str | int, ...], Any, str, str]] = [
    # Shape: missing, unknown, of the wrong kind.
    (("name",), MISSING, "name", "missing | names the runs"),
    (("system",), MISSING, "system", "missing | gives the addresses"),
    (("system", "proxy"), MISSING, "system.proxy", "missing | is the address of the traffic proxy"),
    (("request", "url"), MISSING, "request.url", "missing | is the absolute address"),
    (("services", 1, "name"), MISSING, "services[1].name", "missing | names the service in system.services"),
    (("slo",), MISSING, "slo", "missing | sets what a case must meet"),
    (("holdfast",), 2, "holdfast", "valid here: 1"),
    (("naem",), "x", "naem", "unknown field | did you mean 'name'?"),
    (("safety", "faultTtl"), "5m", "safety.faultTtl", "unknown field | did you mean 'fault_ttl'?"),
    (("safety", "colour"), "5m", "safety.colour", "valid here: fault_ttl, max_active_faults, allowed_namespaces"),
    (("[key]",), 1, "'[key]'", "unknown field"),
    (("request", "headers"), {"[key]": [3]}, "request.headers.'[key]'", "must be text"),
    (("fault_ttl",), "5m", "fault_ttl", "'fault_ttl' belongs under safety"),
    (("system", "stability"), {"kind": "http", "pth": "/x"}, "system.stability.pth", "did you mean 'path'?"),
    (("services", 0, "falt"), "remove", "services[0].falt", "did you mean 'fault'?"),
    (("request",), None, "request", "must be a mapping of fields, but has no value"),
    (("request", "json_"), {}, "request.json_", "did you mean 'json'?"),
    (("services",), {}, "services", "must be a list, not a mapping"),
    (("services",), [], "services", "must not be empty"),
    (("description",), 3, "description", "must be text, not a number (3) | put it in quotes"),
    (("load", "requests"), "12", "load.requests", "must be a whole number, not text ('12')"),
    (("load", "requests"), True, "load.requests", "must be a whole number, not true or false"),
    (("load", "requests"), 0, "load.requests", "must be at least 1, not 0"),
    (("load", "concurrency"), 9, "load.concurrency", "must be at most 8"),
    (("request", "repeatable"), "yes", "request.repeatable", "must be true or false, not text ('yes')"),
    (("services", 0, "substitute_status"), 200, "services[0].substitute_status", "at least 500"),
    # Quantities, names, addresses.
    (("slo", "p95"), 480, "slo.p95", "'480' needs a unit | write '480s' or '480ms'"),
    (("slo", "p95"), "480 mss", "slo.p95", "'480 mss' is not a duration"),
    (("slo", "error_rate"), 0.5, "slo.error_rate", "write '0.5%'"),
    (("slo", "error_rate"), "101%", "slo.error_rate", "at most 100%"),
    (("request", "timeout"), "0s", "request.timeout", "longer than 0"),
    (("timeouts", "analyze"), "9" * 12 + "h", "timeouts.analyze", "too long | at most 168h"),
    (("name",), "My Shop", "name", "'My Shop' is not valid here | lower-case letters"),
    (("name",), "x" * 64, "name", "at most 63 characters"),
    (("system", "services", "Bad_"), "http://127.0.0.1", "system.services.Bad_", "'Bad_' is not valid here"),
    (("system", "stability"), {"path": "health"}, "system.stability.path", "a path begins with /"),
    (("system", "stability"), {"kind": "k8s"}, "system.stability.kind", "valid here: http"),
    (("system", "proxy"), "127.0.0.1:18105", "system.proxy", "absolute http:// or https://"),
    (("system", "proxy"), "http://127.0.0.1:99999", "system.proxy", "host or port cannot be read"),
    (("system", "proxy"), "http://127.0.0.1/?a=1", "system.proxy", "must not have a query"),
    (("request", "url"), "http://u:p@127.0.0.1/", "request.url", "must not carry a user name or password"),
    (("request", "url"), "http://127.0.0.1\\@evil.example/", "request.url", "backslashes"),
    (("request", "url"), "http://127.0.0.1/a b", "request.url", "percent-encode"),
    (("request", "url"), "http://${env:HOST}/", "request.url", "must name its host in full"),
    (("request", "method"), "get", "request.method", "did you mean 'GET'?"),
    # Faults: one problem, whatever the form.
    (FAULT, MISSING, "services[0].fault", "missing | write remove, error, {delay: 3s}"),
    (FAULT, "remve", "services[0].fault", "'remve' is not a fault | did you mean 'remove'?"),
    (FAULT, "explode", "services[0].fault", "'explode' is not a fault | write remove"),
    (FAULT, None, "services[0].fault", "nothing is not a fault | write remove"),
    (FAULT, ["remove"], "services[0].fault", "a list is not a fault"),
    (FAULT, {"dely": "3s"}, "services[0].fault", "did you mean 'delay'?"),
    (FAULT, {"delay": "3"}, "services[0].fault.delay", "'3' needs a unit"),
    (FAULT, {"delay": "0ms"}, "services[0].fault.delay", "longer than 0"),
    (FAULT, {"delay": "3s", "remove": {}}, "services[0].fault.remove", "a fault has one form"),
    (FAULT, {"remove": {}}, "services[0].fault.remove.containers", "missing | names the containers"),
    (FAULT, {"remove": None}, "services[0].fault", "either remove or error"),
    (FAULT, {"error": {"containers": ["a b"]}}, "services[0].fault.error.containers[0]", "'a b' is not valid here"),
    (FAULT, {"type": "cpu"}, "services[0].fault.experiment", "missing | is the ChaosBlade experiment"),
    (FAULT, FULL | {"type": "CPU"}, "services[0].fault.type", "lower-case letters"),
    (FAULT, experiment(action="a b"), "services[0].fault.experiment.action", "beginning with a letter"),
    (FAULT, experiment(flags={}), "services[0].fault.experiment.flags", "valid here: scope, target, action, matchers"),
    (FAULT, experiment(matchers={"time": "3"}), "services[0].fault.experiment.matchers.time", "must be a list"),
    (FAULT, experiment(matchers={"time": [3]}), "services[0].fault.experiment.matchers.time[0]", "put it in quotes"),
    (FAULT, experiment(matchers={"time": []}), "services[0].fault.experiment.matchers.time", "must not be empty"),
    (FAULT, experiment(matchers={"time": ['a"b']}), "services[0].fault.experiment.matchers.time[0]", "double quotes"),
    (FAULT, experiment(matchers={"time": ["a\nb"]}), "services[0].fault.experiment.matchers.time[0]", "line breaks"),
    (FAULT, experiment(scope="node"), "services[0].fault.experiment.scope", "valid here: pod, container"),
    (FAULT, experiment(scope="container"), "services[0].fault.experiment.matchers", "add container-names"),
    (
        FAULT,
        experiment(matchers={"namespace": ["kube-system"]}),
        "services[0].fault.experiment.matchers.namespace",
        "or write ['shop']",
    ),
    # Rules between fields.
    (("services", 1, "name"), "reviews", "services[1].name", "already in the plan | see services[0]"),
    (("services", 0, "name"), "review", "services[0].name", "not in system.services | did you mean 'reviews'?"),
    (("services", 0, "name"), "basket", "services[0].name", "add basket: http://... there"),
    (("system", "namespace"), "kube-system", "system.namespace", "never tested"),
    (("safety", "allowed_namespaces"), ["shop-test"], "system.namespace", "did you mean 'shop-test'?"),
    (("system", "faults"), "http://faults.example:1", "system.faults", "host 'faults.example' is not in safety.allow"),
    (("system", "services", "reviews"), "http://10.0.0.1", "system.services.reviews", "add the host there"),
    (("request", "url"), "https://shop.example/", "request.url", "by default a plan reaches this machine only"),
    (("safety", "allowed_hosts"), ["127.0.0.1", "http://x"], "safety.allowed_hosts[1]", "write the host alone"),
    (("safety", "allowed_hosts"), ["127.0.0.1", "*"], "safety.allowed_hosts[1]", "'*' is not a host"),
    (("request", "method"), "POST", "request.repeatable", "sent many times, for real"),
    (("slo",), {}, "slo", "no threshold"),
    (("slo",), {"relative_to_baseline": {}}, "slo", "no threshold"),
    (("safety", "fault_ttl"), "2m", "safety.fault_ttl", "at least 3m: timeouts.fault_running + timeouts.replay + 30s"),
    (("timeouts", "replay"), "10m", "safety.fault_ttl", "10m is shorter than the work"),
    # Secrets and headers.
    (("request", "headers", "Authorization"), f"Bearer {SECRET}", "request.headers.Authorization", "Bearer ${env:SHOP"),
    (("request", "headers", "cookie"), SECRET, "request.headers.cookie", "must not be in a plan"),
    (("request", "headers", "X-Api-Key"), SECRET, "request.headers.X-Api-Key", "must not be in a plan"),
    (("request", "headers", "X-Api-Key"), 12345, "request.headers.X-Api-Key", "must not be in a plan"),
    (("request", "headers", "x-a"), f"{SECRET}\r\nx: y", "request.headers.x-a", "must be one line"),
    (("request", "headers", "x a"), SECRET, "request.headers.'x a'", "is not a header's name"),
    (("request", "headers", "Accept"), "*/*", "request.headers.Accept", "given twice"),
    (("request", "headers", "baggage"), "a=b", "request.headers.baggage", "cannot be set by a plan"),
    (("request", "headers", "x-a"), "${env.TOKEN}", "request.headers.x-a", "did you mean ${env:TOKEN}?"),
    (("request", "headers", "x-a"), "${TOKEN}", "request.headers.x-a", "did you mean ${env:TOKEN}?"),
    (("request", "headers", "x-a"), "${env:9}", "request.headers.x-a", "a reference that is not ${env:NAME}"),
    (("request", "query"), {"k": "${env:}"}, "request.query.k", "a reference that is not ${env:NAME}"),
    (("request", "json"), {"a": [{"b": "${ENV:X}"}]}, "request.json.a[0].b", "did you mean ${env:X}?"),
    (("description",), "${env:TOKEN}", "description", "in the request only"),
    (("system", "environment"), "${env:TOKEN}", "system.environment", "is not valid here"),
    # Values that JSON lacks, and documents that are too large.
    (("request", "json"), {"a": float("nan")}, "request.json.a", "nan is not a valid number in JSON"),
    (("request", "json"), [float("inf")], "request.json[0]", "inf is not a valid number in JSON"),
    (("request", "json"), {"a": {1, 2}}, "request.json.a", "is a set, which JSON does not support"),
    (("request", "json"), {"a": 2**70}, "request.json.a", "more than 64 bits"),
    (("request", "json"), {1: "a"}, "request.json", "a field's name must be text"),
    (("request", "json"), {"\ud800": "a"}, "request.json", "a field's name holds half a character"),
    (("description",), "\ud800", "description", "half a character"),
    (("request", "json"), "x" * 300_000, "", "bytes of JSON; at most 262144"),
    (("request", "json"), [0] * 60_000, "", "more than 50000 values"),
]


@pytest.mark.parametrize(("place", "value", "path", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_reported_at_its_path(place: tuple[str | int, ...], value: Any, path: str, text: str) -> None:
    """Exactly one problem, at exactly this path, with this text and without any secret."""
    found = problems(changed(place, value))
    assert list(found) == [path]
    assert text in found[path]
    assert not found[path].endswith("| ")
    assert SECRET not in str(found)


def test_the_good_plan_is_valid() -> None:
    """The table of mistakes starts from it."""
    plan, found = check_plan(good())
    assert found == []
    assert isinstance(plan, Plan)
    assert plan.service_names == ["reviews", "shipping"]


GOOD: list[tuple[tuple[str | int, ...], Any]] = [
    (("load",), {"requests": 1, "concurrency": 8}),
    (("request", "json"), {"a": [1, 2.5, None, True, "${placeholder}"]}),
    (("request", "headers", "Authorization"), "Bearer ${env:SHOP_TOKEN}"),
    (("request", "url"), "http://127.0.0.1/api/${env:SHOP_USER}?q=%20#top"),
    (("request", "query"), {"token": "${env:A}-${env:B_2}"}),
    (("system", "environment"), "eu-west.1:prod"),
    (("system", "faults"), "http://[::1]:8103/"),
    (("safety", "allowed_hosts"), ["127.0.0.1", "Shop.Example"]),
    (("slo",), {"relative_to_baseline": {"p95": "150%"}}),
    (FAULT, {"error": {"containers": ["app", "side-car"]}}),
    (FAULT, FULL),
    (FAULT, experiment(scope="container", matchers={"container-names": ["app"], "percent": ["50"]})),
    (FAULT, experiment(matchers={"namespace": ["shop"], "labels": ["app=reviews,tier=web"]})),
]


@pytest.mark.parametrize(("place", "value"), GOOD, ids=lambda value: str(value)[:40])
def test_valid_variants_of_the_good_plan_are_accepted(place: tuple[str | int, ...], value: Any) -> None:
    """The rules refuse no more than they should."""
    assert problems(changed(place, value)) == {}


def test_a_repeatable_post_is_allowed() -> None:
    assert problems(good() | {"request": good()["request"] | {"method": "POST", "repeatable": True}}) == {}


def test_redacted_headers_cannot_have_a_literal_value() -> None:
    """A value that must not be stored from an answer must not be stored in the plan either."""
    raw = changed(("request", "headers", "X-Session"), SECRET) | {"redact": ["x-session"]}
    assert list(problems(raw)) == ["request.headers.X-Session"]


def test_service_names_with_the_same_first_36_characters_are_refused() -> None:
    """The fault service truncates names."""
    names = ["very-long-name-of-a-service-in-the-shop-one", "very-long-name-of-a-service-in-the-shop-two"]
    raw = good()
    raw["system"]["services"] = dict.fromkeys(names, "http://127.0.0.1")
    raw["services"] = [{"name": name, "fault": "remove"} for name in names]
    found = problems(raw)
    assert list(found) == ["services[1].name"]
    assert "first 36 characters" in found["services[1].name"]


def test_ten_mistakes_are_reported_at_once_in_the_order_of_the_plan() -> None:
    """Nobody should have to correct a plan in ten rounds."""
    raw = good()
    raw["name"] = "My Shop"
    raw["system"]["namespace"] = "kube-system"
    raw["system"]["faults"] = "http://faults.example"
    raw["request"] |= {"method": "DELETE", "headers": {"Authorization": SECRET}}
    raw["services"][0] = {"name": "revews", "fault": "remve"}
    raw["load"]["requests"] = 0
    raw["slo"] = {"p95": 480}
    raw["safety"] = {"faultTtl": "5m"}
    assert list(problems(raw)) == [
        "name",
        "system.namespace",
        "system.faults",
        "request.repeatable",
        "request.headers.Authorization",
        "services[0].fault",
        "services[0].name",
        "load.requests",
        "slo.p95",
        "safety.faultTtl",
    ]


@pytest.mark.parametrize("raw", [None, [], "plan", 3, True], ids=str)
def test_a_document_that_is_not_a_mapping_is_refused(raw: object) -> None:
    assert "a plan is a mapping of fields" in problems(raw)[""]


@pytest.mark.parametrize("name", ["shop.yaml", "minimal.yaml"])
def test_the_example_plans_are_valid(name: str) -> None:
    """Newcomers copy them."""
    assert problems(read_plan_file(EXAMPLES / name)) == {}

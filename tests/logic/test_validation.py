"""Validation: every mistake is found, with its path and what to do; nothing makes it raise."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.plan_files import read_plan_file
from workflows.contracts.errors import Problem
from workflows.contracts.execution import IfBusy
from workflows.contracts.plan import Plan
from workflows.logic.validation import check_input, check_plan

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "hunter2-correct-horse"  # noqa: S105 - what must not be echoed
FULL = {
    "type": "cpu",
    "experiment": {"scope": "pod", "target": "cpu", "action": "load", "matchers": {"cpu-percent": ["80"]}},
}


def good() -> dict[str, Any]:
    return {
        "holdfast": 1,
        "name": "shop",
        "system": {
            "namespace": "shop",
            "proxy": "http://127.0.0.1:18105",
            "faults": "http://127.0.0.1:18103",
            "services": {"reviews": "http://127.0.0.1:18083", "shipping": "http://127.0.0.1:18084"},
        },
        "request": {"url": "http://127.0.0.1:18080/api/home", "headers": {"accept": "application/json"}},
        "services": [{"name": "reviews", "fault": "remove"}, {"name": "shipping", "fault": {"delay": "3s"}}],
        "load": {"requests": 12, "concurrency": 4},
        "slo": {"error_rate": "1%", "p95": "480ms"},
        "safety": {"fault_ttl": "10m"},
    }


class Absent:
    """Stands for a field that is taken out; named, so that parallel test processes agree on the tests' ids."""

    def __repr__(self) -> str:
        return "absent"


MISSING = Absent()


def changed(place: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The good plan with one value replaced, or left out."""
    plan: Any = good()
    inner = plan
    for part in place[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    if value is MISSING:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return plan


def problems(raw: object) -> dict[str, str]:
    plan, found = check_plan(raw)
    assert (plan is None) == bool(found)
    return {problem.path: f"{problem.message} | {problem.hint}" for problem in found}


def experiment(**more: Any) -> dict[str, Any]:
    return {"type": "cpu", "experiment": FULL["experiment"] | more}  # type: ignore[operator]


FAULT = ("services", 0, "fault")
WRONG: list[tuple[tuple[str | int, ...], Any, str, str]] = [
    # Shape: missing, unknown, of the wrong kind.
    (("name",), MISSING, "name", "missing | names the runs"),
    (("system",), MISSING, "system", "missing | says where"),
    (("system", "proxy"), MISSING, "system.proxy", "missing | is the address of the traffic proxy"),
    (("request", "url"), MISSING, "request.url", "missing | is the absolute address"),
    (("services", 1, "name"), MISSING, "services[1].name", "missing | says which of system.services"),
    (("slo",), MISSING, "slo", "missing | says what a case must meet"),
    (("holdfast",), 2, "holdfast", "valid here: 1"),
    (("naem",), "x", "naem", "unknown field | did you mean 'name'?"),
    (("safety", "faultTtl"), "5m", "safety.faultTtl", "unknown field | did you mean 'fault_ttl'?"),
    (("safety", "colour"), "5m", "safety.colour", "valid here: fault_ttl, max_active_faults, allowed_namespaces"),
    (("[key]",), 1, "'[key]'", "unknown field"),
    (("request", "headers"), {"[key]": [3]}, "request.headers.'[key]'", "must be text"),
    (("fault_ttl",), "5m", "fault_ttl", "'fault_ttl' belongs under safety"),
    (("system", "stability"), {"kind": "http", "pth": "/x"}, "system.stability.pth", "did you mean 'path'?"),
    (("services", 0, "falt"), "remove", "services[0].falt", "did you mean 'fault'?"),
    (("request",), None, "request", "must be a mapping of fields, not nothing"),
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
    (FAULT, {"remove": {}}, "services[0].fault.remove.containers", "missing | says which containers"),
    (FAULT, {"remove": None}, "services[0].fault", "either remove or error"),
    (FAULT, {"error": {"containers": ["a b"]}}, "services[0].fault.error.containers[0]", "'a b' is not valid here"),
    (FAULT, {"type": "cpu"}, "services[0].fault.experiment", "missing | is the ChaosBlade experiment"),
    (FAULT, FULL | {"type": "CPU"}, "services[0].fault.type", "lower-case letters"),
    (FAULT, experiment(action="a b"), "services[0].fault.experiment.action", "beginning with a letter"),
    (FAULT, experiment(flags={}), "services[0].fault.experiment.flags", "valid here: scope, target, action, matchers"),
    (FAULT, experiment(matchers={"t": "3"}), "services[0].fault.experiment.matchers.t", "must be a list"),
    (FAULT, experiment(matchers={"t": [3]}), "services[0].fault.experiment.matchers.t[0]", "put it in quotes"),
    (FAULT, experiment(matchers={"t": []}), "services[0].fault.experiment.matchers.t", "must not be empty"),
    (FAULT, experiment(matchers={"t": ['a"b']}), "services[0].fault.experiment.matchers.t[0]", "double quotes"),
    (FAULT, experiment(matchers={"t": ["a\nb"]}), "services[0].fault.experiment.matchers.t[0]", "line breaks"),
    (FAULT, experiment(scope="node"), "services[0].fault.experiment.scope", "valid here: pod, container"),
    (FAULT, experiment(scope="container"), "services[0].fault.experiment.matchers", "add container-names"),
    (
        FAULT,
        experiment(matchers={"namespace": ["kube-system"]}),
        "services[0].fault.experiment.matchers.namespace",
        "or write ['shop']",
    ),
    # Rules between fields.
    (("services", 1, "name"), "reviews", "services[1].name", "in the plan already | see services[0]"),
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
    (("request", "headers", "cookie"), SECRET, "request.headers.cookie", "must not stand in a plan"),
    (("request", "headers", "X-Api-Key"), SECRET, "request.headers.X-Api-Key", "must not stand in a plan"),
    (("request", "headers", "X-Api-Key"), 12345, "request.headers.X-Api-Key", "must not stand in a plan"),
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
    # What JSON does not have, and what is too much.
    (("request", "json"), {"a": float("nan")}, "request.json.a", "nan is not a number that JSON has"),
    (("request", "json"), [float("inf")], "request.json[0]", "inf is not a number that JSON has"),
    (("request", "json"), {"a": {1, 2}}, "request.json.a", "is a set, which JSON does not have"),
    (("request", "json"), {"a": 2**70}, "request.json.a", "more than 64 bits"),
    (("request", "json"), {1: "a"}, "request.json", "a field's name must be text"),
    (("description",), "\ud800", "description", "half a character"),
    (("request", "json"), "x" * 300_000, "", "bytes of JSON; at most 262144"),
    (("request", "json"), [0] * 60_000, "", "more than 50000 values"),
]


@pytest.mark.parametrize(("place", "value", "path", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_told_where_it_is(place: tuple[str | int, ...], value: Any, path: str, text: str) -> None:
    """Exactly one problem, at exactly this path, in these words; and no secret in it."""
    found = problems(changed(place, value))
    assert list(found) == [path]
    assert text in found[path]
    assert not found[path].endswith("| ")
    assert SECRET not in str(found)


def test_the_good_plan_is_good() -> None:
    """What the table of mistakes starts from has none."""
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
def test_what_is_allowed(place: tuple[str | int, ...], value: Any) -> None:
    """The rules refuse no more than they should."""
    assert problems(changed(place, value)) == {}


def test_a_repeatable_post_is_allowed() -> None:
    """The promise is what counts."""
    assert problems(good() | {"request": good()["request"] | {"method": "POST", "repeatable": True}}) == {}


def test_a_header_named_in_redact_is_a_secret_too() -> None:
    """What must not be stored from an answer must not be stored in the plan either."""
    raw = changed(("request", "headers", "X-Session"), SECRET) | {"redact": ["x-session"]}
    assert list(problems(raw)) == ["request.headers.X-Session"]


def test_services_that_the_fault_service_could_not_tell_apart() -> None:
    """Names are cut at the peers: two with the same beginning are refused."""
    names = ["very-long-name-of-a-service-in-the-shop-one", "very-long-name-of-a-service-in-the-shop-two"]
    raw = good()
    raw["system"]["services"] = dict.fromkeys(names, "http://127.0.0.1")
    raw["services"] = [{"name": name, "fault": "remove"} for name in names]
    found = problems(raw)
    assert list(found) == ["services[1].name"]
    assert "first 36 characters" in found["services[1].name"]


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


def test_ten_mistakes_are_ten_problems() -> None:
    """All at once, in the order of a plan: nobody mends a plan in ten rounds."""
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


@pytest.mark.parametrize("raw", [None, [], "plan", 3, True], ids=str)
def test_a_document_that_is_no_mapping(raw: object) -> None:
    """Told as such, with an example to look at."""
    assert "a plan is a mapping of fields" in problems(raw)[""]


@pytest.mark.parametrize("name", ["shop.yaml", "minimal.yaml"])
def test_the_examples_are_valid(name: str) -> None:
    """What newcomers copy works."""
    assert problems(read_plan_file(EXAMPLES / name)) == {}


# The object around the plan.

INPUTS: list[tuple[Any, tuple[Any, ...], str, str]] = [
    (None, (), "input", "no input was given | start with --input-file"),
    ([good()], (), "input", "not a list"),
    ("text", (), "input", "not text"),
    ({"plan": good()}, ({},), "input", "2 inputs were given"),
    ({}, (), "plan", "missing | is the plan document"),
    ({"plan": None}, (), "plan", "must be a mapping of fields, not nothing"),
    ({"plan": "shop.yaml"}, (), "plan", "must be a mapping of fields, not text"),
    ({"plan": good(), "if_busy": "wiat"}, (), "if_busy", "did you mean 'wait'?"),
    ({"plan": good(), "ifBusy": "wait"}, (), "ifBusy", "unknown field | did you mean 'if_busy'?"),
    ({"plan": good(), "requested_by": 3}, (), "requested_by", "must be text"),
    ({"plan": good(), 3: 3}, (), "", "a field's name must be text"),
    (good(), (), "input", "is a plan itself"),
]


@pytest.mark.parametrize(("raw", "extra", "path", "text"), INPUTS, ids=lambda value: str(value)[:30])
def test_a_wrong_input_is_told(raw: Any, extra: tuple[Any, ...], path: str, text: str) -> None:
    """Exactly one object, of exactly this form."""
    checked = check_input(raw, extra)
    assert (checked.plan, checked.input) == (None, None)
    assert [problem.path for problem in checked.problems] == [path]
    assert text in f"{checked.problems[0].message} | {checked.problems[0].hint}"


def test_a_good_input_is_taken() -> None:
    """With the plan validated, and the rest as given or by default."""
    checked = check_input({"plan": good(), "if_busy": "wait", "requested_by": "ci"})
    assert checked.problems == []
    assert checked.plan == check_plan(good())[0]
    assert checked.input is not None
    assert (checked.input.if_busy, checked.input.requested_by, checked.input.plan) == (IfBusy.WAIT, "ci", good())
    defaults = check_input({"plan": good()}).input
    assert defaults is not None
    assert defaults.if_busy is IfBusy.REFUSE


def test_problems_of_the_object_and_of_its_plan_come_together() -> None:
    """Two inputs, a wrong if_busy and a wrong plan: three problems, the plan's with the plan's own path."""
    checked = check_input({"plan": changed(("slo",), {}), "if_busy": "no"}, ("more",))
    assert [problem.path for problem in checked.problems] == ["input", "if_busy", "slo"]


# Nothing makes it raise.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, 0, -1, 2**63, 10**400, 1.5, float("nan"), "", " ", "\n", "\ud800", "x" * 300, "3s", "1%", "http://",
        "http://[", "http://h:x", "${env:", "${env:A}", "remove", "GET", "POST", [], {}, [[]], {"": None}, {"a": {}},
        {"delay": []}, {"remove": 1}, {"type": {}, "experiment": []}, {"experiment": {"matchers": {"": [""]}}}, (1,),
        b"x",
    ]
)  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, one in inner for found in _places(one, (*place, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good plan with up to four parts replaced, removed or added."""
    raw: Any = good()
    raw["services"].append({"name": "x", "fault": copy.deepcopy(FULL)})
    for _ in range(draw(st.integers(1, 4))):
        *outer, last = draw(st.sampled_from(_places(raw)[1:]))
        inner = raw
        for part in outer:
            inner = inner[part]
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            inner[last] = copy.deepcopy(draw(ODD | JSON))
        elif change == "remove":
            del inner[last]
        elif isinstance(inner, dict):
            inner[draw(st.text(max_size=10) | st.sampled_from(["delay", "json", "slo", "fault"]))] = copy.deepcopy(
                draw(ODD)
            )
        if len(_places(raw)) == 1:
            break
    return raw


def _sound(found: list[Problem]) -> None:
    for problem in found:
        line = str(problem)
        line.encode()
        assert problem.message
        assert problem.hint
        assert "\n" not in line
        assert len(line) < 2_000


@given(JSON)
def test_any_json_is_a_plan_or_has_problems(raw: Any) -> None:
    """It never raises, and never says nothing."""
    plan, found = check_plan(raw)
    assert (plan is None) == bool(found)
    _sound(found)
    checked = check_input(raw)
    assert (checked.plan is None) == bool(checked.problems)


@given(mutated())
def test_a_mutated_plan_is_a_plan_or_has_problems(raw: Any) -> None:
    """Near misses go deeper into the rules than noise does."""
    plan, found = check_plan(raw)
    assert (plan is None) == bool(found)
    _sound(found)
    checked = check_input({"plan": raw})
    assert (checked.plan is None) == bool(checked.problems)
    json.dumps([problem.model_dump() for problem in checked.problems])

"""The worker's guardrails limit every plan, and no plan can widen them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from clients.settings import Settings
from domain.base import StrictModel
from domain.errors import HoldfastError
from domain.guardrails.check import described, namespace_of, outside
from domain.guardrails.model import ALWAYS_REFUSED, Guardrails
from domain.plans.addresses import EACH, address_places
from domain.plans.plan import Plan
from domain.plans.request import BaseUrl, HttpUrl
from domain.plans.validation.fields import models_in
from domain.plans.validation.validate import check_plan
from tests.support.plans.builders import good

THIS_MACHINE = "127.0.0.1:1-65535"


def plan(**safety: Any) -> Plan:
    """Return a valid plan whose author has opened everything that a plan can open."""
    raw = good()
    raw["safety"] = {"allowed_hosts": ["127.0.0.1", "localhost", "proxy.test", "a.shop.test"]} | safety
    raw["system"]["proxy"] = "http://proxy.test:8105"
    found, problems = check_plan(raw)
    assert found is not None, problems
    return found


def all_places(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield every field of a model and of the models inside it."""
    for name, field in model.model_fields.items():
        yield (*above, name)
        many = (EACH,) if "list" in str(field.annotation) else ()
        for inner in models_in(field.annotation):
            yield from all_places(inner, (*above, name, *many))


def paths(found: Plan, rails: Guardrails) -> list[str]:
    problems = outside(found, rails)
    assert all(problem.hint for problem in problems)
    return [problem.path for problem in problems]


def test_all_guardrail_problems_are_reported_with_path_and_setting() -> None:
    """The worker's settings apply, even to a plan that allows itself everything."""
    found = plan(fault_ttl="2h")
    safety = found.safety.model_copy(update={"max_active_faults": 3})
    found = found.model_copy(update={"safety": safety})
    problems = outside(found, Guardrails(namespaces=["other"], hosts=[THIS_MACHINE]))
    assert [refusal.path for refusal in problems] == [
        *("system.namespace", "system.proxy", "safety.max_active_faults", "safety.fault_ttl")
    ]
    settings = ("ALLOWED_NAMESPACES", "ALLOWED_HOSTS", "MAX_ACTIVE_FAULTS", "LONGEST_FAULT")
    for problem, setting in zip(problems, settings, strict=True):
        assert f"HOLDFAST_{setting} where the worker is started" in problem.hint


def test_a_port_is_part_of_an_address() -> None:
    """A host alone means its default ports.

    Loopback is one host in every spelling, and is allowed by name like any other.
    """
    found = plan()
    everywhere = ["system.proxy", "system.faults", "system.services.reviews", "system.services.shipping", "request.url"]
    assert paths(found, Guardrails()) == everywhere
    assert paths(found, Guardrails(hosts=["127.0.0.1", "proxy.test"])) == everywhere
    assert paths(found, Guardrails(hosts=[THIS_MACHINE, "Proxy.Test"])) == ["system.proxy"]
    assert paths(found, Guardrails(hosts=["[::1]:18000-18999", "Proxy.Test:8105"])) == []
    assert paths(found, Guardrails(hosts=["localhost:18080-18103", "proxy.test:8104"])) == ["system.proxy"]


def test_a_refusal_names_the_entry_that_would_allow_the_address() -> None:
    """It can be copied into the setting, and then allows the plan."""
    found = plan()
    allowed: list[str] = []
    while problems := outside(found, Guardrails(hosts=allowed)):
        entry = problems[0].hint.partition("add ")[2].partition(" to HOLDFAST_ALLOWED_HOSTS")[0]
        assert entry not in allowed
        allowed.append(entry)
    loopback = [f"127.0.0.1:{port}" for port in (18080, 18083, 18084, 18103)]
    assert sorted(allowed) == [*loopback, "proxy.test:8105"]


def test_no_setting_allows_an_address_that_is_never_reached() -> None:
    """In whatever spelling the plan has it."""
    never = ["proxy.test:8105", "localhost:18103"]
    rails = Guardrails(hosts=["*.test", "proxy.test:1-65535", THIS_MACHINE], never=never)
    assert paths(plan(), rails) == ["system.proxy", "system.faults"]
    assert all("no setting allows" in problem.hint for problem in outside(plan(), rails))


def test_every_url_of_a_plan_is_checked_as_an_address() -> None:
    """The type decides. A field of another type whose name suggests an address would go unchecked."""
    assert set(address_places()) == {
        ("system", "proxy"),
        ("system", "faults"),
        ("system", "services", EACH),
        ("request", "url"),
        ("request", "login", "url"),
        ("stop", "health", "url"),
    }
    words = ("url", "uri", "address", "host", "endpoint", "link", "server", "proxy", "target")
    suspects = {place for place in all_places(Plan, ()) if any(word in place[-1].lower() for word in words)}
    # A list that only narrows, and a part of a fault's definition, are not addresses.
    known = {("safety", "allowed_hosts"), ("services", EACH, "fault", "experiment", "target")}
    assert suspects - known <= set(address_places())


class Nested(StrictModel):
    """An address in every kind of container."""

    plain: HttpUrl
    maybe: HttpUrl | None = None
    many: list[HttpUrl] = []
    named: dict[str, dict[str, BaseUrl | None]] = {}
    both: tuple[int, HttpUrl] = (1, "http://a")
    marked: Annotated[HttpUrl, Field(description="x")] = "http://a"
    text: str = ""


class Outer(StrictModel):
    inner: list[Nested | None] = []


def test_addresses_are_found_in_every_kind_of_nesting() -> None:
    """The walk knows types, not names."""
    found = {"plain", "maybe", f"many.{EACH}", f"named.{EACH}.{EACH}", f"both.{EACH}", "marked"}
    assert {".".join(place) for place in address_places(Outer)} == {f"inner.{EACH}.{name}" for name in found}


def test_a_wildcard_allows_only_the_hosts_below_its_domain() -> None:
    """Neither the domain itself nor a host that only ends alike."""
    for proxy, allowed in [("a.shop.test", True), ("shop.test", False), ("evil-shop.test", False)]:
        found = plan()
        system = found.system.model_copy(update={"proxy": f"http://{proxy}"})
        found = found.model_copy(update={"system": system})
        assert (paths(found, Guardrails(hosts=[THIS_MACHINE, "*.shop.test"])) == []) is allowed


@pytest.mark.parametrize("namespace", [*ALWAYS_REFUSED, "ours"])
def test_no_setting_allows_the_namespaces_that_are_always_refused(namespace: str) -> None:
    """Not even by name. Those of Temporal and Holdfast are refused whatever they are called."""
    found = plan()
    system = found.system.model_copy(update={"namespace": namespace})
    rails = Guardrails(namespaces=[namespace], hosts=[THIS_MACHINE, "proxy.test:8105"], own_namespaces=["ours"])
    assert paths(found.model_copy(update={"system": system}), rails) == ["system.namespace"]


@pytest.mark.parametrize("namespace", ALWAYS_REFUSED)
def test_validation_refuses_the_namespaces_that_are_always_refused(namespace: str) -> None:
    """Nobody should have to start a run to find out."""
    raw = good()
    raw["system"]["namespace"] = namespace
    _, problems = check_plan(raw)
    assert [problem.path for problem in problems if "never tested" in problem.message] == ["system.namespace"]


def test_guardrails_are_read_from_environment_variables() -> None:
    """Lists are separated by commas or spaces. Durations have a unit."""
    settings = Settings.from_environment(
        {
            "HOLDFAST_ALLOWED_NAMESPACES": "shop, books",
            "HOLDFAST_ALLOWED_HOSTS": "proxy.test *.shop.test,::1, [::1]:8080 cart.test:8000-8099",
            "HOLDFAST_MAX_RATE": "90/m",
            "HOLDFAST_MAX_IN_FLIGHT": "20",
            "HOLDFAST_MAX_REQUESTS": "5000",
            "HOLDFAST_MAX_LOAD_DURATION": "30m",
            "HOLDFAST_MAX_ACTIVE_FAULTS": "2",
            "HOLDFAST_LONGEST_FAULT": "20m",
            "HOLDFAST_OWN_NAMESPACES": "platform",
        }
    )
    rails = settings.guardrails("http://frontend.flows.svc.cluster.local:7233", Path("/nowhere"))
    assert "frontend.flows.svc.cluster.local:7233" in rails.never
    assert Guardrails(**rails.model_dump(exclude={"never"})) == Guardrails(
        namespaces=["shop", "books"],
        hosts=["proxy.test", "*.shop.test", "::1", "[::1]:8080", "cart.test:8000-8099"],
        max_rate=1.5,
        max_in_flight=20,
        max_requests=5000,
        max_load_duration=timedelta(minutes=30),
        max_active_faults=2,
        longest_fault=timedelta(minutes=20),
        own_namespaces=["platform", "flows"],
    )
    description = described(rails)
    for words in ("namespaces shop, books;", "*.shop.test", "at most 2 faults at once", "none longer than 20m"):
        assert words in description
    assert described(Guardrails()) == (
        "plans may touch any namespace but kube-system, kube-public, kube-node-lease, temporal, holdfast; "
        "hosts none, never none; at most 1 fault at once, none longer than 1h; "
        "at most 10000/s, 16000 requests under way, 10000000 a run, 24h of load"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "http://proxy.test"),
        ("ALLOWED_HOSTS", "proxy.test:0"),
        ("ALLOWED_HOSTS", "proxy.test:70000"),
        ("ALLOWED_HOSTS", "proxy.test:9000-8000"),
        ("ALLOWED_HOSTS", "proxy.test:"),
        ("ALLOWED_HOSTS", "proxy.test:80-"),
        ("ALLOWED_HOSTS", "*.0.0.1"),
        ("ALLOWED_HOSTS", "*.0x1:80"),
        ("ALLOWED_HOSTS", "[proxy.test]:80"),
        ("ALLOWED_HOSTS", "1:2:3"),
        ("MAX_RATE", "100"),
        ("MAX_IN_FLIGHT", "0"),
        ("MAX_REQUESTS", "many"),
        ("MAX_LOAD_DURATION", "0s"),
        ("ALLOWED_NAMESPACES", "Shop"),
        ("MAX_ACTIVE_FAULTS", "0"),
        ("LONGEST_FAULT", "600"),
    ],
)
def test_an_invalid_guardrail_keeps_the_worker_from_starting(name: str, value: str) -> None:
    """Ignoring it would allow everything."""
    with pytest.raises(HoldfastError, match=f"HOLDFAST_{name}"):
        Settings.from_environment({f"HOLDFAST_{name}": value})


def test_a_worker_in_a_pod_knows_its_own_namespace(tmp_path: Path) -> None:
    """Kubernetes provides it, so it need not be configured."""
    (tmp_path / "namespace").write_text("chaos-tools\n")
    rails = Settings().guardrails("127.0.0.1:7233", tmp_path / "namespace")
    assert rails.own_namespaces == ["chaos-tools"]


@pytest.mark.parametrize(
    ("address", "namespace"),
    [
        ("frontend.temporal.svc:7233", "temporal"),
        ("frontend.flows.svc.cluster.local:7233", "flows"),
        ("127.0.0.1:7233", ""),
        ("acme.a2dd6.tmprl.cloud:7233", ""),
        ("temporal:7233", ""),
        ("", ""),
    ],
)
def test_a_servers_namespace_is_read_from_its_full_service_name(address: str, namespace: str) -> None:
    """Other addresses do not contain it."""
    assert namespace_of(address) == namespace

"""What a worker allows, and that no plan can widen it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clients.settings import Settings
from tests.logic.plans import good
from workflows.contracts.errors import HoldfastError
from workflows.contracts.guardrails import ALWAYS_REFUSED, Guardrails
from workflows.contracts.plan import Plan
from workflows.logic.guardrails import described, namespace_of, outside
from workflows.logic.validation import check_plan


def plan(**safety: Any) -> Plan:
    """A valid plan whose author has opened everything that a plan can open."""
    raw = good()
    raw["safety"] = {"allowed_hosts": ["127.0.0.1", "localhost", "proxy.test", "a.shop.test"]} | safety
    raw["system"]["proxy"] = "http://proxy.test:8105"
    found, problems = check_plan(raw)
    assert found is not None, problems
    return found


def paths(found: Plan, rails: Guardrails) -> list[str]:
    problems = outside(found, rails)
    assert all(problem.hint for problem in problems)
    return [problem.path for problem in problems]


def test_every_problem_is_told_at_once_with_its_path_and_the_setting() -> None:
    """A plan that allows itself everything is measured by the worker's words."""
    found = plan(fault_ttl="2h")
    safety = found.safety.model_copy(update={"max_active_faults": 3})
    found = found.model_copy(update={"safety": safety})
    problems = outside(found, Guardrails(namespaces=["other"]))
    assert [one.path for one in problems] == [
        *("system.namespace", "system.proxy", "safety.max_active_faults", "safety.fault_ttl")
    ]
    settings = ("ALLOWED_NAMESPACES", "ALLOWED_HOSTS", "MAX_ACTIVE_FAULTS", "LONGEST_FAULT")
    for problem, setting in zip(problems, settings, strict=True):
        assert f"HOLDFAST_{setting} where the worker is started" in problem.hint


def test_by_default_only_this_machine_and_any_namespace_but_the_refused() -> None:
    """Loopback is allowed without a word, in every spelling; all else is not."""
    found = plan()
    assert paths(found, Guardrails()) == ["system.proxy"]
    assert paths(found, Guardrails(hosts=["127.0.0.1", "Proxy.Test"])) == []


def test_a_domain_stands_for_the_hosts_below_it_and_no_others() -> None:
    """Neither for itself nor for one that only ends alike."""
    for proxy, allowed in [("a.shop.test", True), ("shop.test", False), ("evil-shop.test", False)]:
        found = plan()
        system = found.system.model_copy(update={"proxy": f"http://{proxy}"})
        found = found.model_copy(update={"system": system})
        assert (paths(found, Guardrails(hosts=["127.0.0.1", "*.shop.test"])) == []) is allowed


@pytest.mark.parametrize("namespace", [*ALWAYS_REFUSED, "ours"])
def test_no_setting_opens_the_namespaces_that_are_always_refused(namespace: str) -> None:
    """Not even when the settings allow it by name; those of Temporal and Holdfast by whatever name they have."""
    found = plan()
    system = found.system.model_copy(update={"namespace": namespace})
    rails = Guardrails(namespaces=[namespace], hosts=["127.0.0.1", "proxy.test"], own_namespaces=["ours"])
    assert paths(found.model_copy(update={"system": system}), rails) == ["system.namespace"]


@pytest.mark.parametrize("namespace", ALWAYS_REFUSED)
def test_validate_refuses_them_as_well(namespace: str) -> None:
    """Nobody need start a run to learn that."""
    raw = good()
    raw["system"]["namespace"] = namespace
    _, problems = check_plan(raw)
    assert [one.path for one in problems if "never tested" in one.message] == ["system.namespace"]


def test_settings_come_from_the_environment() -> None:
    """Lists with commas or spaces, durations with a unit."""
    settings = Settings.from_environment(
        {
            "HOLDFAST_ALLOWED_NAMESPACES": "shop, books",
            "HOLDFAST_ALLOWED_HOSTS": "proxy.test *.shop.test,::1",
            "HOLDFAST_MAX_ACTIVE_FAULTS": "2",
            "HOLDFAST_LONGEST_FAULT": "20m",
            "HOLDFAST_OWN_NAMESPACES": "platform",
        }
    )
    rails = settings.guardrails("http://frontend.flows.svc.cluster.local:7233", Path("/nowhere"))
    assert rails == Guardrails(
        namespaces=["shop", "books"],
        hosts=["proxy.test", "*.shop.test", "::1"],
        max_active_faults=2,
        longest_fault=timedelta(minutes=20),
        own_namespaces=["platform", "flows"],
    )
    said = described(rails)
    for words in ("namespaces shop, books;", "*.shop.test", "at most 2 faults at once", "none longer than 20m"):
        assert words in said
    assert described(Guardrails()) == (
        "plans may touch any namespace but kube-system, kube-public, kube-node-lease, temporal, holdfast; "
        "hosts 127.0.0.1, localhost, ::1; at most 1 fault at once, none longer than 1h"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "http://proxy.test"),
        ("ALLOWED_HOSTS", "proxy.test:8105"),
        ("ALLOWED_NAMESPACES", "Shop"),
        ("MAX_ACTIVE_FAULTS", "0"),
        ("LONGEST_FAULT", "600"),
    ],
)
def test_a_guardrail_that_cannot_be_read_keeps_the_worker_from_starting(name: str, value: str) -> None:
    """It is never ignored, which would be to open everything."""
    with pytest.raises(HoldfastError, match=f"HOLDFAST_{name}"):
        Settings.from_environment({f"HOLDFAST_{name}": value})


def test_a_worker_in_a_pod_knows_its_own_namespace(tmp_path: Path) -> None:
    """Kubernetes tells it; whoever deploys it need not."""
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
def test_the_namespace_of_a_server_in_a_cluster(address: str, namespace: str) -> None:
    """Only a Service's full name tells it."""
    assert namespace_of(address) == namespace

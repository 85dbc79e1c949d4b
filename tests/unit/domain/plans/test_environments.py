"""The worker defines the names of environments; a plan may only repeat its own."""

from __future__ import annotations

from typing import Any

import pytest

from clients.settings import Settings
from domain.errors import ErrorCode, HoldfastError
from domain.plans.environments import environment_of, environment_problems, parse_environments, touched
from domain.plans.plan import Plan
from tests.support.cli.terminal import plan_document

NAMED = parse_environments("prod=faults.internal:8080,prod=[2001:db8::5]:8080 lab=127.1:18103")


def plan(faults: str, environment: str | None = None) -> Plan:
    document: dict[str, Any] = plan_document("shop")
    document["system"] |= {"faults": faults, "environment": environment}
    return Plan.model_validate(document)


@pytest.mark.parametrize(
    ("faults", "due"),
    [
        *[(f"http://{host}:18103", "lab") for host in ("localhost", "127.0.0.1", "[::1]", "0x7f.1")],
        *[(f"http://{host}:8080/", "prod") for host in ("Faults.Internal", "[2001:DB8:0::5]")],
        ("http://faults.internal:8081", "faults.internal:8081"),
        ("https://faults.internal", "faults.internal:443"),
        ("http://localhost:18104", "localhost:18104"),
    ],
)
def test_a_run_locks_the_name_of_its_address_even_if_the_plan_omits_it(faults: str, due: str) -> None:
    assert environment_of(plan(faults), NAMED) == due
    assert environment_of(plan(faults, due), NAMED) == due
    assert list(environment_problems(plan(faults), NAMED)) == []
    assert list(environment_problems(plan(faults, due), NAMED)) == [] or due.startswith("[")


@pytest.mark.parametrize(
    ("faults", "chosen", "hint"),
    [
        ("http://127.0.0.1:1", "mine", "set HOLDFAST_ENVIRONMENTS=mine=localhost:1 where the worker is started"),
        ("http://127.0.0.1:1", "prod", "set HOLDFAST_ENVIRONMENTS=prod=localhost:1 where the worker is started"),
        ("http://127.0.0.1:1", "localhost:2", "leave it out, so that the run locks localhost:1"),
        ("http://localhost:18103", "prod", "write that name, or leave it out"),
    ],
)
def test_a_plan_cannot_choose_its_environment(faults: str, chosen: str, hint: str) -> None:
    (problem,) = environment_problems(plan(faults, chosen), NAMED)
    assert problem.path == "system.environment"
    assert hint in problem.hint


def test_the_environments_setting_is_read_and_its_mistakes_are_reported() -> None:
    settings = Settings.from_environment({"HOLDFAST_ENVIRONMENTS": "a=127.0.0.1:80, a=http://shop.example"})
    assert settings.guardrails().environments == {"localhost:80": "a", "shop.example:80": "a"}
    for text in ("a", "a=host", "=h:80", "a:1=h:80", "a=h:80,b=H.:80", "a=h:99999", "\u00e9=h:80", "a="):
        with pytest.raises(HoldfastError) as raised:
            Settings.from_environment({"HOLDFAST_ENVIRONMENTS": text})
        assert (raised.value.code, "HOLDFAST_ENVIRONMENTS" in str(raised.value)) == (ErrorCode.VALIDATION_ERROR, True)


def test_plans_that_share_a_proxy_or_a_service_touch_the_same_system() -> None:
    first, second = plan("http://127.0.0.1:1"), plan("http://127.0.0.1:2")
    assert touched(first, {}) & touched(second, {})
    moved = second.system.model_copy(update={"proxy": "http://far:1", "services": {"reviews": "http://far:2"}})
    assert not touched(first, {}) & touched(second.model_copy(update={"system": moved}), {})

"""Validation of logins and of the places where their secrets may stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.guardrails.check import outside
from domain.guardrails.model import Guardrails
from domain.plans.canonical import canonical_json, canonical_request
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from tests.support.plans.builders import SECRET, good, problems

LOGIN: dict[str, Any] = {
    "url": "http://127.0.0.1:18080/login",
    "json": {"user": "ada", "password": "${env:PASSWORD}"},
    "token": "data.token",
}


def with_login(sent: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    login = {name: value for name, value in (LOGIN | changes).items() if value is not None}
    request = {"url": "http://127.0.0.1:18080/api/home", "headers": sent or {}, "login": login}
    return good() | {"request": request}


def valid(document: dict[str, Any]) -> Plan:
    plan, found = check_plan(document)
    assert plan is not None, found
    return plan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "GET", "json": None, "headers": {"Authorization": "Basic ${env:CLIENT}"}},
        {"json": None, "form": {"grant_type": "password", "password": "${env:PASSWORD}"}, "token": "access_token"},
        {"json": {"user": "ada", "secret_question": "none", "pin": "", "deep": [{"password": "x${env:A}"}]}},
    ],
)
def test_valid_logins_are_accepted_and_survive_being_stored(changes: dict[str, Any]) -> None:
    plan = valid(with_login(**changes))
    assert check_plan(json.loads(canonical_json(plan)))[0] == plan


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"url": "http://auth.example/login"}, "request.login.url", "is not in safety.allowed_hosts"),
        ({"url": "http://${env:HOST}/login"}, "request.login.url", "must name its host in full"),
        ({"url": "login"}, "request.login.url", "absolute"),
        ({"url": None}, "request.login.url", "missing"),
        ({"method": "HEAD", "json": None}, "request.login.method", "no body"),
        ({"form": {"a": "b"}}, "request.login.form", "already has json"),
        ({"headers": {"cookie": SECRET}}, "request.login.headers.cookie", "must not be in a plan"),
        ({"headers": {"a b": "c"}}, "request.login.headers.'a b'", "is not a header's name"),
        ({"headers": {"baggage": "c"}}, "request.login.headers.baggage", "cannot be set"),
        ({"json": {"password": SECRET}}, "request.login.json.password", "must not be in a plan"),
        ({"json": {"a": [{"Client-Secret": SECRET}]}}, "request.login.json.a[0].Client-Secret", "must not be"),
        ({"json": {"pin": 1234}}, "request.login.json.pin", "must not be"),
        ({"json": None, "form": {"password": [SECRET]}}, "request.login.form.password", "must not be"),
        ({"json": {"password": "${env:}"}}, "request.login.json.password", "not ${env:NAME}"),
        ({"json": {"${env:USER}": "x"}}, "request.login.json.'${env:USER}'", "is the name of a field"),
        ({"token": "data..token"}, "request.login.token", "is not a path into a JSON answer"),
        ({"token": "${env:TOKEN}"}, "request.login.token", "resolved in the request only"),
        ({"tokn": "x"}, "request.login.tokn", "did you mean 'token'"),
    ],
)
def test_a_mistake_is_reported_at_its_path(changes: dict[str, Any], path: str, words: str) -> None:
    """With advice on how to fix it, and without the secret value."""
    found = problems(with_login(**changes))
    assert words in found.get(path, ""), found
    assert SECRET not in str(found)


def test_redacted_names_are_secrets_in_a_login() -> None:
    """As in the headers of the request."""
    found = problems(with_login(json={"badge": SECRET}) | {"redact": ["Badge"]})
    assert list(found) == ["request.login.json.badge"]


def test_a_request_with_a_login_cannot_have_its_own_authorization() -> None:
    """One of the two would be lost."""
    found = problems(with_login(sent={"authorization": "Bearer ${env:TOKEN}"}))
    assert "login's token" in found["request.headers.authorization"]


@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout"])
def test_connect_and_read_timeouts_cannot_exceed_the_request_timeout(name: str) -> None:
    """Such a limit would never be reached."""
    found = problems(good() | {"request": good()["request"] | {"timeout": "2s", name: "3s"}})
    assert "longer than request.timeout (2s)" in found[f"request.{name}"]
    valid(good() | {"request": good()["request"] | {"timeout": "2s", name: "2s"}})


def test_the_worker_must_allow_the_host_of_the_login() -> None:
    """No plan can widen what the worker allows."""
    document = with_login(url="http://auth.example/login")
    document["safety"] = {"allowed_hosts": ["127.0.0.1", "auth.example"]}
    plan = valid(document)
    assert [problem.path for problem in outside(plan, Guardrails(hosts=["127.0.0.1:1-65535"]))] == ["request.login.url"]
    assert outside(plan, Guardrails(hosts=["127.0.0.1:1-65535", "auth.example"])) == []


def test_the_canonical_json_keeps_the_order_of_a_logins_fields() -> None:
    """A request without a login is stored exactly as before logins existed."""
    plan = valid(with_login(json={"z": 1, "a": 2}))
    assert '"json":{"z":1,"a":2}' in canonical_json(plan)
    without = valid(good())
    assert "login" not in canonical_request(without.request)
    assert "connect_timeout" not in canonical_request(without.request)

"""Requests as they are stored: the peers' terms, an id of the content, and no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.http.request_definitions import BodyMode, RequestDefinition, definition_of
from clients.secrets.values import REDACTED
from domain.plans.canonical import canonical_json, canonical_request, content_id
from domain.plans.plan import Plan
from domain.plans.validation.request_rules import FORM_TYPE
from domain.plans.validation.validate import check_plan
from tests.support.plans.builders import good

SECRET = "hunter2-correct-horse"  # noqa: S105 - what must not be stored


def plan(redact: list[str] | None = None, **request: Any) -> Plan:
    document = good()
    document["request"] = {"url": "http://127.0.0.1:18080/api", "repeatable": True} | request
    found, problems = check_plan(document | {"redact": redact or []})
    assert found is not None, problems
    return found


def definition(redact: list[str] | None = None, **request: Any) -> RequestDefinition:
    return definition_of(plan(redact, **request))


@pytest.mark.parametrize(
    ("body", "mode", "kind", "template", "raw"),
    [
        ({}, BodyMode.NONE, None, None, None),
        ({"json": {"a": [1, None]}}, BodyMode.JSON, "application/json", {"a": [1, None]}, None),
        ({"json": False}, BodyMode.JSON, "application/json", False, None),
        ({"form": {"a": ["1", "2"]}}, BodyMode.FORM, FORM_TYPE, {"a": ["1", "2"]}, None),
        ({"form": {}}, BodyMode.FORM, FORM_TYPE, {}, None),
        ({"raw": "x"}, BodyMode.RAW, "text/plain; charset=utf-8", None, "x"),
        ({"raw": "", "headers": {"CONTENT-TYPE": "a/b"}}, BodyMode.RAW, "a/b", None, ""),
    ],
)
def test_bodies_in_the_peers_terms(
    body: dict[str, Any], mode: BodyMode, kind: str | None, template: Any, raw: str | None
) -> None:
    """With the content type that is sent."""
    found = definition(method="POST", **body)
    assert (found.body_mode, found.content_type, found.body_template, found.raw_body) == (mode, kind, template, raw)


def test_everything_else_of_a_request() -> None:
    """As it is written; the name is for people."""
    found = definition(
        method="PUT", url="http://127.0.0.1/a?b=c#d", headers={"x": 1}, query={"q": [1, "2"]}, timeout="1.5s"
    )
    assert (found.name, found.method, found.url_template) == ("PUT http://127.0.0.1/a?b=c#d", "PUT", found.name[4:])
    assert (found.headers, found.query_params) == ({"x": "1"}, {"q": ["1", "2"]})
    assert (found.timeout_us, found.repeatable) == (1_500_000, True)
    assert len(definition(url="http://127.0.0.1/" + "x" * 500).name) == 128


def test_the_id_is_that_of_the_content() -> None:
    """The same formula as ever: ids are in databases and at the proxy."""
    one = plan()
    whole = canonical_request(one.request)
    assert whole == json.dumps(json.loads(canonical_json(one))["request"], separators=(",", ":"), ensure_ascii=False)
    found = definition_of(one)
    assert found.id == content_id(whole) == int(found.code, 16) >> 203
    other = one.model_copy(update={"name": "other", "redact": ["nothing-in-it"]})
    assert definition_of(other) == found


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"url": "http://127.0.0.1:18080/api2"},
        {"headers": {"a": "b"}},
        {"query": {"a": "b"}},
        {"query": {"b": "c", "a": "b"}},
        {"json": {}},
        {"form": {}},
        {"raw": ""},
        {"timeout": "9s"},
        {"repeatable": False},
    ],
)
def test_another_request_has_another_id(change: dict[str, Any]) -> None:
    """Whatever is different."""
    assert definition(**change).id != definition().id


LITERAL: list[dict[str, Any]] = [
    {"headers": {"Authorization": f"Bearer {SECRET}-${{env:A}}"}},
    {"headers": {"cookie": f"a=${{env:A}}; b={SECRET}"}},
    {"query": {"PassWord": SECRET}},
    {"query": {"password": ["x", SECRET]}},
    {"url": f"http://127.0.0.1/?pass%77ord={SECRET}&a=b"},
    {"json": {"a": [{"PASSWORD": {"b": SECRET}}]}},
    {"form": {"password": ["${env:A}", SECRET]}},
    {"raw": f"a=1&password={SECRET}"},
    {"raw": f'{{"password": "{SECRET}"}}'},
    {"raw": f"password=x {SECRET}", "headers": {"content-type": FORM_TYPE}},
]


@pytest.mark.parametrize("request_", LITERAL, ids=str)
def test_a_secret_that_stands_in_a_plan_is_not_stored(request_: dict[str, Any]) -> None:
    """By the names that always are secret, and those that the plan names, in every part of a request."""
    method = {"method": "POST"} if {"raw", "form", "json"} & request_.keys() else {}
    found = definition(["Password"], **method, **request_)
    assert SECRET not in found.model_dump_json()
    assert "redacted" in found.model_dump_json()


def test_references_stay_references() -> None:
    """They are all that may be known of a secret, also under a secret's name."""
    parts: dict[str, Any] = {
        "url": "http://127.0.0.1/?token=${env:T}",
        "headers": {"Authorization": "Bearer ${env:T}", "x-api-key": "${env:A}${env:B}", "Cookie": "${env:C}"},
        "query": {"token": ["${env:T}"]},
        "json": {"token": "${env:T}", "deep": [{"token": "${env:T}"}]},
    }
    found = definition(["token"], method="POST", **parts)
    assert REDACTED not in found.model_dump_json()
    assert (found.url_template, found.headers) == (parts["url"], parts["headers"])
    assert (found.query_params, found.body_template) == (parts["query"], parts["json"])


def test_what_a_plan_redacts_is_in_no_row_of_another_plan() -> None:
    """Two plans with the same request, of which one calls a field secret, have two rows; with other values, too."""
    body = {"method": "POST", "json": {"password": SECRET}}
    shown, hidden, other = (
        definition(**body),
        definition(["password"], **body),
        definition(["password"], method="POST", json={"password": "x"}),
    )
    assert len({shown.id, hidden.id, other.id}) == 3
    assert hidden.body_template == other.body_template == {"password": REDACTED}
    assert shown.body_template == {"password": SECRET}


@given(st.text("ab%&= ü/", min_size=1, max_size=9), st.sampled_from(["query", "form", "json", "headers"]))
def test_whatever_a_value_is_it_is_hidden_by_its_name(value: str, part: str) -> None:
    """Encoded, empty-looking or odd."""
    one = Plan.model_validate(
        good() | {"request": good()["request"] | {part: {"x-token": value}}, "redact": ["X-Token"]}
    )
    found = definition_of(one)
    stored = {"query": found.query_params, "headers": found.headers}.get(part, found.body_template)
    assert stored == {"x-token": REDACTED}

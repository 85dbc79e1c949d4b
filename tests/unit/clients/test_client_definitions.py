"""Stored requests use the peers' terms, have an id made of their content, and hold no secret."""

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
def test_bodies_are_stored_in_the_peers_terms(
    body: dict[str, Any], mode: BodyMode, kind: str | None, template: Any, raw: str | None
) -> None:
    """The content type is the one that is sent."""
    found = definition(method="POST", **body)
    assert (found.body_mode, found.content_type, found.body_template, found.raw_body) == (mode, kind, template, raw)


def test_the_other_parts_of_a_request_are_stored_as_written() -> None:
    """Only the name is cut: it is for people."""
    found = definition(
        method="PUT", url="http://127.0.0.1/a?b=c#d", headers={"x": 1}, query={"q": [1, "2"]}, timeout="1.5s"
    )
    assert (found.name, found.method, found.url_template) == ("PUT http://127.0.0.1/a?b=c#d", "PUT", found.name[4:])
    assert (found.headers, found.query_params) == ({"x": "1"}, {"q": ["1", "2"]})
    assert (found.timeout_us, found.repeatable) == (1_500_000, True)
    assert len(definition(url="http://127.0.0.1/" + "x" * 500).name) == 128


def test_the_id_is_made_of_the_content() -> None:
    """The formula must never change: ids are in databases and at the proxy."""
    first = plan()
    whole = canonical_request(first.request)
    assert whole == json.dumps(json.loads(canonical_json(first))["request"], separators=(",", ":"), ensure_ascii=False)
    found = definition_of(first)
    assert found.id == content_id(whole) == int(found.code, 16) >> 203
    renamed = first.model_copy(update={"name": "other", "redact": ["nothing-in-it"]})
    assert definition_of(renamed) == found


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
def test_different_requests_have_different_ids(change: dict[str, Any]) -> None:
    """Whichever part differs."""
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
def test_a_secret_written_into_a_plan_is_not_stored(request_: dict[str, Any]) -> None:
    """It is known by the names that are always secret and those that the plan names, in every part of a request."""
    method = {"method": "POST"} if {"raw", "form", "json"} & request_.keys() else {}
    found = definition(["Password"], **method, **request_)
    assert SECRET not in found.model_dump_json()
    assert "redacted" in found.model_dump_json()


def test_references_to_secrets_are_stored_as_they_are() -> None:
    """They are all that may be known of a secret, even under a secret's name."""
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


def test_plans_that_redact_differently_do_not_share_a_row() -> None:
    """The same request has a second row if a plan calls one of its fields secret. Another value makes a third row."""
    body = {"method": "POST", "json": {"password": SECRET}}
    shown, hidden, changed = (
        definition(**body),
        definition(["password"], **body),
        definition(["password"], method="POST", json={"password": "x"}),
    )
    assert len({shown.id, hidden.id, changed.id}) == 3
    assert hidden.body_template == changed.body_template == {"password": REDACTED}
    assert shown.body_template == {"password": SECRET}


@given(st.text("ab%&= ü/", min_size=1, max_size=9), st.sampled_from(["query", "form", "json", "headers"]))
def test_a_value_is_hidden_by_its_name_whatever_it_is(value: str, part: str) -> None:
    """Even if it is encoded, looks empty or is odd."""
    parsed = Plan.model_validate(
        good() | {"request": good()["request"] | {part: {"x-token": value}}, "redact": ["X-Token"]}
    )
    found = definition_of(parsed)
    stored = {"query": found.query_params, "headers": found.headers}.get(part, found.body_template)
    assert stored == {"x-token": REDACTED}

"""Secrets are resolved in requests and removed from texts."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.secrets.values import REDACTED, Redactor, Secrets
from domain.errors import ErrorCode, HoldfastError

SECRET = 'tr1cky "quo\\ted" ü&=/'  # noqa: S105 - the point of the test
VALUES = st.text(min_size=4, max_size=30).filter(lambda text: text.strip() == text and text not in REDACTED)


def test_a_missing_variable_is_reported_by_its_name() -> None:
    with pytest.raises(HoldfastError, match="NOPE") as raised:
        Secrets({}).resolve("Bearer ${env:NOPE}")
    assert raised.value.code is ErrorCode.SECRET_MISSING


def test_references_are_resolved_everywhere_in_json() -> None:
    """Values at any depth are resolved, keys are not."""
    secrets = Secrets({"A": "1", "B": "2", "HOLDFAST_SECRETS": "*"})
    assert secrets.resolve_json({"x": ["${env:A}-${env:B}", 3, {"y": "${env:A}"}]}) == {"x": ["1-2", 3, {"y": "1"}]}


@pytest.mark.parametrize("name", ["Authorization", "COOKIE", "set-cookie", "X-Api-Key", "my-token"])
def test_headers_are_redacted_by_name(name: str) -> None:
    """Four are always redacted, as are those that the plan names, in upper or lower case."""
    assert Redactor(["My-Token"], []).headers({name: "v", "accept": "*/*"}) == {name: REDACTED, "accept": "*/*"}


def test_json_fields_are_redacted_at_any_depth() -> None:
    """A body without such a field is kept byte for byte."""
    redactor = Redactor(["password"], [])
    assert json.loads(redactor.body('{"a": [{"Password": {"b": 1}}]}')) == {"a": [{"Password": REDACTED}]}
    assert redactor.body('{ "a" : 1 }') == '{ "a" : 1 }'


def test_query_values_are_redacted_by_name() -> None:
    """A URL without such a name is kept byte for byte."""
    redactor = Redactor(["token"], [])
    assert "abc" not in redactor.url("http://a/x?token=abc&b=1")
    assert redactor.url("http://a/x%20y?b=%2f") == "http://a/x%20y?b=%2f"


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_known_values_are_found_however_they_are_spelt(spelling: str) -> None:
    """Plain, percent-encoded, JSON-escaped and base64."""
    assert Redactor([], [SECRET]).text(f"before {spelling} after") == f"before {REDACTED} after"


@given(VALUES, st.text(max_size=20), st.text(max_size=20))
def test_a_known_value_never_survives(secret: str, before: str, after: str) -> None:
    """Whatever surrounds it, in text and in a JSON body."""
    redactor = Redactor([], [secret])
    assert secret not in redactor.text(before + secret + after).replace(REDACTED, "")
    body = redactor.body(json.dumps({"echo": before + secret + after}))
    assert json.dumps(secret)[1:-1] not in body.replace(REDACTED, "")

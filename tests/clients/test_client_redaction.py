"""No spelling of a secret survives, and what holds none is left as it is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.secrets import REDACTED, Redactor

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=24).filter(
    lambda text: not any(part in REDACTED for part in (text, text.strip("[]")))
)
"""Whatever an environment variable may hold, long enough to be searched for inside base64."""


def gson(text: str) -> str:
    """JSON as writers for HTML pages escape it."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    for sign in "=&<>'":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return escaped


JSON_WRITERS: list[Callable[[str], str]] = [
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    gson,
]
TEXT_WRITERS: list[Callable[[str], str]] = [
    str,
    lambda text: quote(text, safe=""),
    quote,
    quote_plus,
    lambda text: quote(text, safe="!'()*"),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
]


@pytest.mark.parametrize("write", JSON_WRITERS)
@given(secret=VALUES)
def test_no_json_writer_hides_a_secret(write: Callable[[str], str], secret: str) -> None:
    """JSON has many spellings of one text: a body is searched as it reads, not as it is written."""
    body = Redactor([], [secret]).body(f'{{"echo":"before {write(secret)} after"}}')
    assert json.loads(body) == {"echo": f"before {REDACTED} after"}


@pytest.mark.parametrize("write", TEXT_WRITERS)
@given(secret=VALUES)
def test_no_url_or_header_writer_hides_a_secret(write: Callable[[str], str], secret: str) -> None:
    """Percent-encoding by any library, and both alphabets of base64."""
    assert Redactor([], [secret]).text(f"<{write(secret)}>") == f"<{REDACTED}>"


def test_percent_encoding_has_no_case() -> None:
    """`%2F` and `%2f` are the same."""
    assert Redactor([], ["abc/def"]).url("http://a/?x=abc%2fdef") == f"http://a/?x={REDACTED}"


@given(
    before=st.binary(max_size=8), secret=st.text("abcdefgh0123", min_size=12, max_size=20), after=st.binary(max_size=8)
)
def test_a_secret_inside_base64_is_found_at_any_place(before: bytes, secret: str, after: bytes) -> None:
    """As in `Basic` user:password. What is left over from its edges is not enough to read it."""
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    cleaned = Redactor([], [secret]).text(encoded)
    assert REDACTED in cleaned
    assert len(cleaned.replace(REDACTED, "")) <= len(base64.b64encode(before + after)) + 8


def test_a_field_that_is_given_twice_is_redacted_twice() -> None:
    """The last one counts in JSON; the first one is in the text all the same."""
    for body in ('{"x":{"token":"s3cret"},"x":1}', '{"token":"s3cret","token":"s3cret"}'):
        assert "s3cret" not in Redactor(["token"], []).body(body)


def test_a_body_that_cannot_be_looked_through_is_not_kept() -> None:
    """Nesting deeper than the interpreter goes: rather nothing than something unseen."""
    for depth in (600, 100_000):
        assert Redactor(["token"], []).body("[" * depth + '{"token":"s3cret"}' + "]" * depth) == REDACTED


def test_a_secret_that_looks_like_the_placeholder_does_no_harm() -> None:
    """Placeholders are not searched again."""
    assert Redactor([], ["redacted", "s3cret"]).text("s3cret") == REDACTED


@pytest.mark.parametrize(
    ("url", "cleaned"),
    [
        ("http://a/x?token=1&q=a%20b%2f&flag", "http://a/x?token=%5Bredacted%5D&q=a%20b%2f&flag"),
        ("http://a/x?q=1&TOKEN=a%26b", "http://a/x?q=1&TOKEN=%5Bredacted%5D"),
        ("http://a/x?to%6Ben=1", "http://a/x?to%6Ben=%5Bredacted%5D"),
        ("http://[bad/x?token=1", "http://[bad/x?token=%5Bredacted%5D"),
        ("/x%20y?b=%2f#f", "/x%20y?b=%2f#f"),
    ],
)
def test_urls_change_where_the_secret_is_and_nowhere_else(url: str, cleaned: str) -> None:
    """Recorded URLs are compared later; and they are a peer's, so they may be no URLs at all."""
    assert Redactor(["token"], []).url(url) == cleaned


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text('xyz "\\/é'), st.lists))
def test_a_body_without_secrets_stays_byte_for_byte(value: object) -> None:
    """Captured bodies become rules: what is not secret must reach the caller unchanged."""
    body = json.dumps(value, indent=1, ensure_ascii=False)
    assert Redactor(["token"], ["s3cret"]).body(body) == body

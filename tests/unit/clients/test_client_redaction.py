"""Every spelling of a secret is removed, and texts without a secret stay as they are."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.secrets.values import REDACTED, Redactor

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=24).filter(
    lambda text: not any(part in REDACTED for part in (text, text.strip("[]")))
)
"""Anything that an environment variable may hold, long enough to be searched for inside base64."""


def gson(text: str) -> str:
    """Escape JSON as writers for HTML pages do."""
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
    """JSON has many spellings of the same text: a body is searched as it reads, not as it is written."""
    body = Redactor([], [secret]).body(f'{{"echo":"before {write(secret)} after"}}')
    assert json.loads(body) == {"echo": f"before {REDACTED} after"}


@pytest.mark.parametrize("write", TEXT_WRITERS)
@given(secret=VALUES)
def test_no_url_or_header_writer_hides_a_secret(write: Callable[[str], str], secret: str) -> None:
    """Percent-encoding by any library, and both alphabets of base64."""
    assert Redactor([], [secret]).text(f"<{write(secret)}>") == f"<{REDACTED}>"


def test_percent_encoding_is_found_in_either_case() -> None:
    """`%2F` and `%2f` mean the same."""
    assert Redactor([], ["abc/def"]).url("http://a/?x=abc%2fdef") == f"http://a/?x={REDACTED}"


@given(
    before=st.binary(max_size=8), secret=st.text("abcdefgh0123", min_size=12, max_size=20), after=st.binary(max_size=8)
)
def test_a_secret_inside_base64_is_found_at_any_offset(before: bytes, secret: str, after: bytes) -> None:
    """As in `user:password` of a `Basic` header. The characters left at its edges are not enough to read it."""
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    cleaned = Redactor([], [secret]).text(encoded)
    assert REDACTED in cleaned
    assert len(cleaned.replace(REDACTED, "")) <= len(base64.b64encode(before + after)) + 8


def test_a_field_that_is_given_twice_is_redacted_twice() -> None:
    """In JSON the last value counts, but the first one is in the text all the same."""
    for body in ('{"x":{"token":"s3cret"},"x":1}', '{"token":"s3cret","token":"s3cret"}'):
        assert "s3cret" not in Redactor(["token"], []).body(body)


def test_a_body_too_deep_to_search_is_not_kept() -> None:
    """Nesting deeper than the interpreter goes: keep nothing rather than something unsearched."""
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
def test_urls_change_only_where_the_secret_is(url: str, cleaned: str) -> None:
    """Recorded URLs are compared later. They come from peers, and may not be URLs at all."""
    assert Redactor(["token"], []).url(url) == cleaned


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text('xyz "\\/é'), st.lists))
def test_a_body_without_secrets_is_kept_byte_for_byte(value: object) -> None:
    """Captured bodies become rules: everything that is not secret must reach the caller unchanged."""
    body = json.dumps(value, indent=1, ensure_ascii=False)
    assert Redactor(["token"], ["s3cret"]).body(body) == body


FORM = "application/x-www-form-urlencoded; charset=utf-8"


def typed(kind: str) -> dict[str, str]:
    """Return headers with this content type; none if it is empty."""
    return {"CONTENT-type": kind} if kind else {}


@pytest.mark.parametrize(
    ("body", "kind", "cleaned"),
    [
        ("a=1&password=s3cret&b=%2f", FORM, "a=1&password=%5Bredacted%5D&b=%2f"),
        ("a=1&password=s3cret&b=%2f", "", "a=1&password=%5Bredacted%5D&b=%2f"),
        ("pass%77ord=s3cret", FORM, "pass%77ord=%5Bredacted%5D"),
        ("PASS%57ORD=s3cret&password=s3cret", "", "PASS%57ORD=%5Bredacted%5D&password=%5Bredacted%5D"),
        ("pass+word=s3cret", FORM, "pass+word=%5Bredacted%5D"),
        ("password=", FORM, "password=%5Bredacted%5D"),
        ('password=an open s3cret"', FORM, "password=%5Bredacted%5D"),
        ("password&a==&", FORM, "password&a==&"),
        ("<a href='?x=1&password=y'>see</a>", "text/html", "<a href='?x=1&password=%5Bredacted%5D'>see</a>"),
        ("<a href='?x=1&password=y'>see</a>", "", "<a href='?x=1&password=%5Bredacted%5D'>see</a>"),
        ("what is password=y&x", "text/plain", "what is password=y&x"),
        ('{"password":"s3cret"}', FORM, '{"password":"[redacted]"}'),
    ],
)
def test_fields_of_forms_are_redacted_by_name(body: str, kind: str, cleaned: str) -> None:
    """However the name is spelt, and even if no header declares a form. Everything else is kept byte for byte."""
    assert Redactor(["password", "Pass Word"], []).body(body, typed(kind)) == cleaned


def test_known_values_in_forms_are_redacted_as_well() -> None:
    """Under any name, percent-encoded or not."""
    assert (
        Redactor(["x"], ["s3 cret&"]).body("x=1&other=s3+cret%26", typed(FORM)) == f"x=%5Bredacted%5D&other={REDACTED}"
    )


def part(disposition: str, content: str, end: str = "\r\n") -> str:
    lines = ["--bound", f"Content-Disposition: form-data; {disposition}", "Content-Type: text/plain", "", content, ""]
    return end.join(lines)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("name", ['name="password"', 'filename="x"; name="PASSWORD"', "name=password"])
def test_parts_of_forms_are_redacted_by_name(name: str, end: str) -> None:
    """With all their content, blank lines included. The other parts are kept byte for byte."""
    around = part('name="a"', f"1{end}{end}password", end), part('name="b"', "2", end) + f"--bound--{end}"
    body = around[0] + part(name, f"s3cret{end}{end}s3cret", end) + around[1]
    expected = around[0] + part(name, REDACTED, end) + around[1]
    assert Redactor(["password"], []).body(body, typed("multipart/form-data; boundary=bound")) == expected
    assert Redactor(["password"], []).body(body) == expected


FIELDS = st.lists(st.tuples(st.text(min_size=1, max_size=6), st.text(max_size=8)), min_size=1, max_size=5)


@given(FIELDS, st.sampled_from(["token", "ToKeN", "a b", "ü"]), st.text("abc%&= ü", min_size=1, max_size=8))
def test_no_form_writer_hides_a_named_field(fields: list[tuple[str, str]], name: str, value: str) -> None:
    """The standard library writes and reads the forms: the named field is gone, all other fields are as they were."""
    body = urlencode([*fields, (name, value), *fields])
    redactor = Redactor(["token", "a b", "ü"], [])
    for kind in (FORM, ""):
        read = parse_qsl(redactor.body(body, typed(kind)), keep_blank_values=True)
        assert (name, value) not in read
        kept = [(key, text) for key, text in fields if key.strip().lower() not in redactor._names]
        assert [pair for pair in read if pair[1] != REDACTED] == [*kept, *kept]
        assert (name, REDACTED) in read


@given(st.text(), st.sampled_from(["", FORM, "multipart/form-data; boundary=x", "text/plain"]))
def test_a_body_without_named_fields_is_unchanged(body: str, kind: str) -> None:
    """Whatever its content type."""
    assert Redactor(["no-such-field"], []).body(body, typed(kind)) == body

"""Fields of form bodies, replaced by name: url-encoded, and in parts. What is no such body is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_plus

IsNamed = Callable[[str], bool]
"""Whether the value of a field of this name must not be kept."""

_PAIR = r"""[^\s&=<>"'{}]+=[^\s&<>"'{}]*"""
_FORM = re.compile(rf"{_PAIR}(?:&{_PAIR})*&?")
"""What a form looks like when nobody says that it is one: text, HTML and JSON never do."""
_FORM_TYPE = "application/x-www-form-urlencoded"
_PARTS = re.compile(r"(?:\r?\n)?--(?P<boundary>[^\r\n]{1,70})\r?\n")
_BLANK = re.compile(r"\r?\n\r?\n")
_NAME = re.compile(
    r"""^content-disposition:\s*form-data\b[^\r\n]*?;\s*name\s*=\s*(?:"([^"\r\n]*)"|([^;\s]+))""",
    re.IGNORECASE | re.MULTILINE,
)


def redacted_pairs(pairs: str, is_named: IsNamed, placeholder: str) -> str:
    """`a=1&password=x`, as in a query or a form: the values of named fields replaced, all else byte for byte."""

    def one(pair: str) -> str:
        name, equals, _ = pair.partition("=")
        return f"{name}={placeholder}" if equals and is_named(unquote_plus(name).strip()) else pair

    return "&".join(map(one, pairs.split("&")))


def is_form(body: str, content_type: str) -> bool:
    """Whether a body is a url-encoded form: because its type says so, or, without a type, by its shape."""
    if content_type:
        return content_type.lower().lstrip().startswith(_FORM_TYPE)
    return _FORM.fullmatch(body) is not None


def redacted_parts(body: str, is_named: IsNamed, placeholder: str) -> str:
    """multipart/form-data: the contents of named parts replaced, all else as it was, and other bodies too."""
    first = _PARTS.match(body)
    if first is None:
        return body
    divider = f"--{first['boundary']}"
    return divider.join(_part(part, is_named, placeholder) for part in body.split(divider))


def _part(part: str, is_named: IsNamed, placeholder: str) -> str:
    blank = _BLANK.search(part)
    found = _NAME.search(part[: blank.start()]) if blank else None
    if blank is None or found is None or not is_named((found[1] or found[2] or "").strip()):
        return part
    end = "\r\n" if part.endswith("\r\n") else "\n" if part.endswith("\n") else ""
    return part[: blank.end()] + placeholder + end

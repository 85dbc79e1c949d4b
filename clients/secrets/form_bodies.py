"""Redaction by field name in form bodies: url-encoded and multipart.

Other bodies are left unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_plus

Hides = Callable[[str, str], bool]
"""Whether a field's value must be hidden, given its name and value."""

_PAIR = r"""[^\s&=<>"'{}]+=[^\s&<>"'{}]*"""
_FORM = re.compile(rf"{_PAIR}(?:&{_PAIR})*&?")
"""Shape of a form without a content type.

Text, HTML and JSON never match it.
"""
_FORM_TYPE = "application/x-www-form-urlencoded"
_PARTS = re.compile(r"(?:\r?\n)?--(?P<boundary>[^\r\n]{1,70})\r?\n")
_BLANK = re.compile(r"\r?\n\r?\n")
_NAME = re.compile(
    r"""^content-disposition:\s*form-data\b[^\r\n]*?;\s*name\s*=\s*(?:"([^"\r\n]*)"|([^;\s]+))""",
    re.IGNORECASE | re.MULTILINE,
)


def redacted_pairs(pairs: str, hides: Hides, placeholder: str) -> str:
    """Replace the values of named fields in a query or form (`a=1&password=x`).

    Everything else stays byte for byte the same.
    """

    def redacted(pair: str) -> str:
        name, equals, value = pair.partition("=")
        hidden = equals and hides(unquote_plus(name).strip(), unquote_plus(value))
        return f"{name}={placeholder}" if hidden else pair

    return "&".join(map(redacted, pairs.split("&")))


def is_form(body: str, content_type: str) -> bool:
    """Check for a url-encoded form by content type, else by shape."""
    if content_type:
        return content_type.lower().lstrip().startswith(_FORM_TYPE)
    return _FORM.fullmatch(body) is not None


def redacted_parts(body: str, hides: Hides, placeholder: str) -> str:
    """Replace the contents of named parts in a multipart/form-data body.

    Everything else stays as it was. Bodies of other kinds stay unchanged.
    """
    first = _PARTS.match(body)
    if first is None:
        return body
    divider = f"--{first['boundary']}"
    return divider.join(_part(part, hides, placeholder) for part in body.split(divider))


def _part(part: str, hides: Hides, placeholder: str) -> str:
    blank = _BLANK.search(part)
    found = _NAME.search(part[: blank.start()]) if blank else None
    if blank is None or found is None:
        return part
    end = "\r\n" if part.endswith("\r\n") else "\n" if part.endswith("\n") else ""
    value = part[blank.end() :].removesuffix(end)
    return part[: blank.end()] + placeholder + end if hides((found[1] or found[2] or "").strip(), value) else part

"""Rules of the user request: what may be sent many times, which headers are legal, where secrets may stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workflows.contracts.errors import Problem
from workflows.contracts.plan import Method
from workflows.logic.wording import inner_path, near

SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key")
"""Headers whose values are secrets by definition; those that the plan's `redact` names are secrets too."""

OWN_HEADERS = {
    "baggage": "Holdfast sets it: it selects the failing services of a case",
    "content-length": "it follows from the body",
    "transfer-encoding": "it follows from the body",
    "connection": "it belongs to the connection, which the load generator keeps",
}
HARMLESS = ("GET", "HEAD")

_REFERENCE = re.compile(r"\$\{env:[A-Za-z_][A-Za-z0-9_]*\}")
_MEANT = re.compile(r"\$\{\s*env\b|\$env:", re.IGNORECASE)
"""What looks as if it should have been a reference, in bodies that may use `${...}` for themselves."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(r"[\r\n\x00]")
_INSIDE = ("url", "headers", "query", "json")
_HOW = "write ${env:NAME}, with NAME set where the worker is started"

Raw = dict[Any, Any]


def request_rules(request: Raw, redact: object) -> Iterator[Problem]:
    """Every broken rule of `request`."""
    method = request.get("method", "GET")
    if method in list(Method) and method not in HARMLESS and request.get("repeatable") is not True:
        yield Problem(
            path="request.repeatable",
            message=f"a {method} is sent many times, for real: by the analysis, the replay and the load test",
            hint="set repeatable: true when that does no harm",
        )
    headers = request.get("headers")
    if isinstance(headers, dict):
        named = [one.lower() for one in redact if isinstance(one, str)] if isinstance(redact, list) else []
        yield from _headers(headers, {*SECRET_HEADERS, *named})


def _headers(headers: Raw, secret: set[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for name, value in headers.items():
        path, plain = inner_path("request.headers", name), name.lower()
        if not _TOKEN.fullmatch(name):
            yield Problem(path=path, message="is not a header's name", hint="letters, digits and hyphens")
        elif plain in OWN_HEADERS:
            yield Problem(path=path, message="cannot be set by a plan", hint=OWN_HEADERS[plain])
        elif plain in seen:
            yield Problem(path=path, message="is given twice, in different case", hint="header names have no case")
        elif isinstance(value, str):
            yield from _header_value(path, value, secret=plain in secret)
        seen.add(plain)


def _header_value(path: str, value: str, *, secret: bool) -> Iterator[Problem]:
    if _NOT_IN_VALUES.search(value):
        yield Problem(path=path, message="must be one line", hint="a line break would begin another header")
    if secret and value.strip() and not _REFERENCE.search(value):
        yield Problem(
            path=path,
            message="a secret must not stand in a plan, which is stored and shown",
            hint=f"{_HOW}, for example Bearer ${{env:SHOP_TOKEN}}",
        )


def reference_rules(document: Raw) -> Iterator[Problem]:
    """References to secrets: well-formed, and only where they are resolved."""
    for path, text in _texts(document, ""):
        inside = path.startswith(tuple(f"request.{part}" for part in _INSIDE))
        rest = _REFERENCE.sub("", text)
        if not inside and (rest != text or "${env" in text):
            yield Problem(
                path=path,
                message="${env:NAME} is resolved in the request only, and would be taken literally here",
                hint="it may stand in request.url, request.headers, request.query and request.json",
            )
        elif inside and (_MEANT.search(rest) or ("${" in rest and path.startswith("request.headers"))):
            yield Problem(path=path, message="holds a reference that is not ${env:NAME}", hint=_how(rest))


def _how(text: str) -> str:
    """The likely spelling, when the name can be told."""
    found = re.search(r"\$\{?\s*(?:env\s*[:.]\s*)?([A-Za-z_][A-Za-z0-9_]*)\s*\}", text, re.IGNORECASE)
    if found is None or near(found[1], ["env"]):
        return _HOW
    return f"did you mean ${{env:{found[1][:40]}}}?"


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts(one, inner_path(path, name))
    elif isinstance(value, list):
        for position, one in enumerate(value):
            yield from _texts(one, inner_path(path, position))

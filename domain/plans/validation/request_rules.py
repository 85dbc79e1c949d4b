"""Rules for the user request.

They decide what may be sent many times, which headers are legal, and where secrets may stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from domain.errors import Problem
from domain.plans.request import Method
from domain.plans.validation.text_rules import texts_in
from domain.plans.validation.wording import inner_path, near, shown

SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key")
"""Headers whose values are secrets by definition. Headers that the plan's `redact` names are secrets, too."""

OWN_HEADERS = {
    "baggage": "Holdfast sets it: it selects the failing services of a case",
    "content-length": "it follows from the body",
    "transfer-encoding": "it follows from the body",
    "connection": "it belongs to the connection, which the load generator keeps",
}
HARMLESS = ("GET", "HEAD")
FORM_TYPE = "application/x-www-form-urlencoded"

REFERENCE = re.compile(r"\$\{(?:env:[A-Za-z_][A-Za-z0-9_]*|file:[A-Za-z0-9_][A-Za-z0-9._-]{0,252})\}")
"""Stands for a secret. It names a variable of the worker, or a file in its folder of secrets."""
_MEANT = re.compile(r"\$\{\s*(?:env\b|file\s*[:.])|\$(?:env|file):", re.IGNORECASE)
"""Text that was probably meant as a reference. Bodies may use `${...}` for purposes of their own, so nothing else is
reported there."""
_FILE = re.compile(r"\$\{?\s*file\s*[:.]", re.IGNORECASE)
_NO_REFERENCE = {
    False: "holds a reference that is not ${env:NAME}",
    True: "holds a reference that is not ${file:NAME}",
}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(r"[\r\n\x00]")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INSIDE = (
    "url",
    "headers",
    "query",
    "json",
    "form",
    "raw",
    *(f"login.{part}" for part in ("url", "headers", "json", "form")),
)
_IN_HEADERS = ("request.headers", "request.login.headers")
_HOW = "write ${env:NAME}, with NAME set where the worker is started"

Raw = dict[Any, Any]


def request_rules(request: Raw, redact: object) -> Iterator[Problem]:
    """Report every broken rule of `request`."""
    method = request.get("method", "GET")
    if method in list(Method) and method not in HARMLESS and request.get("repeatable") is not True:
        yield Problem(
            path="request.repeatable",
            message=f"a {method} is sent many times, for real: by the analysis, the replay and the load test",
            hint="set repeatable: true if that does no harm",
        )
    yield from headers_and_body(request, redact, "request")


def headers_and_body(request: Raw, redact: object, where: str) -> Iterator[Problem]:
    """Check the headers and body of a request or a login."""
    headers = request.get("headers")
    if isinstance(headers, dict):
        yield from _headers(headers, {*SECRET_HEADERS, *names_to_redact(redact)}, f"{where}.headers")
    yield from _body(request, where)


def names_to_redact(redact: object) -> list[str]:
    """Return the valid names in the plan's `redact`, in lower case."""
    return [name.lower() for name in redact if isinstance(name, str)] if isinstance(redact, list) else []


def _body(request: Raw, where: str) -> Iterator[Problem]:
    """Report a second body, a body on HEAD, or a wrong type."""
    given = [name for name in ("json", "form", "raw") if request.get(name) is not None]
    for name in given[1:]:
        message = f"a request has one body, and this one already has {given[0]}"
        yield Problem(path=f"{where}.{name}", message=message, hint=f"leave out {name}, or {given[0]}")
    if given and request.get("method") == "HEAD":
        yield Problem(path=f"{where}.{given[0]}", message="a HEAD has no body", hint="leave it out, or set the method")
    kind = _header(request, "content-type")
    if given[:1] == ["form"] and kind and not kind.lower().startswith(FORM_TYPE):
        path = inner_path(f"{where}.headers", "content-type")
        yield Problem(path=path, message=f"a form is sent as {FORM_TYPE}", hint="leave the header out, or use raw")


def _header(request: Raw, name: str) -> str:
    headers = request.get("headers")
    pairs = headers.items() if isinstance(headers, dict) else ()
    return next((value for key, value in pairs if key.lower() == name and isinstance(value, str)), "")


def _headers(headers: Raw, secret: set[str], where: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for name, value in headers.items():
        path = inner_path(where, name)
        plain = name.lower()
        if not _TOKEN.fullmatch(name):
            yield Problem(path=path, message="is not a header's name", hint="letters, digits and hyphens")
        elif plain in OWN_HEADERS:
            yield Problem(path=path, message="cannot be set by a plan", hint=OWN_HEADERS[plain])
        elif plain in seen:
            yield Problem(path=path, message="is given twice, in different case", hint="header names have no case")
        elif isinstance(value, (str, int)):
            yield from _header_value(path, str(value), secret=plain in secret)
        seen.add(plain)


def _header_value(path: str, value: str, *, secret: bool) -> Iterator[Problem]:
    if _NOT_IN_VALUES.search(value):
        yield Problem(path=path, message="must be one line", hint="a line break would begin another header")
    elif _CONTROL.search(value):
        yield Problem(path=path, message="holds a control character, which headers must not have", hint="leave it out")
    if secret and value.strip() and not REFERENCE.search(value):
        yield Problem(
            path=path,
            message="a secret must not be in a plan, which is stored and shown",
            hint=f"{_HOW}, for example Bearer ${{env:SHOP_TOKEN}}",
        )


def reference_rules(document: Raw) -> Iterator[Problem]:
    """Report secret references that are malformed, or not resolved where they stand."""
    for path, text in texts_in(document, ""):
        inside = path.startswith(tuple(f"request.{part}" for part in _INSIDE))
        rest = REFERENCE.sub("", text)
        if not inside and (rest != text or "${env" in text or "${file:" in text):
            yield Problem(
                path=path,
                message="${env:NAME} is resolved in the request only, and would be used literally here",
                hint="it is allowed in request.url, headers, query, json, form and raw, and in request.login",
            )
        elif inside and (_MEANT.search(rest) or ("${" in rest and path.startswith(_IN_HEADERS))):
            yield Problem(path=path, message=_NO_REFERENCE[_FILE.search(rest) is not None], hint=_reference_hint(rest))
    for part in ("query", "form", "json", "login.form", "login.json"):
        for path, name in _in_names(_given(document, part), f"request.{part}"):
            message = f"{shown(name)} is the name of a field, in which ${{env:NAME}} would be sent as it is"
            yield Problem(path=path, message=message, hint="references are resolved in values")


def _given(document: Raw, part: str) -> Any:
    found = document.get("request")
    for step in part.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _in_names(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield references in the names of fields, with each field's place."""
    if isinstance(value, dict):
        for name, child in value.items():
            where = inner_path(path, name)
            if isinstance(name, str) and REFERENCE.search(name):
                yield where, name
            yield from _in_names(child, where)
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _in_names(child, inner_path(path, position))


def _reference_hint(text: str) -> str:
    """Return the likely spelling, if the name can be recognised."""
    if _FILE.search(text):
        return "write ${file:NAME}, with NAME a file in the worker's folder of secrets: letters, digits, . _ and -"
    found = re.search(r"\$\{?\s*(?:env\s*[:.]\s*)?([A-Za-z_][A-Za-z0-9_]*)\s*\}", text, re.IGNORECASE)
    if found is None or near(found[1], ["env"]):
        return _HOW
    return f"did you mean ${{env:{found[1][:40]}}}?"

"""A plan's request as stored: in the peers' terms, without secrets.

References to secrets stay references. A secret written in the plan itself is replaced if its name is listed in
`redact` or is always redacted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeVar

from clients.http.requests import JSON_TYPE, TEXT_TYPE
from clients.secrets.values import REDACTED, Redactor
from domain.base import Contract
from domain.plans.canonical import canonical_request, content_id, sha256
from domain.plans.plan import Plan
from domain.plans.request import Login, Method, Request
from domain.plans.validation.request_rules import FORM_TYPE

_REFERENCES = re.compile(
    r"\s*((bearer|basic|token)\s+)?(\$\{(?:env:[A-Za-z_][A-Za-z0-9_]*|file:[A-Za-z0-9_][A-Za-z0-9._-]{0,252})\})+\s*",
    re.IGNORECASE,
)
"""A value that consists only of references to secrets.

An Authorization scheme (`Bearer`) may precede them. The value reveals nothing until the references are resolved.
"""
_LONGEST_NAME = 128

Fields = dict[str, str | list[str]]
R = TypeVar("R", Request, Login)


class BodyMode(StrEnum):
    """Kinds of request body, as the peers name them."""

    NONE = "NONE"
    JSON = "JSON"
    FORM = "FORM"
    RAW = "RAW"


class RequestDefinition(Contract):
    """A stored request: first the peers' columns (`peer-contract` section 6), then ours."""

    id: int
    """Content id: the same request has the same id everywhere.

    It is the `reqDefId` at the proxy.
    """
    code: str
    """SHA-256 of the content, in hex."""
    name: str
    """Display name: method and address, truncated."""
    method: Method
    url_template: str
    headers: dict[str, str]
    query_params: Fields
    body_mode: BodyMode
    content_type: str | None
    """Content type that will be sent; None without a body."""
    body_template: Any = None
    """The JSON value or the form fields."""
    raw_body: str | None = None
    timeout_us: int
    repeatable: bool


class DefinitionRedactor(Redactor):
    """A redactor that keeps references: a definition may name a secret."""

    def __init__(self, field_names: Iterable[str]) -> None:
        super().__init__(field_names, [])

    def hides(self, name: str, value: object) -> bool:
        """Hide a value by its name, unless it consists only of references."""
        return super().hides(name, value) and not (isinstance(value, str) and _REFERENCES.fullmatch(value))

    def fields(self, fields: Fields) -> Fields:
        """Redact query or form fields, checking each of several values separately."""
        return {
            name: [self._kept(name, item) for item in value] if isinstance(value, list) else self._kept(name, value)
            for name, value in fields.items()
        }

    def _kept(self, name: str, value: str) -> str:
        return REDACTED if self.hides(name, value) else value

    def json_value(self, value: Any) -> Any:
        """Redact a JSON body, field by field at any depth."""
        return json.loads(self.body(json.dumps(value)))


def definition_of(plan: Plan) -> RequestDefinition:
    """Build the stored definition of a plan's request."""
    request = plan.request
    redactor = DefinitionRedactor(plan.redact)
    stored = _redacted(request, redactor)
    content = _content(request, stored)
    mode = _mode(stored)
    return RequestDefinition(
        id=content_id(content),
        code=sha256(content),
        name=f"{stored.method} {stored.url}"[:_LONGEST_NAME],
        method=stored.method,
        url_template=stored.url,
        headers=stored.headers,
        query_params=stored.query,
        body_mode=mode,
        content_type=_content_type(stored, mode),
        body_template=stored.form if mode is BodyMode.FORM else stored.json_body,
        raw_body=stored.raw,
        timeout_us=round(stored.timeout.total_seconds() * 1_000_000),
        repeatable=stored.repeatable,
    )


def without_secrets(plan: Plan) -> Request:
    """Return a plan's request and login, safe to show with the plan."""
    redactor = DefinitionRedactor(plan.redact)
    shown = _redacted(plan.request, redactor)
    login = plan.request.login
    return shown if login is None else shown.model_copy(update={"login": _redacted(login, redactor)})


def _redacted(request: R, redactor: DefinitionRedactor) -> R:
    """Replace the values of secret names wherever they appear in the request."""
    changes: dict[str, Any] = {
        "url": redactor.url(request.url),
        "headers": redactor.headers(request.headers),
        "json_body": redactor.json_value(request.json_body),
        "form": None if request.form is None else redactor.fields(request.form),
    }
    if isinstance(request, Request):
        changes["query"] = redactor.fields(request.query)
        changes["raw"] = None if request.raw is None else redactor.body(request.raw, request.headers)
    return request.model_copy(update=changes)


def _content(request: Request, stored: Request) -> str:
    """Return the text that the id is computed from.

    It is the whole request, followed by the redacted one if they differ. Otherwise a plan that redacts a field would
    share its row with a plan that does not, and that row holds the value.
    """
    whole = canonical_request(request)
    shown = canonical_request(stored)
    return whole if whole == shown else f"{whole}\n{shown}"


def _mode(request: Request) -> BodyMode:
    modes = {"form": BodyMode.FORM, "raw": BodyMode.RAW, "json": BodyMode.JSON}
    return next((mode for name, mode in modes.items() if name in request.body_fields), BodyMode.NONE)


def _content_type(request: Request, mode: BodyMode) -> str | None:
    types = {BodyMode.FORM: FORM_TYPE, BodyMode.RAW: TEXT_TYPE, BodyMode.JSON: JSON_TYPE}
    given = (value for name, value in request.headers.items() if name.lower() == "content-type")
    return next(given, types[mode]) if mode in types else None

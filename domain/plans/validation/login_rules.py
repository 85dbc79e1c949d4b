"""Rules for the login: one authorization, and no password in a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domain.errors import Problem
from domain.plans.validation.request_rules import REFERENCE, Raw, headers_and_body, names_to_redact
from domain.plans.validation.wording import inner_path

_PASSWORDS = ("password", "passwd", "pwd", "passphrase", "secret", "clientsecret", "apikey", "pin", "otp")
"""Names of fields whose values are secrets in any system. Compared without hyphens, underscores and case."""


def login_rules(request: Raw, redact: object) -> Iterator[Problem]:
    """Report every broken rule of `request.login`."""
    login = request.get("login")
    headers = request.get("headers")
    if not isinstance(login, dict):
        return
    for name in headers if isinstance(headers, dict) else ():
        if isinstance(name, str) and name.lower() == "authorization":
            yield Problem(
                path=inner_path("request.headers", name),
                message="the login's token is sent in this header",
                hint="leave it out, or request.login",
            )
    if login.get("method") == "HEAD":
        message = "the answer to a HEAD has no body, and therefore no token"
        yield Problem(path="request.login.method", message=message, hint="leave it out: a login is a POST by default")
    yield from headers_and_body(login, redact, "request.login")
    secret = {_plain(name) for name in names_to_redact(redact)} | set(_PASSWORDS)
    for part in ("json", "form"):
        for path in _literal(login.get(part), f"request.login.{part}", secret):
            yield Problem(
                path=path,
                message="a secret must not be in a plan, which is stored and shown",
                hint="write ${env:NAME}, with NAME set where the worker is started",
            )


def _literal(value: Any, path: str, secret: set[str]) -> Iterator[str]:
    """Yield the paths of secret fields whose values stand in the plan.

    A field is secret by its name.
    """
    if isinstance(value, dict):
        for name, child in value.items():
            where = inner_path(path, name) if isinstance(name, str) else path
            if isinstance(name, str) and _plain(name) in secret and _is_literal(child):
                yield where
            else:
                yield from _literal(child, where, secret)
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _literal(child, inner_path(path, position), secret)


def _is_literal(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_literal(item) for item in value)
    if isinstance(value, str):
        return bool(value) and not REFERENCE.search(value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")

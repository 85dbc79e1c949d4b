"""Secrets: named in plans, resolved at the moment of use, and removed from everything that is kept."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.plan import Plan

REDACTED = "[redacted]"
ALWAYS_REDACTED = frozenset({"authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"})
_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_SHORTEST_SECRET = 4
"""A shorter value would be found everywhere by accident."""


class Secrets:
    """The worker's environment, as far as plans name it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the variables; they are read at each use."""
        self._environ = environ
        self._known: set[str] = set()

    def references(self, text: str) -> list[str]:
        """The names in `${env:NAME}` references."""
        return _REFERENCE.findall(text)

    def resolve(self, text: str) -> str:
        """Put the values in.

        Raises:
            HoldfastError: SECRET_MISSING naming the variable.
        """

        def value(match: re.Match[str]) -> str:
            found = self._environ.get(match[1])
            if found is None:
                raise HoldfastError(
                    ErrorCode.SECRET_MISSING,
                    f"the worker has no environment variable {match[1]}",
                    hint="set it where the worker is started",
                )
            return found

        return _REFERENCE.sub(value, text)

    def resolve_json(self, value: Any) -> Any:
        """Resolve every text in a JSON value."""
        if isinstance(value, str):
            return self.resolve(value)
        if isinstance(value, list):
            return [self.resolve_json(one) for one in value]
        if isinstance(value, dict):
            return {name: self.resolve_json(one) for name, one in value.items()}
        return value

    def know(self, text: str) -> None:
        """Remember the values of the references in a text, to keep them out of whatever leaves the worker."""
        self._known.update(self.values(text))

    def redact(self, text: str) -> str:
        """Without any value that is known, however it is spelt: for errors, which may quote a peer."""
        return Redactor([], self._known).text(text)

    def values(self, text: str) -> list[str]:
        """The values of the references in a text, those that are set."""
        return [self._environ[name] for name in self.references(text) if name in self._environ]


class Redactor:
    """Replaces secrets by `[redacted]`: by field name, and known values wherever and however they are spelt."""

    def __init__(self, field_names: Iterable[str], secret_values: Iterable[str]) -> None:
        """Field names are compared without case; values shorter than four characters are left to the field names."""
        self._names = ALWAYS_REDACTED | {name.lower() for name in field_names}
        spellings = {form for value in secret_values if len(value) >= _SHORTEST_SECRET for form in _spellings(value)}
        # The longest first, so that no spelling is broken by a shorter one inside it.
        self._known = sorted(spellings, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Without any known secret value."""
        for value in self._known:
            text = text.replace(value, REDACTED)
        return text

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Header values by name, then by value."""
        return {name: REDACTED if name.lower() in self._names else self.text(value) for name, value in headers.items()}

    def body(self, body: str) -> str:
        """A JSON body field by field, at any depth; any other by value."""
        try:
            parsed = json.loads(body)
        except ValueError:
            return self.text(body)
        if not isinstance(parsed, (dict, list)):
            return self.text(body)
        cleaned = self._json(parsed)
        return self.text(body if cleaned == parsed else json.dumps(cleaned, separators=(",", ":")))

    def url(self, url: str) -> str:
        """Query values by name, then everything by value. A URL without such names stays byte for byte."""
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        if any(name.lower() in self._names for name, _ in pairs):
            cleaned = [(name, REDACTED if name.lower() in self._names else value) for name, value in pairs]
            url = urlunsplit(parts._replace(query=urlencode(cleaned)))
        return self.text(url)

    def _json(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._json(one) for one in value]
        if isinstance(value, dict):
            return {name: REDACTED if name.lower() in self._names else self._json(one) for name, one in value.items()}
        return value


def _spellings(value: str) -> set[str]:
    """A value as it may appear on the wire: plain, percent-encoded, JSON-escaped, base64 alone."""
    encoded = base64.b64encode(value.encode()).decode()
    forms = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], encoded, encoded.rstrip("=")}
    return {form for form in forms if form}


def redactor_for(plan: Plan, secrets: Secrets) -> Redactor:
    """A plan's redactor: its `redact` names, and the values of every reference in its request."""
    text = json.dumps(plan.request.model_dump(mode="json", by_alias=True))
    return Redactor(plan.redact, secrets.values(text))

"""Secrets: named in plans, resolved at the moment of use, and removed from everything that is kept."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from clients.form_bodies import is_form, redacted_pairs, redacted_parts
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.plan import Plan

REDACTED = "[redacted]"
ALWAYS_REDACTED = frozenset({"authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"})
_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_LEARNED = 100
"""Tokens that are kept out of what is stored: a worker that runs for months is given many."""
_SHORTEST_SECRET = 4
"""A shorter value would be found everywhere by accident."""
_SHORTEST_FRAGMENT = 8
"""The same for what a value leaves inside the base64 of something longer."""
_ESCAPES_LEFT_BY_SOME = ("/", "!'()*", "!'()*/")
"""Characters that some writers of URLs do not percent-encode."""
_HEX = re.compile("%[0-9A-F]{2}")


class Secrets:
    """The worker's environment, as far as plans name it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the variables; they are read at each use."""
        self._environ = environ
        self._known: set[str] = set()
        self._learned: deque[str] = deque(maxlen=_MOST_LEARNED)

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

    def learn(self, value: str) -> None:
        """Remember a value that no plan names, such as the token of a login."""
        self._known.add(value)
        self._learned.append(value)

    @property
    def learned(self) -> list[str]:
        """The latest values of this kind; those before them are not valid any more."""
        return list(self._learned)

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
        # In one pass, the longest first: no spelling is broken by a shorter one inside it, no placeholder is searched.
        longest_first = sorted(spellings, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hides(self, name: str, value: object) -> bool:
        """Whether the value of a header or field is replaced: by its name, whatever it is."""
        return name.lower() in self._names

    def text(self, text: str) -> str:
        """Without any known secret value."""
        return self._known.sub(REDACTED, text) if self._known else text

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Header values by name, then by value."""
        return {name: REDACTED if self.hides(name, value) else self.text(value) for name, value in headers.items()}

    def body(self, body: str, headers: Mapping[str, str] | None = None) -> str:
        """A JSON body field by field, at any depth, its texts as they read without escapes; forms field by field too.

        Any other by value. Without a content type in its headers, a form is known by its shape. A body in which
        nothing is found stays byte for byte.
        """
        named = False

        def by_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            # Sees every pair, also one that a later one of the same name replaces.
            nonlocal named
            named = named or any(self.hides(name, value) for name, value in pairs)
            return {name: REDACTED if self.hides(name, value) else value for name, value in pairs}

        try:
            parsed = json.loads(body, object_pairs_hook=by_name)
            cleaned = self._by_value(parsed)
        except RecursionError:
            return REDACTED  # too deep to be looked through
        except ValueError:
            kinds = (value for name, value in (headers or {}).items() if name.lower() == "content-type")
            return self._no_json(body, next(kinds, ""))
        return self.text(json.dumps(cleaned, separators=(",", ":")) if named or cleaned != parsed else body)

    def _no_json(self, body: str, content_type: str) -> str:
        if is_form(body, content_type):
            return self.text(redacted_pairs(body, self.hides, quote(REDACTED)))
        return self.text(redacted_parts(body, self.hides, REDACTED))

    def url(self, url: str) -> str:
        """Query values by name, then everything by value. All else stays byte for byte."""
        before, mark, query = url.partition("?")
        return self.text(before + mark + redacted_pairs(query, self.hides, quote(REDACTED)))

    def _by_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._by_value(one) for one in value]
        if isinstance(value, dict):
            return {self.text(name): self._by_value(one) for name, one in value.items()}
        return value


def _spellings(value: str) -> set[str]:
    """A value as it may appear on the wire: plain, percent-encoded, JSON-escaped, base64 alone or within more."""
    forms = {value, *_percent_encoded(value), *_base64(value.encode(errors="replace"))}
    for ascii_only in (True, False):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        forms |= {escaped, escaped.replace("/", "\\/")}
    return {form for form in forms if form}


def _percent_encoded(value: str) -> Iterator[str]:
    safe = {quote(value, safe=left, errors="replace") for left in ("", *_ESCAPES_LEFT_BY_SOME)}
    for form in {*safe, quote_plus(value, errors="replace")}:
        yield form
        yield _HEX.sub(lambda code: code[0].lower(), form)


def _base64(value: bytes) -> Iterator[str]:
    """In both alphabets: alone, and the part that is certain whatever stands around it, as in `Basic` user:password."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(value).decode()
        yield from (alone, alone.rstrip("="))
        for shift, unsure in ((0, 0), (1, 2), (2, 3)):
            fragment = encode(bytes(shift) + value).decode()[unsure : (shift + len(value)) * 8 // 6]
            if len(fragment) >= _SHORTEST_FRAGMENT:
                yield fragment


def redactor_for(plan: Plan, secrets: Secrets) -> Redactor:
    """A plan's redactor: its `redact` names, and the values of every reference in its request.

    Of a login also the tokens, and the field in which they come: another worker's are not known here.
    """
    text = json.dumps(plan.request.model_dump(mode="json", by_alias=True))
    login = plan.request.login
    fields = plan.redact if login is None else [*plan.redact, login.token.rpartition(".")[2]]
    return Redactor(fields, [*secrets.values(text), *secrets.learned])

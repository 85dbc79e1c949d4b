"""Removal of known secret values and named fields before storing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from clients.secrets.encodings import layers
from clients.secrets.form_bodies import is_form, redacted_pairs, redacted_parts
from clients.secrets.named_fields import REDACTED, NamedFields, Replacement
from clients.secrets.spellings import Finder, TooDeepError

ALWAYS_REDACTED = frozenset({"authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"})
LONGEST_TEXT = 4 * 1024 * 1024
"""Longest text to search, in bytes.

A longer text is not searched, and therefore not kept.
"""

_TOO_LONG = "…"


class KnownValues:
    """All secrets known so far.

    Redactors read them at each use, so a secret learned later counts too.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = dict.fromkeys(values)
        self._finder: Finder | None = None
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """Add a secret."""
        with self._lock:
            if value not in self._values:
                self._values[value] = None
                self._finder = None

    def forget(self, value: str) -> None:
        """Drop a secret that is no longer valid."""
        with self._lock:
            self._values.pop(value, None)
            self._finder = None

    @property
    def finder(self) -> Finder:
        """A finder for all known secrets, rebuilt after each change."""
        with self._lock:
            if self._finder is None:
                self._finder = Finder(self._values)
            return self._finder


class Redactor:
    """Redactor that replaces secrets with `[redacted]`, by field name and by value.

    Known values are found anywhere and in any spelling.
    """

    def __init__(self, field_names: Iterable[str], secret_values: Iterable[str] | KnownValues) -> None:
        """Take the field names, compared without case, and the secret values.

        Values shorter than four characters are not searched for: only field names can hide them.
        """
        self._names = ALWAYS_REDACTED | {name.lower() for name in field_names}
        self._known = secret_values if isinstance(secret_values, KnownValues) else KnownValues(secret_values)
        self._fields = NamedFields(self._names, self.hides)

    def hides(self, name: str, value: object) -> bool:
        """Return whether a header or field is redacted.

        Only the name decides here. A subclass may look at the value as well (`clients/http/request_definitions.py`).
        """
        return name.lower() in self._names

    def text(self, text: str, *, cut: bool = False) -> str:
        """Redact every known secret value.

        With `cut`, the text may end within a secret: the beginning of a secret at its end is redacted too.
        """
        return self._redact_text(text, by_name=False, cut=cut)

    def shown(self, text: str, longest: int) -> str:
        """Redact every known secret value, then cut to `longest` characters."""
        cleaned = self.text(text)
        return cleaned if len(cleaned) <= longest else cleaned[:longest] + _TOO_LONG

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Redact headers, by name and by what their values hold.

        A value may hold named fields of its own, as in `Location: /?token=x`.
        """
        return {
            self.text(name): REDACTED if self.hides(name, value) else self._redact_text(value, by_name=True, cut=False)
            for name, value in headers.items()
        }

    def body(self, body: str, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> str:
        """Redact a body, by field name and by known value.

        JSON is redacted field by field at any depth, including JSON inside its strings. In any other body, fields are
        recognised by what they look like. Without a content type in its headers, a form is recognised by its shape. A
        body in which nothing is found stays byte for byte the same. A body too long or too deep to search is replaced
        as a whole. With `cut`, `body` is only the beginning of a body, and the beginning of a secret at its end is
        redacted too.
        """
        if len(body) > LONGEST_TEXT:
            return REDACTED
        try:
            return self._redact_json(body, cut=cut)
        except RecursionError:
            return REDACTED  # nested too deep to search
        except ValueError:
            kinds = (value for name, value in (headers or {}).items() if name.lower() == "content-type")
            return self._redact_non_json(body, next(kinds, ""), cut=cut)

    def url(self, url: str) -> str:
        """Redact a URL.

        Query and fragment are redacted by name first, then the whole by name and by value. Everything else stays byte
        for byte the same.
        """
        before, fragment, behind = url.partition("#")
        before, mark, query = before.partition("?")
        query = redacted_pairs(query, self.hides, quote(REDACTED))
        behind = redacted_pairs(behind, self.hides, quote(REDACTED))
        return self._redact_text(before + mark + query + fragment + behind, by_name=True, cut=False)

    def _redact_json(self, body: str, *, cut: bool) -> str:
        named = False

        def by_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            # The hook sees every pair, including a duplicate that a later pair of the same name replaces.
            nonlocal named
            named = named or any(self.hides(name, value) for name, value in pairs)
            return {name: REDACTED if self.hides(name, value) else value for name, value in pairs}

        parsed = json.loads(body, object_pairs_hook=by_name)
        inside = self._by_name_inside(parsed)
        written = _dumped(inside) if named or inside != parsed else body
        cleaned = self.text(written, cut=cut)
        if cleaned != written and not cut and not _is_json(cleaned):
            # The match was a number or crossed fields. Redact value by value instead, so that JSON stays JSON.
            return self.text(_dumped(self._by_value(inside)))
        return cleaned

    def _by_name_inside(self, value: Any) -> Any:
        """Redact by name the fields inside strings, such as JSON in JSON."""
        if isinstance(value, str):
            if not self._fields.may_match(value.encode(errors="surrogatepass")):
                return value
            return self._redact_nested(value)
        if isinstance(value, list):
            return [self._by_name_inside(item) for item in value]
        if isinstance(value, dict):
            return {name: self._by_name_inside(item) for name, item in value.items()}
        return value

    def _redact_nested(self, text: str) -> str:
        if text.lstrip()[:1] in ("{", "["):
            try:
                return self._redact_json(text, cut=False)
            except ValueError:
                pass
        return self._redact_text(text, by_name=True, cut=False)

    def _by_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value if self.text(json.dumps(value)) == json.dumps(value) else REDACTED
        if isinstance(value, list):
            return [self._by_value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._by_value(item) for name, item in value.items()}
        return value

    def _redact_non_json(self, body: str, content_type: str, *, cut: bool) -> str:
        if is_form(body, content_type):
            body = redacted_pairs(body, self.hides, quote(REDACTED))
            return self._redact_text(body, by_name=False, cut=cut)
        body = redacted_parts(body, self.hides, REDACTED)
        return self._redact_text(body, by_name=True, cut=cut)

    def _redact_text(self, text: str, *, by_name: bool, cut: bool) -> str:
        """Redact a text in one pass, by value and optionally by name."""
        # One pass: a shorter match cannot break up a longer spelling around it, and no placeholder is searched.
        finder = self._known.finder
        if cut:
            text = text.rstrip("\ufffd")  # a character that was cut in half
        if not text or not (by_name or finder):
            return text
        data = text.encode(errors="surrogatepass")
        if len(data) > LONGEST_TEXT:
            return REDACTED
        if by_name and not finder and not self._fields.may_match(data):
            return text
        reading = layers(data)
        if reading.deeper:
            return REDACTED
        hidden = self._fields.find(reading.forms) if by_name else []
        try:
            found = finder.spans(reading.forms, cut=cut)
        except TooDeepError:
            return REDACTED
        # The first decoded layer knows where the outermost escapes lie in the written text. No span may split one.
        first_decoded = reading.forms[min(1, len(reading.forms) - 1)]
        placeholder = REDACTED.encode()
        hidden += [
            Replacement(*_widen_to_characters(data, *first_decoded.widened(*span)), placeholder) for span in found
        ]
        return _replace_spans(data, hidden).decode(errors="surrogatepass") if hidden else text


def _widen_to_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Widen a span until it begins and ends between two characters."""
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end += 1
    return start, end


def _replace_spans(data: bytes, hidden: list[Replacement]) -> bytes:
    """Replace every span; spans that overlap are replaced as one.

    The replacement is that of the span containing the others. When none contains the others, it is `[redacted]`.
    """
    replaced = bytearray()
    last = 0
    hidden.sort(key=lambda span: (span.start, -span.end))
    index = 0
    while index < len(hidden):
        start, end, instead = hidden[index]
        index += 1
        # Merge every span that begins within this one.
        while index < len(hidden) and hidden[index].start < end:
            if hidden[index].end > end:
                end = hidden[index].end
                instead = REDACTED.encode()
            index += 1
        replaced += data[last:start] + instead
        last = end
    return bytes(replaced + data[last:])


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

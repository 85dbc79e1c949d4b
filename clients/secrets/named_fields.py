"""Fields hidden by name, in whole documents, fragments and any other text.

Nothing is parsed, because bodies seldom match their content type: they may be JSON lines, JSONP, or only the first four
kilobytes of something. A field is its name, followed by what follows a name in JSON, XML, a query or a header, and then
a value. The value ends where such values end, or at the end of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote

from clients.secrets.encodings import Form

REDACTED = "[redacted]"

Hides = Callable[[str, str], bool]
"""Whether a field's value must be hidden, given its name and value."""

_TAG = re.compile(rb"<[^<>]*>?")
_USER_INFO = re.compile(rb"://([^/?#\s\"'<>@\\]{0,512}@)")
_IN_STRING = {mark: re.compile(rb"\\.|" + mark, re.DOTALL) for mark in (b'"', b"'")}
_BRACKETS = re.compile(rb"[\[\]{}\"']")
_BARE = re.compile(rb"[^,}\]\r\n\"'<]*")


class Replacement(NamedTuple):
    """A span of the written text, and what stands there instead."""

    start: int
    end: int
    instead: bytes


class NamedFields:
    """Finder for the values of a set of field names."""

    def __init__(self, names: Iterable[str], hides: Hides) -> None:
        """Take field names, in any case, and a check for each match."""
        spellings = sorted({form for name in names for form in (name, name.lower(), name.upper()) if name}, key=len)
        any_name = (
            b"(?P<name>" + b"|".join(re.escape(name.encode(errors="replace")) for name in reversed(spellings)) + b")"
        )

        def pattern(text: bytes) -> re.Pattern[bytes]:
            return re.compile(text.replace(b"NAME", any_name), re.IGNORECASE | re.MULTILINE)

        self._hides = hides
        self._any = pattern(rb"NAME")
        # JSON, such as {"token": "x"}, also with single quotes
        self._quoted = pattern(rb"(?P<quote>[\"'])\s{0,8}NAME\s{0,8}(?P=quote)\s*(?::|=>)\s*")
        # Names without quotes, such as {token: "x"}
        self._bare = pattern(rb"(?:(?<=[{,(\s])|^)NAME\s{0,8}:\s*(?=[\"'{\[])")
        # As in Token: x
        self._line = pattern(rb"^[ \t>|*-]{0,16}NAME[ \t]{0,8}:[ \t]*(?P<value>[^\r\n]+)")
        # As in ?token=x
        self._pair = pattern(rb"(?<=[?&;#])NAME=(?P<value>[^&;#\s\"'<>\\]*)")
        # As in <token>x</token>
        self._element = pattern(rb"<(?:[\w.-]{1,64}:)?NAME(?:\s[^<>]*)?>")
        self._element_ends = pattern(rb"</(?:[\w.-]{1,64}:)?NAME\s*>")
        # As in <a token="x">
        self._attribute = pattern(rb"(?:(?<=[\s\"'<:])|^)NAME\s{0,8}=\s{0,8}(?=[\"'])")
        # As in <input name="token" value="x">, <entry key="token">x</entry>
        self._naming = pattern(rb"\b(?:name|key|id)\s{0,8}=\s{0,8}(?P<quote>[\"']?)NAME(?P=quote)(?=[\s/>])")
        self._value = pattern(rb"\bvalue\s{0,8}=\s{0,8}(?=[\"'])")

    def may_match(self, text: bytes) -> bool:
        """Return whether a text may hold any field, in any spelling."""
        # An escape may spell a name, and `@` may end a user and password in a URL.
        return b"\\" in text or b"%" in text or b"&" in text or b"@" in text or self._any.search(text) is not None

    def find(self, forms: list[Form]) -> list[Replacement]:
        """Find every value to hide; `forms` are the layers of the text.

        The spans refer to the written text.
        """
        return [found for form in forms for found in self._hidden_in(form, forms[0])]

    def _hidden_in(self, form: Form, written: Form) -> Iterator[Replacement]:
        for user in _USER_INFO.finditer(form.data):
            start, end = user.span(1)
            yield Replacement(form.began(start), form.ended(end), REDACTED.encode() + b"@")
        if self._any.search(form.data) is None:
            return
        search = _Search(form, written, self._hides)
        for match in self._quoted.finditer(form.data):
            yield from search.hide_value(match["name"], match.end(), match.start("quote"))
        for pattern in (self._bare, self._attribute):
            # Each pattern searches from the front.
            fresh = _Search(form, written, self._hides)
            for match in pattern.finditer(form.data):
                yield from fresh.hide_value(match["name"], match.end(), None)
        for match in self._pair.finditer(form.data):
            yield from search.hide_span(match["name"], *match.span("value"), quote(REDACTED).encode())
        for match in self._line.finditer(form.data):
            # Once an escape is undone, the line may lie inside a string: stop at its quote to keep the string intact.
            start, line_end = match.span("value")
            end = line_end if form is written else form.data.find(b'"', start, line_end)
            yield from search.hide_span(match["name"], start, line_end if end < 0 else end, REDACTED.encode())
        yield from self._in_markup(form, search)

    def _in_markup(self, form: Form, search: _Search) -> Iterator[Replacement]:
        last = 0
        for match in self._element.finditer(form.data):
            if match.start() < last or match[0].endswith(b"/>"):
                continue
            closing = self._element_ends.search(form.data, match.end())
            last = closing.start() if closing else len(form.data)
            yield from search.hide_span(match["name"], match.end(), last, REDACTED.encode())
        for tag in _TAG.finditer(form.data):
            naming = self._naming.search(form.data, *tag.span())
            if naming is None:
                continue
            value = self._value.search(form.data, *tag.span())
            if value is not None:
                yield from _Search(form, search.written, self._hides).hide_value(naming["name"], value.end(), None)
            after = form.data.find(b"<", tag.end())
            content = form.data[tag.end() : after if after >= 0 else len(form.data)]
            if tag[0].endswith(b">") and not tag[0].endswith(b"/>") and content.strip():
                yield from search.hide_span(naming["name"], tag.end(), tag.end() + len(content), REDACTED.encode())


class _Search:
    """Front-to-back search of one reading that skips values already found."""

    def __init__(self, form: Form, written: Form, hides: Hides) -> None:
        self._form = form
        self.written = written
        self._hides = hides
        self._searched_to = 0

    def hide_span(self, name: bytes, start: int, end: int, instead: bytes) -> Iterator[Replacement]:
        """Hide the bytes `start` to `end` if the field requires it."""
        data = self._form.data
        if end > start and self._hides(name.decode(errors="replace"), data[start:end].decode(errors="replace")):
            yield Replacement(self._form.began(start), self._form.ended(end), instead)

    def hide_value(self, name: bytes, start: int, quoted_at: int | None) -> Iterator[Replacement]:
        """Hide the value at `start`: a string, bracketed value or word.

        Args:
            name: Name of the field.
            start: Where the value begins in this reading.
            quoted_at: Where the quote before the field's name is; None when the name has no quote.
        """
        data = self._form.data
        if start < self._searched_to or start >= len(data):
            return
        first = data[start : start + 1]
        if first in (b'"', b"'"):
            end = self._string_end(start)
            self._searched_to = end
            # Hide an empty string as well: that the secret is empty is itself secret.
            if self._hides(name.decode(errors="replace"), data[start + 1 : end].decode(errors="replace")):
                yield Replacement(self._form.ended(start + 1), self._form.began(end), REDACTED.encode())
            return
        mark = b'"' if quoted_at is None else self._spelling(quoted_at)
        if first in (b"{", b"["):
            end = self._bracket_end(start, None if quoted_at is None else mark)
            self._searched_to = end
        else:
            found = _BARE.match(data, start)
            end = start + len(found[0].rstrip()) if found else start
        yield from self.hide_span(name, start, end, mark + REDACTED.encode() + mark)

    def _spelling(self, index: int) -> bytes:
        """Return how the byte at `index` is spelt in the written text."""
        return self.written.data[self._form.began(index) : self._form.ended(index + 1)]

    def _string_end(self, start: int) -> int:
        """Return the index of the closing quote, else of the end.

        The closing quote is spelt like the opening one in the written text, and is not escaped.
        """
        data = self._form.data
        mark = self._spelling(start)
        for found in _IN_STRING[data[start : start + 1]].finditer(data, start + 1):
            if len(found[0]) == 1 and self._spelling(found.start()) == mark:
                return found.start()
        return len(data)

    def _bracket_end(self, start: int, mark: bytes | None) -> int:
        """Return the index after the matching bracket, ignoring brackets in strings."""
        data = self._form.data
        depth = 0
        at = start
        while (found := _BRACKETS.search(data, at)) is not None:
            at = found.end()
            sign = found[0]
            if sign in (b'"', b"'"):
                spelling = self._spelling(found.start())
                mark = spelling if mark is None and sign == b'"' else mark
                if spelling == mark:
                    at = self._string_end(found.start()) + 1
                continue
            depth += 1 if sign in (b"{", b"[") else -1
            if depth == 0:
                return at
        return len(data)

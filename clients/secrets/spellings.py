"""Search for known secrets in a text, in any spelling.

Escapes are undone layer by layer in the text and in the secrets, and the two are compared after each layer. Anything
that may be base64 or hex is decoded, from every offset where a byte may begin, and searched in the same way. The work
is bounded in layers, in nested packings (base64 and hex) and in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from clients.secrets.encodings import Form, Known, Packed, Unpacker, cut_layers, layers

SHORTEST_SECRET = 4
"""Shortest secret to search for, in characters.

A shorter value would match everywhere by accident, so it cannot be kept out by value.
"""
MOST_PACKINGS = 3
"""Most levels of base64 and hex inside each other."""
_WORK_PER_BYTE = 64
_WORK_AT_LEAST = 1 << 20
_REPEATED = 256
"""Longest secret, in bytes, whose overlapping occurrences are searched for."""
_SPELT_LONGER = 12
"""Most bytes that spell one byte of a secret at a cut.

Enough for a letter in UTF-8, percent-encoded twice.
"""
_CUT_MARGIN = 64
_CUT_AT_LEAST = 3
"""Fewest leading bytes of a secret that count as its beginning.

This applies to the end of decoded base64 or hex.
"""


class Span(NamedTuple):
    """A range of positions in a text."""

    start: int
    end: int


class TooDeepError(Exception):
    """The error for a search that exceeds its bound of work."""


class Finder:
    """Finder for a set of secrets."""

    def __init__(self, values: Iterable[str]) -> None:
        """Take the values; ignore those shorter than `SHORTEST_SECRET` characters."""
        needles: set[bytes] = set()
        for value in values:
            for text in {value, value.strip()}:
                if len(text) >= SHORTEST_SECRET:
                    needles |= _readings(text)
        self._needles = sorted(needles, key=lambda spelling: (-len(spelling), spelling))
        self._unpacker = Unpacker(len(self._needles[-1])) if self._needles else None
        self.work = 0
        """Bytes that the last search compared."""
        self._work_limit = 0

    def __bool__(self) -> bool:
        """Return whether there is any secret to find."""
        return bool(self._needles)

    def spans(self, forms: list[Form], *, cut: bool = False) -> list[Span]:
        """Find every span of the written text that spells a secret.

        `forms` are the layers of the text. With `cut`, the text may end within a secret: the beginning of a secret at
        its end counts as well.

        Raises:
            TooDeepError: when the work exceeds its bound.
        """
        if not self._needles:
            return []
        written = len(forms[0].data)
        self.work, self._work_limit = 0, _WORK_PER_BYTE * written + _WORK_AT_LEAST
        found = self._in_forms(forms, MOST_PACKINGS)
        if cut and (begun := self._cut_at(forms[0].data, MOST_PACKINGS, 1)) is not None:
            found.append(Span(begun, written))
        return found

    def _in_forms(self, forms: list[Form], packings: int) -> list[Span]:
        found: list[Span] = []
        known: Known = set()
        for form in forms:
            found += [Span(form.began(start), form.ended(end)) for start, end in self._find_all(form.data)]
            if packings and self._unpacker:
                for packed in self._unpacker.unpacked(form, known):
                    found += self._in_packed(packed, form, packings - 1)
        return found

    def _in_packed(self, packed: Packed, around: Form, packings: int) -> list[Span]:
        found = []
        for start, end in self._in_forms(layers(packed.data).forms, packings):
            first, last = packed.began(start), packed.ended(end)
            while around.data[last : last + 1] == b"=":  # the padding belongs to the encoded secret
                last += 1
            found.append(Span(around.began(first), around.ended(last)))
        return found

    def _cut_at(self, data: bytes, packings: int, at_least: int) -> int | None:
        """Find where a secret cut off at the text's end begins."""
        before = max(0, len(data) - _SPELT_LONGER * len(self._needles[0]) - _CUT_MARGIN)
        places = []
        for form in cut_layers(data[before:]):
            begun = self._cut_prefix_start(form.data, at_least)
            if begun is not None:
                places.append(form.began(begun))
            for packed in self._unpacker.last(form.data) if packings and self._unpacker else ():
                inside = self._cut_at(packed.data, packings - 1, _CUT_AT_LEAST)
                if inside is not None:
                    places.append(form.began(packed.began(inside)))
        return before + min(places) if places else None

    def _find_all(self, data: bytes) -> list[Span]:
        """Find every occurrence of a secret, reading a plus as a space."""
        self.work += len(data)
        if self.work > self._work_limit:
            raise TooDeepError
        # In a form, a plus stands for a space. The needles were folded in the same way.
        folded = data.replace(b"+", b" ")
        return [span for needle in self._needles for span in _occurrences(folded, needle)]

    def _cut_prefix_start(self, data: bytes, at_least: int) -> int | None:
        """Find the longest secret prefix that ends the text; return its start."""
        folded = data[-len(self._needles[0]) :].replace(b"+", b" ")
        longest = 0
        for needle in self._needles:
            length = min(len(needle) - 1, len(folded))
            # Try, from the back, each place in the secret that holds the last byte of the text.
            while length > max(longest, at_least - 1):
                length = needle.rfind(folded[-1:], 0, length) + 1
                if length > max(longest, at_least - 1) and folded.endswith(needle[:length]):
                    longest = length
                    break
                length -= 1
        return len(data) - longest if longest else None


def _readings(value: str) -> set[bytes]:
    """Return the byte strings to search for.

    These are the secret as written and with its own escapes undone, in UTF-8, and the secret in Latin-1 where that has
    all of its characters.
    """
    found = {form.data for form in layers(value.encode(errors="surrogatepass")).forms}
    if not value.isascii():
        with suppress(UnicodeEncodeError):
            found.add(value.encode("latin-1"))
    return {reading.replace(b"+", b" ") for reading in found if len(reading) >= SHORTEST_SECRET}


def _occurrences(data: bytes, needle: bytes) -> list[Span]:
    found = []
    size = len(needle)
    start = data.find(needle)
    while start >= 0:
        end = start + size
        found.append(Span(start, end))
        while size <= _REPEATED and (again := data.rfind(needle, start + 1, end + size - 1)) >= 0:
            start = again
            end = again + size
            found.append(Span(start, end))
        start = data.find(needle, end)
    return found

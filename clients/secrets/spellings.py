"""Where known secrets stand in a text, however they are spelt.

Both are brought to the same reading: escapes are undone layer by layer in the text and in the secrets, and after each
layer they are compared; what may be base64 or hex is unpacked, at every place where a byte may begin, and looked
through in the same way. The work is bounded: in layers, in packings inside each other, and in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from clients.secrets.encodings import Form, Known, Packed, Unpacker, cut_layers, layers

SHORTEST_SECRET = 4
"""Characters. A shorter value would be found everywhere by accident: it is no secret that can be kept out by value."""
MOST_PACKINGS = 3
"""Base64 and hex inside each other."""
_WORK_PER_BYTE = 64
_WORK_AT_LEAST = 1 << 20
_REPEATED = 256
"""Bytes of a secret up to which occurrences that overlap are looked for."""
_SPELT_LONGER = 12
"""How many times longer than a secret its spelling at a cut may be: percent twice, of UTF-8, of a letter."""
_CUT_MARGIN = 64
_CUT_AT_LEAST = 3
"""Bytes at the end of something unpacked that must begin a secret before they count as a part of one."""


class Span(NamedTuple):
    """A stretch of a text."""

    start: int
    end: int


class TooDeepError(Exception):
    """The text has more layers, or costs more, than is looked through."""


class Finder:
    """Finds a set of secrets."""

    def __init__(self, values: Iterable[str]) -> None:
        """Take the values; those shorter than `SHORTEST_SECRET` characters are left out."""
        needles: set[bytes] = set()
        for value in values:
            for text in {value, value.strip()}:
                if len(text) >= SHORTEST_SECRET:
                    needles |= _readings(text)
        self._needles = sorted(needles, key=lambda one: (-len(one), one))
        self._unpacker = Unpacker(len(self._needles[-1])) if self._needles else None
        self.work = 0
        """Bytes that the last search looked through."""
        self._most = 0

    def __bool__(self) -> bool:
        """Whether there is anything to find."""
        return bool(self._needles)

    def spans(self, forms: list[Form], *, cut: bool = False) -> list[Span]:
        """Every stretch that spells a secret, in the text as it is written; `forms` are its layers.

        With `cut`, the text may have been cut within a secret: what begins one at the end counts as well.

        Raises:
            TooDeepError: when the work exceeds its bound.
        """
        if not self._needles:
            return []
        written = len(forms[0].data)
        self.work, self._most = 0, _WORK_PER_BYTE * written + _WORK_AT_LEAST
        found = self._in_forms(forms, MOST_PACKINGS)
        if cut and (begun := self._cut_at(forms[0].data, MOST_PACKINGS, 1)) is not None:
            found.append(Span(begun, written))
        return found

    def _in_forms(self, forms: list[Form], packings: int) -> list[Span]:
        found: list[Span] = []
        known: Known = set()
        for form in forms:
            found += [Span(form.began(start), form.ended(end)) for start, end in self._in(form.data)]
            if packings and self._unpacker:
                for packed in self._unpacker.unpacked(form, known):
                    found += self._in_packed(packed, form, packings - 1)
        return found

    def _in_packed(self, packed: Packed, around: Form, packings: int) -> list[Span]:
        found = []
        for start, end in self._in_forms(layers(packed.data).forms, packings):
            first, last = packed.began(start), packed.ended(end)
            while around.data[last : last + 1] == b"=":  # the padding belongs to it
                last += 1
            found.append(Span(around.began(first), around.ended(last)))
        return found

    def _cut_at(self, data: bytes, packings: int, at_least: int) -> int | None:
        """From where on a text that was cut may spell the beginning of a secret, to its end."""
        before = max(0, len(data) - _SPELT_LONGER * len(self._needles[0]) - _CUT_MARGIN)
        places = []
        for form in cut_layers(data[before:]):
            begun = self._begun(form.data, at_least)
            if begun is not None:
                places.append(form.began(begun))
            for packed in self._unpacker.last(form.data) if packings and self._unpacker else ():
                inside = self._cut_at(packed.data, packings - 1, _CUT_AT_LEAST)
                if inside is not None:
                    places.append(form.began(packed.began(inside)))
        return before + min(places) if places else None

    def _in(self, data: bytes) -> list[Span]:
        """Every occurrence of a secret, compared as forms are: a plus is a space."""
        self.work += len(data)
        if self.work > self._most:
            raise TooDeepError
        folded = data.replace(b"+", b" ")
        return [span for needle in self._needles for span in _occurrences(folded, needle)]

    def _begun(self, data: bytes, at_least: int) -> int | None:
        """Where the longest beginning of a secret stands with which a text ends."""
        folded = data[-len(self._needles[0]) :].replace(b"+", b" ")
        longest = 0
        for needle in self._needles:
            length = min(len(needle) - 1, len(folded))
            # From one place where the last byte of the text stands in the secret to the one before it.
            while length > max(longest, at_least - 1):
                length = needle.rfind(folded[-1:], 0, length) + 1
                if length > max(longest, at_least - 1) and folded.endswith(needle[:length]):
                    longest = length
                    break
                length -= 1
        return len(data) - longest if longest else None


def _readings(value: str) -> set[bytes]:
    """A secret as written and with its own escapes undone, in UTF-8, and in Latin-1 where that has its characters."""
    found = {form.data for form in layers(value.encode(errors="surrogatepass")).forms}
    if not value.isascii():
        with suppress(UnicodeEncodeError):
            found.add(value.encode("latin-1"))
    return {one.replace(b"+", b" ") for one in found if len(one) >= SHORTEST_SECRET}


def _occurrences(data: bytes, needle: bytes) -> list[Span]:
    found, size = [], len(needle)
    start = data.find(needle)
    while start >= 0:
        end = start + size
        found.append(Span(start, end))
        while size <= _REPEATED and (again := data.rfind(needle, start + 1, end + size - 1)) >= 0:
            start, end = again, again + size
            found.append(Span(start, end))
        start = data.find(needle, end)
    return found

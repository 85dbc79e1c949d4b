"""Decoded text, with a map back to the text as written.

Services spell one value in many ways: percent-encoded, with JSON's escapes, as HTML entities, in base64 or hex, and
each of these inside the others. A list of a secret's spellings would always miss some. Decoding one layer after the
other until nothing changes covers every mixture.
"""

from __future__ import annotations

import binascii
import re
import string
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from html.entities import html5
from typing import NamedTuple

MOST_LAYERS = 10
"""Most layers of escapes to undo.

Text with more layers is not searched, and therefore not kept.
"""

_UNIT = re.compile(
    rb"%u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}"
    rb"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    rb"|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[0-3][0-7]{2}"
    rb"|\\[\"'\\/bfnrt]"
    rb"|&#[0-9]{1,7};?|&#[xX][0-9A-Fa-f]{1,6};?|&[A-Za-z][A-Za-z0-9]{1,30};"
)
_PLAIN_ESCAPES = {
    b"\\b": b"\b", b"\\f": b"\f", b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t",
    b'\\"': b'"', b"\\'": b"'", b"\\\\": b"\\", b"\\/": b"/",
}  # fmt: skip
_PERCENT = {f"%{code:02x}".encode(): bytes([code]) for code in range(256)}
_CUT_UNIT = re.compile(rb"(?:%[0-9A-Fa-fu]{0,4}|\\[uUx]?[0-9A-Fa-f{\\uU]{0,11}|&#?[A-Za-z0-9]{0,30})\Z")

_BASE64_ALPHABET = rb"[A-Za-z0-9+/_-]"
_HEX_LETTERS = b"0123456789abcdefABCDEF"
_BASE64_LETTERS = (string.ascii_letters + string.digits + "+/_-").encode()
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BREAKS = re.compile(rb"\r?\n")


class Form:
    """One reading of a text: its bytes, mapped to the written text."""

    def __init__(self, data: bytes, written: int, at: array[int] | None = None) -> None:
        """Take the bytes and their positions in the written text.

        Args:
            data: The bytes of this reading.
            written: Length of the written text, in bytes.
            at: Position in the written text for each byte of `data`. None: `data` is the written text.
        """
        self.data = data
        self._written = written
        self._at = at

    def began(self, index: int) -> int:
        """Return where the byte at `index` begins in the written text.

        For a byte that came from an escape, this is the start of the escape.
        """
        if self._at is None:
            return index
        return self._at[index] if index < len(self._at) else self._written

    def ended(self, index: int) -> int:
        """Return where the byte before `index` ends in the written text.

        For a byte that came from an escape, this is the end of the escape.
        """
        if self._at is None or index == 0:
            return index
        following = bisect_right(self._at, self._at[index - 1], lo=index - 1)
        return self._at[following] if following < len(self._at) else self._written

    def widened(self, start: int, end: int) -> tuple[int, int]:
        """Widen a span of the written text until it splits no escape.

        Only escapes that this reading has undone count.
        """
        if self._at is None:
            return start, end
        first = bisect_right(self._at, start) - 1
        last = bisect_left(self._at, end)
        return (self._at[first] if first >= 0 else start), (self._at[last] if last < len(self._at) else self._written)

    def undone(self) -> Form | None:
        """Undo one layer of escapes; return None when there is none."""
        data = self.data
        out = bytearray()
        at = array("I")
        last = 0
        for unit in _UNIT.finditer(data):
            meaning = _meaning(unit[0])
            if meaning is None:
                continue
            start = unit.start()
            out += data[last:start]
            at.extend(self._places(last, start))
            out += meaning
            at.extend([self.began(start)] * len(meaning))
            last = unit.end()
        if not last:
            return None
        out += data[last:]
        at.extend(self._places(last, len(data)))
        return Form(bytes(out), self._written, at)

    def _places(self, start: int, end: int) -> array[int] | range:
        return range(start, end) if self._at is None else self._at[start:end]


class Reading(NamedTuple):
    """All decoded layers of a text."""

    forms: list[Form]
    """The text as written, then the text after each undone layer."""
    deeper: bool
    """Whether there are more than `MOST_LAYERS` layers."""


def layers(data: bytes) -> Reading:
    """Undo escapes layer by layer, until nothing changes, and return every layer."""
    forms = [Form(data, len(data))]
    while len(forms) <= MOST_LAYERS:
        undone = forms[-1].undone()
        if undone is None:
            return Reading(forms, deeper=False)
        forms.append(undone)
    return Reading(forms, deeper=forms[-1].undone() is not None)


def cut_layers(data: bytes) -> Iterator[Form]:
    """Yield the layers of a truncated text, without an escape cut short."""
    form: Form | None = Form(data, len(data))
    for _ in range(MOST_LAYERS + 1):
        if form is None:
            return
        form.data = _CUT_UNIT.sub(b"", form.data)
        yield form
        form = form.undone()


def _meaning(unit: bytes) -> bytes | None:
    """Decode an escape; return None when it only looks like one."""
    first, second = unit[:1], unit[1:2]
    if first == b"%":
        return _PERCENT[unit.lower()] if second != b"u" else _character(int(unit[2:], 16))
    if first == b"\\":
        plain = _PLAIN_ESCAPES.get(unit)
        return plain if plain is not None else _escaped(unit)
    if second == b"#":
        digits = unit[2:].rstrip(b";")
        return _character(int(digits[1:], 16) if digits[:1] in b"xX" else int(digits))
    named = html5.get(unit[1:].decode())
    return None if named is None else named.encode()


def _escaped(unit: bytes) -> bytes | None:
    kind = unit[1:2]
    if kind == b"x":
        return bytes([int(unit[2:], 16)])
    if kind in b"0123":
        return bytes([int(unit[1:], 8)])
    if len(unit) == 12:  # a surrogate pair: two escapes, one character
        return bytes.fromhex(unit[2:6].decode() + unit[8:].decode()).decode("utf-16-be").encode()
    return _character(int(unit[2:].strip(b"{}"), 16))


def _character(code: int) -> bytes | None:
    return chr(code).encode(errors="surrogatepass") if code < 0x110000 else None


Known = set[tuple[re.Pattern[bytes], int, bytes]]
"""Runs already read, by alphabet, place in the written text, and letters."""


class Packed(NamedTuple):
    """Bytes decoded from base64 or hex, starting at one possible offset."""

    data: bytes
    runs: list[int]
    """Where each run of letters begins among all joined letters."""
    places: list[int]
    """Where each run begins in the surrounding text."""
    shift: int
    """Letters skipped at the beginning."""
    bits: int
    """Bits per letter: 6 for base64, 4 for hex."""

    def began(self, index: int) -> int:
        """Return where the byte at `index` begins in the surrounding text."""
        return self._place(self.shift + index * 8 // self.bits)

    def ended(self, index: int) -> int:
        """Return where the byte before `index` ends in the surrounding text."""
        return self._place(self.shift - (-index * 8 // self.bits) - 1) + 1

    def _place(self, letter: int) -> int:
        run = bisect_right(self.runs, letter) - 1
        return self.places[run] + letter - self.runs[run]


class Unpacker:
    """Decoder for base64 and hex runs long enough to hold a secret."""

    def __init__(self, shortest: int) -> None:
        """Take the length of the shortest secret, in bytes."""
        least = max(4, -(-shortest * 8 // 6))
        self._base64 = re.compile(rb"%s{%d,}(?:\r?\n%s+)*" % (_BASE64_ALPHABET, least, _BASE64_ALPHABET))
        self._hex = re.compile(rb"[0-9A-Fa-f]{%d,}" % max(8, 2 * shortest))

    def last(self, data: bytes) -> Iterator[Packed]:
        """Yield every decoding of the run that ends a truncated text.

        The run may be of any length, because the rest of it may have been cut off.
        """
        whole = data.rstrip(b"=")
        start = len(whole.rstrip(_BASE64_LETTERS))
        for shift in range(min(4, len(whole) - start)):
            rest = whole[start + shift :].translate(_URL_SAFE)
            read = binascii.a2b_base64(rest + b"A" * (-len(rest) % 4))
            yield Packed(read[: len(rest) * 6 // 8], [0], [start], shift, 6)
        start = len(data.rstrip(_HEX_LETTERS))
        for shift in range(min(2, len(data) - start)):
            rest = data[start + shift :]
            yield Packed(bytes.fromhex(rest[: len(rest) // 2 * 2].decode()), [0], [start], shift, 4)

    def unpacked(self, form: Form, known: Known) -> Iterator[Packed]:
        """Decode every run that is not `known`, and add it there.

        A byte may begin at any letter, so each run is decoded from every possible offset.
        """
        letters, runs, places = _letters(self._base64, form, known)
        letters = letters.translate(_URL_SAFE)
        for shift in range(4) if letters else ():
            rest = letters[shift:]
            short = -len(rest) % 4
            read = binascii.a2b_base64(rest + b"A" * short)
            yield Packed(read[: len(rest) * 6 // 8], runs, places, shift, 6)
        letters, runs, places = _letters(self._hex, form, known)
        for shift in range(2) if letters else ():
            rest = letters[shift:]
            yield Packed(bytes.fromhex(rest[: len(rest) // 2 * 2].decode()), runs, places, shift, 4)


def _letters(run: re.Pattern[bytes], form: Form, known: Known) -> tuple[bytes, list[int], list[int]]:
    """Join all new runs and their lines into one string of letters.

    Returns the letters, where each line begins among them, and where it begins in the form.
    """
    found = []
    begins = []
    places = []
    length = 0
    for match in run.finditer(form.data):
        start = match.start()
        # The key has the position: the same letters elsewhere are another occurrence of the secret.
        key = (run, form.began(start), match[0])
        if key in known:
            continue
        known.add(key)
        for line in _pieces(match[0]):
            begins.append(length)
            places.append(start + line[0])
            found.append(line[1])
            length += len(line[1])
    return b"".join(found), begins, places


def _pieces(run: bytes) -> Iterator[tuple[int, bytes]]:
    last = 0
    for gap in _BREAKS.finditer(run):
        yield last, run[last : gap.start()]
        last = gap.end()
    yield last, run[last:]

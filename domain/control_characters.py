"""Control characters, and how to show text without a display obeying them.

Every output of Holdfast (terminal, report, log, Web UI) passes its finished text through this module once, as the last
step. Plans, peers, services and names of runs may contain anything, and in this way no new field can be forgotten.
"""

from __future__ import annotations

import re

_STEERING = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 (ESC starts terminal commands), DEL and C1; not tab and line feed
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # invisible: soft hyphen, joiners, fillers, marks
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, line separators, bidirectional overrides and isolates
    r"\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\ud800-\udfff"  # lone surrogates: half a character, which cannot be encoded
    r"\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
STEERING = re.compile(f"[{_STEERING}]")
"""Characters that no display may receive.

Control, bidirectional, zero-width and other invisible format characters. Tabs and line feeds are not among them,
because documents have lines. Nor are the variation selectors U+FE00 to U+FE0F, because they only choose a glyph."""

_IN_A_LINE = re.compile(f"[\t\n{_STEERING}]")
_SPACED = {"\t": " ", "\n": " ", "\r": " "}


def visible(text: str) -> str:
    r"""Escape each control character as JSON does (`\u202e`).

    Tabs and line feeds stay. JSON text still means the same afterwards.
    """
    return STEERING.sub(_escaped, text)


def visible_line(text: str) -> str:
    r"""Escape like `visible`, and turn tabs and line ends into spaces."""
    return _IN_A_LINE.sub(lambda found: _SPACED.get(found.group()) or _escaped(found), text.replace("\r\n", "\n"))


def _escaped(found: re.Match[str]) -> str:
    # JSON only has escapes for UTF-16 code units: characters above 0xFFFF take two of them.
    units = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))

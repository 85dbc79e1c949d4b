"""Characters that steer a display instead of being shown, and how text is shown without obeying them.

Every form that leaves Holdfast (terminal, report, log, Web UI) passes its finished text through here once, at its
end: plans, peers, services and names of runs may hold anything, and a new field cannot be forgotten.
"""

from __future__ import annotations

import re

_STEERING = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 (ESC begins what terminals obey), DEL and C1; not tabs and ends of lines
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # invisible: soft hyphen, joiners, fillers, marks
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, line separators, bidirectional overrides and isolates
    r"\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\ud800-\udfff"  # half a character: nothing can encode it
    r"\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
STEERING = re.compile(f"[{_STEERING}]")
"""What no display may get: control, bidirectional, zero-width and other invisible format characters.

Tabs and line feeds are not in it: documents have lines. Variation selectors are not: they only choose a glyph."""

_IN_A_LINE = re.compile(f"[\t\n{_STEERING}]")
_SPACED = {"\t": " ", "\n": " ", "\r": " "}


def visible(text: str) -> str:
    r"""The text with each steering character spelt as JSON spells it (`\u202e`); tabs and line feeds stay.

    JSON that passes through stays the same JSON.
    """
    return STEERING.sub(_spelt, text)


def visible_line(text: str) -> str:
    r"""The same on one line: tabs and ends of lines are spaces."""
    return _IN_A_LINE.sub(lambda found: _SPACED.get(found.group()) or _spelt(found), text.replace("\r\n", "\n"))


def _spelt(found: re.Match[str]) -> str:
    # In UTF-16 units, two of them beyond 0xFFFF: the only spelling that JSON knows.
    units = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))

"""How problems speak: paths, values cut short, the nearest valid word. No value of a header is ever shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from domain.errors import Problem

MOST_PROBLEMS_IN_TEXT = 10
"""In a sentence; all of them are in the failure's details."""
_SHOWN = 80
_LISTED = 12
_CLOSE = 0.6
_LONGEST_COMPARED = 200
"""Comparing is quadratic; no valid word is longer."""
MOST_COMPARED = 200
"""Names among which the nearest is looked for."""
_MOST_LOOKED_FOR = 20
_SECRET_PLACES = tuple(f"request.{part}" for part in ("headers", "query", "json", "form", "raw", "url", "login"))

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "text"),
    (int, "a number"),
    (float, "a number"),
    (dict, "a mapping"),
    (list, "a list"),
)


def inner_path(path: str, part: int | str) -> str:
    """One step down: `services[2]`, then `services[2].fault`. A name that is no plain word is put in quotes."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    plain = part.replace("-", "").replace("_", "").isalnum() and part.isascii()
    name = cut(part) if plain else f"'{cut(part)}'"
    return f"{path}.{name}" if path else name


def path_of(parts: Sequence[int | str]) -> str:
    """`("services", 2, "fault")` as `services[2].fault`."""
    path = ""
    for part in parts:
        path = inner_path(path, part)
    return path


def printable(text: str) -> str:
    """A text on one line, without what a terminal would obey instead of showing it."""
    line = text.encode(errors="backslashreplace").decode()
    return "".join(one if one.isprintable() else "?" for one in line)


def cut(text: str) -> str:
    """A text on one line, cut to what a message can hold."""
    line = printable(text[: _SHOWN + 1])
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def kind_of(value: object) -> str:
    """What a value is, for people."""
    if value is None:
        return "nothing"
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


def shown(value: object) -> str:
    """A value in a message: scalars themselves, cut; anything larger by its kind."""
    if value is None or isinstance(value, (dict, list)):
        return kind_of(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        # A number too long to print would raise.
        return cut(str(value)) if value.bit_length() <= 256 else "a very long number"
    return f"'{cut(value)}'" if isinstance(value, str) else cut(str(value))


def may_be_secret(path: str) -> bool:
    """Whether a value at this path must not appear in a message."""
    return path.startswith(_SECRET_PLACES)


def near(word: object, valid: Iterable[str]) -> str | None:
    """The nearest valid word: spelt nearly so, or in another case (`faultTtl` for `fault_ttl`)."""
    if not isinstance(word, str) or len(word) > _LONGEST_COMPARED:
        return None
    by_plain = {_plain(one): one for one in valid}
    found = get_close_matches(_plain(word), by_plain, n=1, cutoff=_CLOSE)
    return by_plain[found[0]] if found else None


class Nearest:
    """The nearest of some words, looked for a few times: of many for many takes longer than a workflow may think."""

    def __init__(self, valid: Iterable[str]) -> None:
        """Of more words than are compared, none is ever found."""
        words = list(valid)
        self._valid = words if len(words) <= MOST_COMPARED else []
        self._left = _MOST_LOOKED_FOR

    def of(self, word: object) -> str | None:
        """As `near`; None also for all but the first few."""
        self._left -= 1
        return near(word, self._valid) if self._left >= 0 else None


def did_you_mean(word: str) -> str:
    """A hint that names a word, which may be the plan's own."""
    return f"did you mean {shown(word)}?"


def suggestion(word: object, valid: Iterable[str]) -> str:
    """A hint: the nearest valid word, or what is valid."""
    words = list(valid)
    found = near(word, words)
    if found is not None:
        return did_you_mean(found)
    listed = ", ".join(words[:_LISTED]) + (", ..." if len(words) > _LISTED else "")
    return f"valid here: {listed}" if words else ""


def in_one_sentence(problems: Sequence[Problem]) -> str:
    """How many problems there are, and the first of them."""
    listed = "; ".join(str(problem) for problem in problems[:MOST_PROBLEMS_IN_TEXT])
    more = len(problems) - MOST_PROBLEMS_IN_TEXT
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"{count}: {listed}" + (f"; and {more} more" if more > 0 else "")


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")

"""Wording of problems: paths, shortened values, the nearest valid word.

No value of a header is ever shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from domain.errors import Problem

MOST_PROBLEMS_IN_TEXT = 10
"""Maximum number of problems in a sentence. All of them are in the failure's details."""
_SHOWN = 80
_LISTED = 12
_CLOSE = 0.6
_LONGEST_COMPARED = 200
"""Longest word that is compared. Comparing is quadratic, and no valid word is longer."""
MOST_COMPARED = 200
"""Maximum number of names among which the nearest one is searched."""
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
    """Return the path one step down: from `services[2]` to `services[2].fault`.

    A name that is not a plain word is put in quotes.
    """
    if isinstance(part, int):
        return f"{path}[{part}]"
    plain = part.replace("-", "").replace("_", "").isalnum() and part.isascii()
    name = cut(part) if plain else f"'{cut(part)}'"
    return f"{path}.{name}" if path else name


def path_of(parts: Sequence[int | str]) -> str:
    """Join parts to a path: `("services", 2, "fault")` gives `services[2].fault`."""
    path = ""
    for part in parts:
        path = inner_path(path, part)
    return path


def printable(text: str) -> str:
    """Return a text on one line, safe to print.

    Anything that a terminal would obey instead of showing it is replaced.
    """
    line = text.encode(errors="backslashreplace").decode()
    return "".join(character if character.isprintable() else "?" for character in line)


def cut(text: str) -> str:
    """Return a text on one line, cut to fit into a message."""
    line = printable(text[: _SHOWN + 1])
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def kind_of(value: object) -> str:
    """Return what a value is, in words for people."""
    if value is None:
        return "nothing"
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


def shown(value: object) -> str:
    """Return a value as a message shows it.

    Scalars are shown themselves, cut. Anything larger is shown by its kind.
    """
    if value is None or isinstance(value, (dict, list)):
        return kind_of(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        # Converting a very long number to text would raise.
        return cut(str(value)) if value.bit_length() <= 256 else "a very long number"
    return f"'{cut(value)}'" if isinstance(value, str) else cut(str(value))


def may_be_secret(path: str) -> bool:
    """Return whether messages must not show a value at this path."""
    return path.startswith(_SECRET_PLACES)


def near(word: object, valid: Iterable[str]) -> str | None:
    """Return the valid word that is nearest in spelling, if any.

    Case does not matter, nor do hyphens and underscores: `faultTtl` is near `fault_ttl`.
    """
    if not isinstance(word, str) or len(word) > _LONGEST_COMPARED:
        return None
    by_plain = {_plain(candidate): candidate for candidate in valid}
    found = get_close_matches(_plain(word), by_plain, n=1, cutoff=_CLOSE)
    return by_plain[found[0]] if found else None


class Nearest:
    """A search for the nearest of some words, limited to few lookups.

    Comparing many words with many others takes longer than a workflow may think.
    """

    def __init__(self, valid: Iterable[str]) -> None:
        """Take the valid words. Too many of them: none is ever found."""
        words = list(valid)
        self._valid = words if len(words) <= MOST_COMPARED else []
        self._lookups_left = _MOST_LOOKED_FOR

    def of(self, word: object) -> str | None:
        """Search like `near`. After the first few lookups, return None."""
        self._lookups_left -= 1
        return near(word, self._valid) if self._lookups_left >= 0 else None


def did_you_mean(word: str) -> str:
    """Return a hint that names a word.

    The word may come from the plan.
    """
    return f"did you mean {shown(word)}?"


def suggestion(word: object, valid: Iterable[str]) -> str:
    """Return a hint: the nearest valid word, or the valid words."""
    words = list(valid)
    found = near(word, words)
    if found is not None:
        return did_you_mean(found)
    listed = ", ".join(words[:_LISTED]) + (", ..." if len(words) > _LISTED else "")
    return f"valid here: {listed}" if words else ""


def in_one_sentence(problems: Sequence[Problem]) -> str:
    """Summarise problems: how many there are, and the first of them."""
    listed = "; ".join(str(problem) for problem in problems[:MOST_PROBLEMS_IN_TEXT])
    more = len(problems) - MOST_PROBLEMS_IN_TEXT
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"{count}: {listed}" + (f"; and {more} more" if more > 0 else "")


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")

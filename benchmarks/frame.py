"""What a benchmark is, and how its rows become a table of docs/performance.md.

A benchmark is a module `b<number>_<name>.py` in this folder with a `TITLE` and a `main()` that returns rows. It is
found by its name: there is no list to add it to. `make bench` runs all of them in order, `make bench ONLY=5` one.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
PERFORMANCE = FOLDER.parent / "docs" / "performance.md"
_MODULE = re.compile(r"b(?P<number>\d+)_\w+\.py")
_MARKS = {True: "yes", False: "**no**", None: ""}


@dataclass(frozen=True)
class Row:
    """One figure."""

    name: str
    """What was measured; unique in its benchmark."""
    value: str
    """As it is shown, with its unit."""
    ratio: float | None = None
    """To what it is compared with, measured in the same run; None where there is nothing to compare with."""
    aim: str = ""
    """What it should be, in words; empty when there is no aim."""
    met: bool | None = None
    """Whether it is; None when there is no aim."""
    note: str = ""
    """Shown under the table: what the figure means, or by how much an aim is missed, and why."""


def modules(folder: Path = FOLDER) -> dict[int, str]:
    """The benchmarks that there are: number and module name, in order."""
    found = {int(match["number"]): path.stem for path in folder.iterdir() if (match := _MODULE.fullmatch(path.name))}
    return dict(sorted(found.items()))


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown: a table, and the notes under it."""
    lines = ["| what | value | ratio | aim | met |", "| --- | ---: | ---: | --- | --- |"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(f"| {row.name} | {row.value} | {ratio} | {row.aim} | {_MARKS[row.met]} |")
    notes = [f"* {row.name}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def machine() -> str:
    """What the figures were measured on, in a line."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def section(number: int, title: str, rows: Sequence[Row]) -> str:
    """What stands in docs/performance.md between a benchmark's markers, markers included."""
    begin, end = _markers(number)
    return f"{begin}\n## {number}. {title}\n\n{table(rows)}\n\nMeasured on: {machine()}.\n{end}"


def written(document: str, number: int, text: str) -> str:
    """The document with a benchmark's section replaced, or put in before the next higher number."""
    begin, end = _markers(number)
    if begin in document:
        before, _, rest = document.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"docs/performance.md has '{begin}' without '{end}'")
        return before + text + after
    later = [match for match in re.finditer(r"<!-- bench (\d+) -->", document) if int(match[1]) > number]
    if later:
        return document[: later[0].start()] + text + "\n\n" + document[later[0].start() :]
    return document.rstrip("\n") + "\n\n" + text + "\n"


def _markers(number: int) -> tuple[str, str]:
    return f"<!-- bench {number} -->", f"<!-- end of bench {number} -->"

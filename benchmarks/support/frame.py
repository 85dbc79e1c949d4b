"""The frame of the benchmarks: turns their rows into tables of docs/performance.md.

A benchmark is a module `b<number>_<name>.py` in this folder with a `TITLE` and a `main()` that returns rows. It is
found by its name, so there is no list to extend. `make bench` runs all benchmarks in order, `make bench ONLY=5` one.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent
PERFORMANCE = FOLDER.parent / "docs" / "performance.md"
_MODULE = re.compile(r"b(?P<number>\d+)_\w+\.py")
_MARKS = {True: "yes", False: "**no**", None: ""}


@dataclass(frozen=True)
class Row:
    """One figure."""

    name: str
    """What was measured. Unique within the benchmark."""
    value: str
    """The value as shown, with its unit."""
    ratio: float | None = None
    """Ratio to another value of the same run, or to a limit. None: there is nothing to compare with."""
    aim: str = ""
    """The aim, in words. Empty: there is none."""
    met: bool | None = None
    """Whether the aim is met. None: there is none."""
    note: str = ""
    """Note under the table: what the figure means, or by how much an aim is missed, and why."""


def modules(folder: Path = FOLDER) -> dict[int, str]:
    """Return number and module name of every benchmark, in order."""
    found = {int(match["number"]): path.stem for path in folder.iterdir() if (match := _MODULE.fullmatch(path.name))}
    return dict(sorted(found.items()))


def table(rows: Sequence[Row]) -> str:
    """Format rows as Markdown: a table, and the notes under it."""
    lines = ["| what | value | ratio | aim | met |", "| --- | ---: | ---: | --- | --- |"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(f"| {row.name} | {row.value} | {ratio} | {row.aim} | {_MARKS[row.met]} |")
    notes = [f"* {row.name}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def machine() -> str:
    """Describe this machine in one line."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def section(number: int, title: str, rows: Sequence[Row]) -> str:
    """Return a benchmark's section of docs/performance.md, including its two markers."""
    begin, end = _markers(number)
    return f"{begin}\n## {number}. {title}\n\n{table(rows)}\n\nMeasured on: {machine()}.\n{end}"


def replace_section(document: str, number: int, text: str) -> str:
    """Return the document with a benchmark's section replaced.

    A new section is inserted before the next higher number.
    """
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

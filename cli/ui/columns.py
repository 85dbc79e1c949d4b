"""Facts as aligned columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return the lines of a table: headings, a rule, and the rows.

    The columns in `right` are right-aligned.
    """
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    return [_line(row, widths, right) for row in [headings, ["-" * width for width in widths], *rows]]


def _line(cells: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    sides = [str.rjust if column in right else str.ljust for column in range(len(cells))]
    return "  ".join(side(cell, width) for side, cell, width in zip(sides, cells, widths, strict=True)).rstrip()

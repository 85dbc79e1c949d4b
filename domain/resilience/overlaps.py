"""Which faults of a run were active at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from domain.executions.state import WindowRow
from domain.executions.windows import WindowKind
from domain.resilience.state import InjectionRow


def with_overlaps(injections: Sequence[InjectionRow], windows: Iterable[WindowRow]) -> list[InjectionRow]:
    """Add to each injection the faults that were active at once.

    A fault may be active as long as its window is open.
    """
    together: defaultdict[str, set[str]] = defaultdict(set)
    still_open: list[WindowRow] = []
    faults = [row for row in windows if row.kind is WindowKind.FAULT]
    for began, row in sorted(((row.began_at, row) for row in faults if row.began_at), key=lambda item: item[0]):
        still_open = [open_row for open_row in still_open if open_row.ended_at is None or open_row.ended_at > began]
        for open_row in still_open:
            together[open_row.service].add(row.service)
            together[row.service].add(open_row.service)
        still_open.append(row)
    return [row.model_copy(update={"overlapped": sorted(together[row.service])}) for row in injections]

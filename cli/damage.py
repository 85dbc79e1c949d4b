"""Damaged rows of the store: reported, and never a success.

Every store that a command opens is watched, so no command can forget to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.executions.outcome import ExitCode
from operations.opened_stores import OPENED

if TYPE_CHECKING:
    # Imported by the commands that open a store. It takes longer than everything else together.
    from clients.store.decoding import DamagedRow
    from clients.store.store import Store

_HARMLESS = (ExitCode.PASSED, ExitCode.INCONCLUSIVE)
_watched: list[Store] = []
_lost: list[DamagedRow] = []


def forget() -> None:
    """Reset everything at the start of a command, and watch every store that it opens."""
    _watched.clear()
    _lost.clear()
    OPENED.set(_watched)


def note(row: DamagedRow) -> None:
    """Add a row that was read, but whose contents are unusable."""
    _lost.append(row)


def damaged() -> list[DamagedRow]:
    """Return every damaged row that this command met, once each.

    Rows that may stand for something still switched on come first.
    """
    found: dict[tuple[str, str], DamagedRow] = {}
    for damaged_row in [*_lost, *(damaged_row for store in _watched for damaged_row in store.damaged)]:
        known = found.get((damaged_row.table, damaged_row.row))
        if known is None or damaged_row.may_be_on:
            found[damaged_row.table, damaged_row.row] = damaged_row
    return sorted(found.values(), key=lambda damaged_row: not damaged_row.may_be_on)


def with_damage(code: ExitCode) -> ExitCode:
    """Adjust an exit code for damaged rows.

    It becomes 5 if a damaged row may stand for something still switched on. Otherwise 0 and 6 become 3, and any other
    code stays.
    """
    rows = damaged()
    if any(row.may_be_on for row in rows):
        return ExitCode.RECOVERY_UNVERIFIED
    return ExitCode.RUN_FAILED if rows and code in _HARMLESS else code


def damage_facts() -> list[dict[str, Any]]:
    """Return the damaged rows as JSON facts."""
    return [row.model_dump(mode="json") for row in damaged()]

"""Damaged rows of the store: named on standard error, and never green.

Every store that a command opens is watched, so a command cannot forget to look.
"""

from __future__ import annotations

from typing import Any

from cli.exit_codes import ExitCode
from clients.store.decoding import DamagedRow
from clients.store.store import Store

_HARMLESS = (ExitCode.PASSED, ExitCode.INCONCLUSIVE)
_watched: list[Store] = []
_lost: list[DamagedRow] = []


def forget() -> None:
    """Begin a command."""
    _watched.clear()
    _lost.clear()


def watched(store: Store) -> Store:
    """Name at the command's end what this store could not read."""
    _watched.append(store)
    return store


def note(table: str, row: str, trouble: str, *, may_be_on: bool) -> None:
    """Add a row that was read, and whose contents nothing can be done with."""
    _lost.append(DamagedRow(table=table, row=row, trouble=trouble, may_be_on=may_be_on))


def damaged() -> list[DamagedRow]:
    """Every damaged row that this command has met, once each; what may be on first."""
    found: dict[tuple[str, str], DamagedRow] = {}
    for one in [*_lost, *(row for store in _watched for row in store.damaged)]:
        known = found.get((one.table, one.row))
        if known is None or one.may_be_on:
            found[one.table, one.row] = one
    return sorted(found.values(), key=lambda one: not one.may_be_on)


def with_damage(code: ExitCode) -> ExitCode:
    """The exit code of a command that found this: 5 when a damaged row may stand for what is on, else at least 3."""
    rows = damaged()
    if any(row.may_be_on for row in rows):
        return ExitCode.RECOVERY_UNVERIFIED
    return ExitCode.RUN_FAILED if rows and code in _HARMLESS else code


def damage_facts() -> list[dict[str, Any]]:
    """The same for programs."""
    return [one.model_dump(mode="json") for one in damaged()]

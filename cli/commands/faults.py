"""`holdfast faults`: list what is or may be switched on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from cli.console import clear_errors, say, say_json
from cli.damage import damage_facts, damaged, note, with_damage
from cli.options import AS_JSON
from cli.ui.next_steps import after_faults
from clients.drivers.active import ActiveItem, ActiveKind
from clients.store.read_models import Halt
from clients.store.store import Store
from domain.executions.outcome import ExitCode
from domain.executions.windows import RECORDINGS, LedgerEntry
from operations.recovery.peer_checks import PeerLook, Peers, ask_peers, peers_of
from operations.stores import query_store


@click.command()
@AS_JSON
@clear_errors
def faults(*, as_json: bool) -> None:
    """List what is or may be switched on.

    This reads the ledger in the store (HOLDFAST_DATABASE_URL must be the worker's). Then it asks, all at once, the
    proxies and fault services of the newest runs and of every run with something unsettled. A peer that does not answer
    is named. It counts as switched on if the ledger has something unsettled there.

    Exit code 5 means that something is, or may be, switched on.
    """
    raise SystemExit(asyncio.run(_faults(as_json=as_json)))


async def _faults(*, as_json: bool) -> ExitCode:
    entries, halt, peers = await query_store(_ledger)
    for row in peers.damaged:
        note(row)
    looks = await ask_peers(peers)
    anything = bool(entries) or any(look.may_be_on for look in looks)
    code = with_damage(ExitCode.RECOVERY_UNVERIFIED if anything else ExitCode.PASSED)
    if as_json:
        facts = {
            "halted": halt.model_dump(mode="json") if halt else None,
            "ledger": [_facts(ledger_entry) for ledger_entry in entries],
        }
        peer_facts = [_look_facts(look, entries) for look in looks]
        say_json(facts | {"peers": peer_facts, "damaged": damage_facts(), "exit_code": code})
        return code
    if halt:
        say(str(halt), bold=True)
    for entry in entries:
        say(_line(entry))
    for look in looks:
        for line in _peer_lines(look, entries):
            say(line)
    if not anything and not damaged():
        say("nothing is on")
    say(f"next: {after_faults(anything=anything)}")
    return code


async def _ledger(store: Store) -> tuple[list[LedgerEntry], Halt | None, Peers]:
    entries = await store.ledger.unsettled()
    return entries, await store.halting.halted(), await peers_of(store, entries)


def _look_facts(look: PeerLook, entries: list[LedgerEntry]) -> dict[str, object]:
    on = [item.model_dump(mode="json") | {"in_ledger": _in_ledger(item, entries)} for item in look.on]
    return look.model_dump(mode="json") | {"on": on, "may_be_on": look.may_be_on}


def _peer_lines(look: PeerLook, entries: list[LedgerEntry]) -> Iterator[str]:
    for item in look.on:
        what = " ".join(part for part in (item.service, item.name) if part)
        whose = f"execution {item.execution_id}" if item.execution_id else "owner unknown"
        known = "in the ledger" if _in_ledger(item, entries) else "not in the ledger"
        yield f"{item.kind:<10} {'on':<11} {what}  at {look.address}  ({whose}, {known})"
    if look.trouble:
        settled = "anything may be on there" if look.expected else "the ledger has nothing unsettled there"
        yield f"{'no answer':<22} {look.peer} {look.address}: {look.trouble} ({settled})"


def _in_ledger(item: ActiveItem, entries: list[LedgerEntry]) -> bool:
    """Return whether an unsettled row stands for something active at a peer.

    Rows are matched by name. Recordings have no name in the ledger, so any recording's row counts.
    """
    if item.kind is ActiveKind.RECORDING:
        return any(entry.kind in RECORDINGS for entry in entries)
    return any(entry.peer_name in (item.name, item.record_id) for entry in entries if entry.peer_name)


def _facts(entry: LedgerEntry) -> dict[str, object]:
    return entry.model_dump(mode="json") | {"since": entry.began.isoformat() if entry.began else None}


def _line(entry: LedgerEntry) -> str:
    what = " ".join(part for part in (entry.service, entry.peer_name) if part)
    times = f"since {_utc(entry.began)}, to be off by {_utc(entry.close_by)}"
    return f"{entry.kind:<10} {entry.state:<11} {what}  {times}  (window {entry.window_id})"


def _utc(moment: datetime | None) -> str:
    if moment is None:
        return "?"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"

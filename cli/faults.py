"""`holdfast faults`: what is on, or may be, by the ledger and by the peers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from cli.console import AS_JSON, clear_errors, say, say_json
from cli.damage import damage_facts, damaged, with_damage
from cli.exit_codes import ExitCode
from cli.next_steps import after_faults
from cli.peer_looks import PeerLook, Peers, ask_peers, peers_of
from cli.results import ask_store
from clients.at_peers import On, OnKind
from clients.store.read_models import Halt
from clients.store.store import Store
from workflows.contracts.windows import RECORDINGS, LedgerEntry


@click.command()
@AS_JSON
@clear_errors
def faults(*, as_json: bool) -> None:
    """What is on, or may be, by the ledger and by the peers' own word. Exit code 5 when anything is.

    The store is asked, HOLDFAST_DATABASE_URL must be the worker's, and then, all at once, the proxies and fault
    services of every run with something unsettled and of the newest ones. One that does not answer is named; it counts
    as on where the ledger has something unsettled there.
    """
    raise SystemExit(asyncio.run(_faults(as_json=as_json)))


async def _faults(*, as_json: bool) -> ExitCode:
    entries, halt, peers = await ask_store(_ledger)
    looks = await ask_peers(peers)
    anything = bool(entries) or any(look.may_be_on for look in looks)
    code = with_damage(ExitCode.RECOVERY_UNVERIFIED if anything else ExitCode.PASSED)
    if as_json:
        facts = {"halted": halt.model_dump(mode="json") if halt else None, "ledger": [_facts(one) for one in entries]}
        told = [_told(look, entries) for look in looks]
        say_json(facts | {"peers": told, "damaged": damage_facts(), "exit_code": code})
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
    entries = await store.ledger_unsettled()
    return entries, await store.halted(), await peers_of(store, entries)


def _told(look: PeerLook, entries: list[LedgerEntry]) -> dict[str, object]:
    on = [one.model_dump(mode="json") | {"in_ledger": _in_ledger(one, entries)} for one in look.on]
    return look.model_dump(mode="json") | {"on": on, "may_be_on": look.may_be_on}


def _peer_lines(look: PeerLook, entries: list[LedgerEntry]) -> Iterator[str]:
    for one in look.on:
        what = " ".join(part for part in (one.service, one.name) if part)
        whose = f"execution {one.execution_id}" if one.execution_id else "of whom is not known"
        known = "in the ledger" if _in_ledger(one, entries) else "not in the ledger"
        yield f"{one.kind:<10} {'on':<11} {what}  at {look.address}  ({whose}, {known})"
    if look.trouble:
        settled = "anything may be on there" if look.expected else "the ledger has nothing unsettled there"
        yield f"{'no answer':<22} {look.peer} {look.address}: {look.trouble} ({settled})"


def _in_ledger(one: On, entries: list[LedgerEntry]) -> bool:
    """Whether an unsettled row stands for it: by its name; for recordings, which have none, any recording's row."""
    if one.kind is OnKind.RECORDING:
        return any(entry.kind in RECORDINGS for entry in entries)
    return any(entry.peer_name in (one.name, one.record_id) for entry in entries if entry.peer_name)


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

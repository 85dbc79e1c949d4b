"""`holdfast faults`: what is on, or may be, according to the ledger."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import click

from cli.console import AS_JSON, clear_errors, say, say_json
from cli.exit_codes import ExitCode
from cli.next_steps import after_faults
from cli.results import ask_store
from workflows.contracts.windows import LedgerEntry

_TIME_BASED = 7


@click.command()
@AS_JSON
@clear_errors
def faults(*, as_json: bool) -> None:
    """What is on, or may be, according to the ledger. Exit code 5 when anything is.

    Only the store is asked; HOLDFAST_DATABASE_URL must be the worker's.
    """
    entries = asyncio.run(ask_store(lambda store: store.ledger_unsettled()))
    if as_json:
        say_json([_facts(entry) for entry in entries])
    else:
        for entry in entries:
            say(_line(entry))
        if not entries:
            say("nothing is on")
        say(f"next: {after_faults(anything=bool(entries))}")
    raise SystemExit(ExitCode.RECOVERY_UNVERIFIED if entries else ExitCode.PASSED)


def since(entry: LedgerEntry) -> datetime | None:
    """When the window began: its run id is a UUID of version 7 and carries the time. Else None."""
    try:
        run = uuid.UUID(entry.run_id)
    except ValueError:
        return None
    return datetime.fromtimestamp((run.int >> 80) / 1000, UTC) if run.version == _TIME_BASED else None


def _facts(entry: LedgerEntry) -> dict[str, object]:
    began = since(entry)
    return entry.model_dump(mode="json") | {"since": began.isoformat() if began else None}


def _line(entry: LedgerEntry) -> str:
    what = " ".join(part for part in (entry.service, entry.peer_name) if part)
    times = f"since {_utc(since(entry))}, to be off by {_utc(entry.close_by)}"
    return f"{entry.kind:<10} {entry.state:<11} {what}  {times}  (window {entry.window_id})"


def _utc(moment: datetime | None) -> str:
    if moment is None:
        return "?"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"

"""`holdfast recover`: close by hand what is still switched on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from activities.toolbox import opened_toolbox
from cli.commands.recover_direct import recover_direct
from cli.console import clear_errors, complain, say, say_json, survives_lost_output
from cli.damage import damage_facts, damaged, with_damage
from cli.options import AS_JSON, Duration
from cli.ui.next_steps import after_recovery
from clients.temporal.runs import RunDirectory
from domain.errors import HoldfastError
from domain.executions.outcome import ExitCode
from domain.executions.windows import LedgerEntry
from domain.units import format_duration
from operations.connection import connect_quietly
from operations.processes.interrupts import Interrupts
from operations.recovery.recover import GONE, Recovered, Recoverer, chosen_rows, recover_each, under_way_rows
from operations.stores import existing_store

WITHIN = timedelta(minutes=2)
"""Default time for closing one thing."""

_ELSE = "if Temporal or the store is gone, `holdfast recover --direct PLAN` asks the peers alone"


@click.command()
@click.option("--all", "everything", is_flag=True, help="Include runs that are under way: they are asked to end first.")
@click.option("--execution", "execution_id", type=int, metavar="ID", help="Only this run, by its number in `list`.")
@click.option("--direct", type=click.Path(path_type=Path), metavar="PLAN",
              help="Close by name at the peers of this plan, without Temporal and the store.")  # fmt: skip
@click.option("--within", type=Duration(), default=format_duration(WITHIN), show_default=True,
              help="Time limit for closing one thing from here.")  # fmt: skip
@click.option("--yes", is_flag=True, help="With --direct: do not ask before touching what is not on this machine.")
@AS_JSON
@clear_errors
@survives_lost_output
def recover(
    *, everything: bool, execution_id: int | None, direct: Path | None, within: timedelta, yes: bool, as_json: bool
) -> None:
    """Close what is or may be switched on, and verify it.

    Without options, this closes what ended runs have left behind, and reports what was done about each thing. A window
    that still works is asked to close and waited for. What no window closes any more is closed from here. The command
    may be repeated at any time.

    With --direct, neither Temporal nor the store is needed. What is removed is what the plan's proxy and fault service
    report: the faults of Holdfast in the plan's services, and every recording and rule of these services, no matter who
    made them. With --all as well, the faults of Holdfast in other services are removed too.

    Exit codes: 0 everything was seen to be off, 5 otherwise.
    """
    if direct is not None and execution_id is not None:
        raise click.UsageError("--direct and --execution exclude each other: the peers know no executions")
    if execution_id is not None and everything:
        raise click.UsageError("--all and --execution exclude each other: give one")
    if direct is not None:
        raise SystemExit(recover_direct(direct, within, everything=everything, yes=yes, as_json=as_json))
    raise SystemExit(asyncio.run(_recover(execution_id, within, everything=everything, as_json=as_json)))


async def _recover(execution_id: int | None, within: timedelta, *, everything: bool, as_json: bool) -> ExitCode:
    remark = complain if as_json else say
    with Interrupts() as interrupts:
        try:
            store = await interrupts.during(existing_store())
            async with opened_toolbox(store, os.environ) as tools:
                runs = RunDirectory(await interrupts.during(connect_quietly()))
                rows = await chosen_rows(tools, execution_id)
                left = [] if everything or execution_id is not None else await under_way_rows(runs, rows)
                recoverer = Recoverer(tools, runs, remark, within)
                chosen = [row for row in rows if row not in left]
                found = await interrupts.during(recover_each(recoverer, chosen))
        except HoldfastError as error:
            if error.code not in GONE:
                raise
            raise HoldfastError(error.code, error.message, hint=f"{error.hint}; {_ELSE}".lstrip("; ")) from error
    verified = not left and all(result.verified for result in found)
    code = with_damage(ExitCode.PASSED if verified else ExitCode.RECOVERY_UNVERIFIED)
    if as_json:
        recovered = [result.model_dump(mode="json") for result in found]
        kept = [row.model_dump(mode="json") for row in left]
        say_json({"rows": recovered, "under_way": kept, "damaged": damage_facts(), "exit_code": code})
        return code
    _show(found, left)
    say(f"next: {after_recovery(verified=verified)}")
    return code


def _show(found: Sequence[Recovered], left: Sequence[LedgerEntry]) -> None:
    for result in found:
        what = " ".join(part for part in (result.service, result.peer_name) if part)
        say(f"{result.kind:<10} {what or result.window_id}: {result.done}", colour=None if result.verified else "red")
    for row in left:
        say(f"{row.kind:<10} {row.window_id}: left on, its run is under way; --execution {row.execution_id} ends it")
    if not found and not left and not damaged():
        say("nothing is on")

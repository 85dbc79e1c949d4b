"""`holdfast recover --direct`: close by name, without Temporal and the store.

Only the plan's proxy and fault service are asked, and its services for the canaries of rules. Everything that Holdfast
switches on has a name of ours, except recordings: those of all the plan's services are stopped.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from cli.console import complain, say, say_json
from cli.plans import confirm, is_local, valid_plan
from cli.ui.next_steps import after_recovery
from domain.executions.outcome import ExitCode
from domain.plans.plan import Plan
from operations.processes.interrupts import Interrupts
from operations.recovery.direct import Direct, close_at_peers

_WARNING = (
    "warning: without Temporal and the store, a run under way cannot be detected. Such a run goes on and may switch "
    "on more: first end it, or its worker"
)


def recover_direct(path: Path, within: timedelta, *, everything: bool, yes: bool, as_json: bool) -> ExitCode:
    """Close what is active at the plan's peers, by name.

    Returns 0 if everything was seen to be off, else 5.
    """
    file = valid_plan(path, as_json=as_json)
    complain(_WARNING)
    system = file.plan.system
    whose = "all faults of Holdfast" if everything else "the faults of Holdfast in the plan's services"
    question = (
        f"This removes {whose} at {system.faults}, and every recording and rule of the plan's services at "
        f"{system.proxy}, no matter who made them. Go on?"
    )
    confirm(file, assume_yes=yes or is_local(file.plan), question=question)
    found = asyncio.run(_closed(file.plan, within, everything=everything))
    code = ExitCode.PASSED if all(row.verified for row in found) else ExitCode.RECOVERY_UNVERIFIED
    if as_json:
        say_json({"rows": [row.model_dump(mode="json") for row in found], "exit_code": code})
        return code
    for row in found:
        what = " ".join(part for part in (row.service, row.name) if part) or row.address
        say(f"{row.kind:<13} {what}: {row.done}", colour=None if row.verified else "red")
    if not found:
        say("the peers report that nothing is on")
    say(f"next: {after_recovery(verified=code is ExitCode.PASSED, direct=True)}")
    return code


async def _closed(plan: Plan, within: timedelta, *, everything: bool) -> list[Direct]:
    with Interrupts() as interrupts:
        return await interrupts.during(close_at_peers(plan, within, everything=everything))

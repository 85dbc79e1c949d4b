"""Troubles from outside: for the run itself, its windows, its workers and its peers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from temporalio.client import Client

from clients.temporal.connection import lock_of_run
from domain.executions.execution import IfBusy
from domain.resilience.model import ResilienceSummary
from tests.support.leaks.duo import Duo
from tests.support.leaks.places import KIND_OF
from tests.support.leaks.stages import Run, pending
from tests.support.runs.temporal_cli import temporal as command

if TYPE_CHECKING:
    from tests.support.leaks.trial import Trial


async def cancelled(run: Run) -> None:
    await run.cancel()


async def cancelled_twice(run: Run) -> None:
    await run.cancel()
    await asyncio.sleep(0.3)
    await run.cancel()


async def terminated(run: Run) -> None:
    await run.terminate("a test")


async def both(run: Run) -> None:
    await run.cancel()
    await run.terminate("a test")


async def reset(bench: Duo, run: Run, where: str) -> tuple[Run, Run]:
    """Run `temporal workflow reset`. Returns the run that it ends, and the run that it begins."""
    first = bench.temporal.get_workflow_handle(run.id, run_id=run.result_run_id)
    arguments = ["--workflow-id", run.id, "--type", where, "--reason", "a test"]
    code, output = await command(bench, "workflow", "reset", *arguments)
    assert code == 0, output
    latest = await bench.temporal.get_workflow_handle(run.id).describe()
    assert latest.run_id != first.run_id
    return first, bench.temporal.get_workflow_handle(run.id, run_id=latest.run_id, result_type=ResilienceSummary)


async def open_window(bench: Duo, run: Run) -> Run | None:
    """Return the window that a run has open, beside its lock."""
    async for kind, handle, _ in pending(bench.temporal, run):
        if kind in KIND_OF:
            return handle
    return None


Act = Callable[["Trial"], Awaitable[bool | None]]
"""Causes a trouble. False: there was nothing to act on."""


def _to_the_run(how: Callable[[Run], Awaitable[None]]) -> Act:
    async def act(trial: Trial) -> None:
        await how(trial.run)

    return act


def _reset(where: str) -> Act:
    async def act(trial: Trial) -> None:
        _, new = await reset(trial.bench, trial.run, where)
        trial.was_reset(new, where)

    return act


def _to_the_window(*, terminate: bool) -> Act:
    async def act(trial: Trial) -> bool:
        window = await open_window(trial.bench, trial.run)
        if window is None:
            return False
        trial.held = False
        await (window.terminate("a test") if terminate else window.cancel())
        return True

    return act


def _again(if_busy: IfBusy) -> Act:
    async def act(trial: Trial) -> None:
        name = f"second/{trial.bench.name}"
        trial.was_started(await trial.bench.start(trial.plan, workflow_id=name, if_busy=if_busy))

    return act


async def _without_lock(trial: Trial) -> bool:
    lock = await lock_of_run(trial.bench.temporal, trial.run.id, None)
    if lock is None:
        return False
    await lock.terminate("a test")
    return True


async def _peers_restarted(trial: Trial) -> None:
    trial.bench.lab.restart()


async def _ended_early(trial: Trial) -> bool:
    return await trial.bench.lab.end_all("ended early") > 0


async def _nothing(_trial: Trial) -> None:
    """Do nothing: dying workers, the sweeper and time limits are the trial's business."""


async def lock_taken(temporal: Client, run: Run) -> Run:
    """Return the lock that a run holds."""
    lock = await lock_of_run(temporal, run.id, None)
    assert lock is not None, "the run has taken no lock"
    return lock


ACTS: dict[str, Act] = {
    "cancel": _to_the_run(cancelled),
    "cancel-twice": _to_the_run(cancelled_twice),
    "terminate": _to_the_run(terminated),
    "cancel-terminate": _to_the_run(both),
    "reset-first": _reset("FirstWorkflowTask"),
    "reset-last": _reset("LastWorkflowTask"),
    "window-terminate": _to_the_window(terminate=True),
    "window-cancel": _to_the_window(terminate=False),
    "lock-terminate": _without_lock,
    "second": _again(IfBusy.REFUSE),
    "second-waits": _again(IfBusy.WAIT),
    "second-replaces": _again(IfBusy.REPLACE),
    "peers-restart": _peers_restarted,
    "early": _ended_early,
    "kill": _nothing,
    "gone": _nothing,
    "restart": _nothing,
    "sweep": _nothing,
    "time-out": _nothing,
}
"""The action of each of `sequences.OUTSIDE`. Those that end in `-down` are done without a worker."""

SWEPT = ("sweep", "gone", "window-terminate", "lock-terminate", "reset-first", "reset-last")
"""Troubles after which the sweeper comes again and again. Nobody else closes what they leave."""

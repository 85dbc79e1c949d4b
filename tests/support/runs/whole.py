"""One whole run of the shop, watched in every way while it goes on. Many tests ask about it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from cli.ui.live_frame import Moment, frame
from cli.ui.live_lines import symbols
from cli.ui.panels import panel_lines
from domain.resilience.kind import KIND
from domain.resilience.model import ResilienceSummary
from domain.resilience.state import ResilienceState
from lab import Lab, PortChoice
from reports.build.gather import gather
from reports.forms import as_html
from reports.model.report import Report
from tests.support.cli.terminal import Terminal
from tests.support.cli.tmux import Tmux
from tests.support.runs.bench import PATIENCE, Bench, unhurried_example
from tests.support.runs.fixtures import QUICK
from tests.support.runs.panel_fields import text_of
from worker import running

WIDTH, HEIGHT = 150, 60
"""The terminal in which `watch` redraws itself."""

LOOK_EVERY = 0.05
"""Seconds between two queries. More often, they take the processor from the run that they ask."""


@dataclass
class Seen:
    """One run in every view: the query's successive answers, the output of both commands, and the report."""

    snapshots: list[ResilienceState]
    status: str
    watch: str
    """What `watch` printed, line by line."""
    report: Report
    """The same run, from the store."""

    @property
    def stored(self) -> ResilienceState:
        return self.report.run

    @cached_property
    def page(self) -> str:
        """What a reader sees of the report's page."""
        return text_of(as_html.render(self.report))

    @cached_property
    def pictures(self) -> str:
        """Frames of the live view for each of the query's answers.

        The terminal is large enough for everything.
        """
        moments = [Moment(state, [], False, datetime.now(UTC), "") for state in self.snapshots]
        lines = [line.plain for moment in moments for line in frame(moment, 250, 200, symbols("utf-8"))]
        return "\n".join(lines)

    @property
    def last(self) -> ResilienceState:
        return self.snapshots[-1]


@dataclass
class Screens:
    """What a person saw in a terminal."""

    shown: list[str]
    """Every screen until the command ended."""
    kept: str
    """What stayed on the terminal afterwards."""
    code: int


@dataclass
class Whole:
    """A run that has ended, on a bench that is still there."""

    bench: Bench
    handle: WorkflowHandle[Any, ResilienceSummary]
    summary: ResilienceSummary
    seen: Seen
    screens: Screens | None
    """None: there is no tmux on this machine."""


@asynccontextmanager
async def whole_run(temporal: Client, folder: Path) -> AsyncIterator[Whole]:
    """Start and watch a run, then the worker that carries it out, and keep everything until the block ends."""
    topology = unhurried_example("shop")
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab, Bench(temporal, lab, folder) as bench:
        handle = await bench.start(workflow_id=KIND.workflow_id(bench.name))
        tmux = await _live(bench) if shutil.which("tmux") else None
        try:
            watching = await command(bench, "watch")
            async with running(temporal, bench.settings):
                looking = asyncio.create_task(_screens(tmux)) if tmux else None
                snapshots = await snapshots_of(bench, handle)
                await bench.lock_ended(handle)
                screens = (
                    Screens(await looking, await tmux.screen(history=True), await tmux.end())
                    if tmux and looking
                    else None
                )
                seen = await views(bench, handle, snapshots, watching)
                yield Whole(bench, handle, await handle.result(), seen, screens)
        finally:
            if tmux:
                await tmux.close()


async def _live(bench: Bench) -> Tmux:
    tmux = await Tmux.start(
        "watch", bench.name, folder=bench.folder, env=bench.for_commands(), width=WIDTH, height=HEIGHT
    )
    await tmux.until("waiting for the run's first answer", PATIENCE)
    return tmux


async def _screens(tmux: Tmux) -> list[str]:
    """Collect every screen that was shown until the command ended."""
    found: list[str] = []
    async with asyncio.timeout(2 * PATIENCE):
        while not await tmux.ended():
            shown = await tmux.screen()
            if await tmux.on_its_own_screen() and shown not in found[-1:]:
                found.append(shown)
            await asyncio.sleep(LOOK_EVERY)
    return found


async def snapshots_of(bench: Bench, handle: WorkflowHandle[Any, Any]) -> list[ResilienceState]:
    """Query a run until it has ended. Returns its successive states."""
    snapshots: list[ResilienceState] = []
    ended = asyncio.create_task(_end(handle))
    while True:
        over = ended.done()
        state = await bench.status(handle)
        if state is not None and (not snapshots or snapshots[-1] != state):
            snapshots.append(state)
        if over:
            return snapshots
        await asyncio.sleep(LOOK_EVERY)


async def _end(handle: WorkflowHandle[Any, Any]) -> None:
    try:
        await handle.result()
    except WorkflowFailureError:
        return


async def views(
    bench: Bench, handle: WorkflowHandle[Any, Any], snapshots: list[ResilienceState], watching: Terminal
) -> Seen:
    """Look at a run that has ended in every other view."""
    await watching.end(PATIENCE)
    showing = await command(bench, "status")
    await showing.end(PATIENCE)
    row = await bench.store.executions.latest_of(handle.id)
    assert row is not None
    return Seen(snapshots, showing.text, watching.text, await gather(bench.store, row.execution_id))


async def command(bench: Bench, name: str) -> Terminal:
    """Start `watch` or `status` for a bench's run."""
    return await Terminal.start(name, bench.name, folder=bench.folder, env=bench.for_commands())


def without_times(state: ResilienceState) -> list[str]:
    """Return the lines of a run's panels without the times, because whichever component finishes a run writes them."""
    return [line for line in panel_lines(state) if not line.startswith("started ")]

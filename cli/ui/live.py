"""The live view of `watch`: a screen that redraws itself."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live

from cli.console import coloured
from cli.ui.live_frame import Moment, frame
from cli.ui.live_lines import symbols
from cli.ui.live_log import LogReader, RunLog
from clients.store.read_models import LogEntry, LogLevel
from domain.executions.state import ExecutionState

DRAW_EVERY = 0.5
"""Seconds between two redraws when nothing happens: clocks advance, and the terminal may be resized."""


class LiveView:
    """Shows a run on the whole terminal.

    At the end, the ordinary screen returns for the result.
    """

    def __init__(self, footer: str) -> None:
        """Create a view with `footer` in its last line."""
        self._footer = footer
        self._console = Console(
            file=sys.stdout, force_terminal=True, no_color=not coloured(), highlight=False, markup=False, emoji=False
        )
        # We choose when to draw, so it needs no refresh thread. Nothing else writes meanwhile, so it need not redirect.
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._marks = symbols(self._console.encoding)
        self._state: ExecutionState | None = None
        self._log = RunLog()
        self._reader = LogReader(self._log)
        self._tasks: list[asyncio.Task[None]] = []
        self._reading = False

    async def __aenter__(self) -> Self:
        self._live.start()
        self._tasks.append(asyncio.create_task(self._redraw()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._state is not None and self._state.execution_id is not None:
            await self._reader.read(self._state.execution_id)  # The last log lines show why the run ended.
        await self._reader.close()
        self._live.stop()

    def say(self, text: str) -> None:
        """Show a remark of ours, which does not come from the run."""
        self._log.remark(text)
        self._draw()

    def lines(self, state: ExecutionState) -> list[str]:
        """Show a state. Returns no lines, because the view shows everything itself."""
        self._state = state
        self._log.state(state)
        if state.execution_id is not None and not self._reading:
            self._reading = True
            self._tasks.append(asyncio.create_task(self._reader.again_and_again(state.execution_id)))
        self._draw()
        return []

    def troubles(self) -> list[LogEntry]:
        """Return the log's warnings and errors, which disappear with the view's screen."""
        return [entry for entry in self._log.entries() if entry.level >= LogLevel.WARN]

    async def _redraw(self) -> None:
        while True:
            self._draw()
            await asyncio.sleep(DRAW_EVERY)

    def _draw(self) -> None:
        moment = Moment(self._state, self._log.entries(), self._log.of_store, datetime.now(UTC), self._footer)
        # Ask the terminal itself: LINES and COLUMNS, if a shell exports them, may hold an old size.
        size = self._console.size = ConsoleDimensions(*os.get_terminal_size(sys.stdout.fileno()))
        self._live.update(Group(*frame(moment, size.width, size.height, self._marks)), refresh=True)

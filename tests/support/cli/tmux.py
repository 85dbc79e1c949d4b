"""A real terminal without a person: a command in tmux, and its screen as a person would see it."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from tests.support.cli.terminal import PATIENCE, clean_environment
from tests.support.paths import ROOT

_CONFIG = """
set -g remain-on-exit on
set -g remain-on-exit-format ""
set -g status off
set -g history-limit 5000
set -g default-terminal screen-256color
"""


class Tmux:
    """A `holdfast` command in a terminal of its own. Its tmux server is for it alone, and ends with it."""

    def __init__(self, folder: Path, work: Path, env: dict[str, str]) -> None:
        self._folder = folder
        self._code = folder / "code"
        self._work = work
        self._env = clean_environment() | {"LC_ALL": "C.UTF-8", "COLORTERM": ""} | env
        for name in ("NO_COLOR", "TMUX"):
            if name not in env:
                self._env.pop(name, None)

    @classmethod
    async def start(
        cls, *arguments: str, folder: Path, env: dict[str, str], width: int = 150, height: int = 50, term: str = ""
    ) -> Self:
        """Start a command, with a different TERM if that is given. Skips the test if there is no tmux."""
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed: the live view cannot be driven in a terminal")
        # Not the test's own folder: a socket's path may have at most 107 characters.
        tmux = cls(Path(tempfile.mkdtemp(prefix="hf-tmux-")), folder, env)
        (tmux._folder / "conf").write_text(_CONFIG)
        command = shlex.join([sys.executable, str(ROOT / "starter.py"), *arguments])
        command = f"env TERM={term} {command}" if term else command
        # tmux itself misses an exit code at times, if a process ends just as its terminal does. The shell must outlive
        # the Ctrl-C that is meant for the command.
        command = f"trap : INT; {command}; echo $? >{shlex.quote(str(tmux._code))}"
        await tmux._do("-f", str(tmux._folder / "conf"), "new-session", "-d", f"-x{width}", f"-y{height}", command)
        return tmux

    async def screen(self, *, colours: bool = False, history: bool = False, rows: bool = False) -> str:
        """Return what is on the terminal now; with `history`, also the lines that have left it at its top.

        Lines that the terminal has wrapped are one again, unless its own `rows` are asked for: a row that was wrapped
        once stays marked so after something else was drawn in its place.
        """
        more = (["-e"] if colours else []) + (["-S", "-"] if history else []) + ([] if rows else ["-J"])
        return await self._do("capture-pane", "-p", *more)

    async def until(self, words: str | Callable[[str], bool], patience: float = PATIENCE, *, rows: bool = False) -> str:
        """Return the first screen that contains these words, or that satisfies the function."""
        shown = ""
        try:
            async with asyncio.timeout(patience):
                while True:
                    shown = await self.screen(rows=rows)
                    if words in shown if isinstance(words, str) else words(shown):
                        return shown
                    assert not await self.ended(), f"ended before it showed {words!r}:\n{shown}"
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise AssertionError(f"did not show {words!r}:\n{shown}") from error

    async def ended(self) -> bool:
        """Return whether the command has ended."""
        return bool(self._exit_code())

    async def end(self, patience: float = PATIENCE) -> int:
        """Wait for the command's end and return its exit code."""
        async with asyncio.timeout(patience):
            while not (code := self._exit_code()):
                await asyncio.sleep(0.05)
        return int(code)

    def _exit_code(self) -> str:
        return self._code.read_text().strip() if self._code.exists() else ""

    async def on_its_own_screen(self) -> bool:
        """Return whether the command has taken the terminal for itself."""
        return await self._ask("#{alternate_on}") == "1"

    async def press(self, key: str) -> None:
        await self._do("send-keys", key)

    async def resize(self, width: int, height: int) -> None:
        await self._do("resize-window", f"-x{width}", f"-y{height}")

    async def close(self) -> None:
        await self._do("kill-server", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _ask(self, what: str) -> str:
        return (await self._do("display-message", "-p", what)).strip()

    async def _do(self, *arguments: str, check: bool = True) -> str:
        process = await asyncio.create_subprocess_exec(
            *("tmux", "-u", "-S", str(self._folder / "socket"), *arguments),
            cwd=self._work,
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert not check or process.returncode == 0, f"tmux {arguments}: {err.decode()}"
        return out.decode()

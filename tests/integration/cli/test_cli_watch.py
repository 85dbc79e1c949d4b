"""`holdfast watch` as a process: a live view in a real terminal, and lines everywhere else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from tests.support.cli.locking import until_locked
from tests.support.cli.stand_ins import UNVERIFIED, WAITS
from tests.support.cli.terminal import Terminal
from tests.support.cli.tmux import Tmux

Start = Callable[..., Awaitable[Terminal]]
Open = Callable[..., Awaitable[Tmux]]
Begin = Callable[[str], Awaitable[Any]]

_STYLE = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.fixture
async def terminal(tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[Open]:
    """Yield a function that opens a terminal with a command in it.

    Terminals that are still open at the end are closed.
    """
    async with AsyncExitStack() as stack:

        async def start(*arguments: str, env: dict[str, str] | None = None, **how: Any) -> Tmux:
            tmux = await Tmux.start(*arguments, folder=tmp_path, env=environment | (env or {}), **how)
            stack.push_async_callback(tmux.close)
            return tmux

        yield start


def colours(screen: str) -> set[int]:
    """Return the numbers of all colours on a screen, without bold and the like."""
    numbers = {int(number) for found in _STYLE.findall(screen) for number in found.split(";") if number}
    return {colour for colour in numbers if (30 <= colour <= 49 and colour not in (39, 49)) or 90 <= colour <= 107}


def name_of(run: Any) -> str:
    return str(run.id.rpartition("/")[2])


@pytest.mark.usefixtures("stand_ins")
async def test_watch_takes_the_screen_of_a_terminal_and_gives_it_back(terminal: Open, begin: Begin) -> None:
    """It shows the stages, everything active, and the log. Afterwards the outcome stands below the earlier output."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run))
    await tmux.until("▸ GENERATING_CASES")
    assert await tmux.on_its_own_screen()
    # A screen that is read while it is drawn may be half a picture.
    shown = await tmux.until(lambda shown: "Ctrl-C stops watching" in shown.splitlines()[-1])
    for words in (
        "plan stand-in",
        "execution 42",
        "on now: nothing",
        "· LOAD_TEST_BASELINE",
        "log, from the run itself",
    ):
        assert words in shown
    assert {31, 32, 33} & colours(await tmux.screen(colours=True))
    await run.cancel()
    assert await tmux.end() == 130
    assert not await tmux.on_its_own_screen()
    left = await tmux.screen(history=True)
    assert left.splitlines()[0].startswith(f"{run.id}, run ")
    assert "recovery: verified, nothing is left on" in left
    assert "Ctrl-C stops watching" not in left


@pytest.mark.usefixtures("stand_ins")
async def test_ctrl_c_gives_the_terminal_back_and_leaves_the_run_alone(
    terminal: Open, client: Client, begin: Begin
) -> None:
    """It prints how to end the run."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run))
    await tmux.until("▸ GENERATING_CASES")
    await tmux.press("C-c")
    assert await tmux.end() == 130
    assert not await tmux.on_its_own_screen()
    assert f"the run goes on. To end it: `holdfast cancel {name_of(run)}`" in await tmux.screen()
    described = await client.get_workflow_handle(run.id).describe()
    assert described.status is WorkflowExecutionStatus.RUNNING


@pytest.mark.usefixtures("stand_ins")
async def test_watch_fits_a_terminal_that_changes_its_size(terminal: Open, begin: Begin) -> None:
    """The next picture fits, however small, whatever size a shell exported at the start."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run), env={"COLUMNS": "80", "LINES": "24"})
    await tmux.until("▸ GENERATING_CASES")
    for width, height in ((80, 24), (40, 10), (150, 50)):
        await tmux.resize(width, height)

        def fits(shown: str, height: int = height) -> bool:
            lines = shown.splitlines()
            return len(lines) == height and lines[0].startswith("plan stand-in") and "Ctrl-C stops" in lines[-1]

        await tmux.until(fits, rows=True)


@pytest.mark.usefixtures("stand_ins")
async def test_no_color_removes_all_colours(terminal: Open, begin: Begin) -> None:
    """View and outcome are otherwise the same."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run), env={"NO_COLOR": "1"})
    await tmux.until("▸ GENERATING_CASES")
    assert await tmux.on_its_own_screen()
    assert colours(await tmux.screen(colours=True)) == set()
    await run.cancel()
    await tmux.end()
    assert colours(await tmux.screen(colours=True, history=True)) == set()


@pytest.mark.usefixtures("stand_ins")
async def test_a_terminal_that_cannot_move_its_cursor_gets_lines(terminal: Open, begin: Begin) -> None:
    """The TERM of an editor's terminal or of a slow line shows this."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run), term="dumb")
    await tmux.until("status running, phase GENERATING_CASES")
    assert not await tmux.on_its_own_screen()
    assert _STYLE.findall(await tmux.screen(colours=True)) == []


@pytest.mark.usefixtures("stand_ins")
async def test_piped_output_is_lines_without_control_characters(holdfast: Start, begin: Begin) -> None:
    """Each change once, then the outcome, whatever the environment says of terminals and colours."""
    run = await begin(WAITS)
    wishes = {
        "TERM": "xterm-256color",
        "FORCE_COLOR": "1",
        "CLICOLOR_FORCE": "1",
        "COLUMNS": "80",
        "TTY_COMPATIBLE": "1",
    }
    watching = await holdfast("watch", name_of(run), **wishes)
    await watching.until("phase GENERATING_CASES")
    await run.cancel()
    assert await watching.end() == 130
    assert "recovery: verified, nothing is left on" in watching.text
    assert not [character for character in watching.text if not character.isprintable() and character != "\n"]


@pytest.mark.usefixtures("stand_ins")
async def test_quiet_prints_only_the_outcome(holdfast: Start, begin: Begin) -> None:
    """The output is two lines, and the exit code is that of the run."""
    watching = await holdfast("watch", name_of(await begin(UNVERIFIED)), "--quiet")
    assert await watching.end() == 5
    verdict, recovery = watching.text.splitlines()
    assert verdict.startswith("verdict: PASSED")
    assert recovery.startswith("recovery: UNVERIFIED")


@pytest.mark.usefixtures("stand_ins")
async def test_quiet_does_not_take_the_screen_of_a_terminal(terminal: Open, client: Client, begin: Begin) -> None:
    """Not even in a terminal where it could."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run), "--quiet")
    await until_locked(client, run)
    await run.cancel()
    assert await tmux.end() == 130
    lines = [line for line in (await tmux.screen(history=True)).splitlines() if line]
    assert lines == ["the run was cancelled", "recovery: verified, nothing is left on"]

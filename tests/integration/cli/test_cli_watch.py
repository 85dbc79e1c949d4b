"""`holdfast watch` as a process: as a live view in a real terminal, and as lines wherever else it is read."""

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
    """Opens terminals with a command in each; whatever is still there at the end is closed."""
    async with AsyncExitStack() as stack:

        async def start(*arguments: str, env: dict[str, str] | None = None, **how: Any) -> Tmux:
            tmux = await Tmux.start(*arguments, folder=tmp_path, env=environment | (env or {}), **how)
            stack.push_async_callback(tmux.close)
            return tmux

        yield start


def colours(screen: str) -> set[int]:
    """The numbers of all colours on a screen; bold and the like are none."""
    numbers = {int(number) for found in _STYLE.findall(screen) for number in found.split(";") if number}
    return {one for one in numbers if (30 <= one <= 49 and one not in (39, 49)) or 90 <= one <= 107}


def name_of(run: Any) -> str:
    return str(run.id.rpartition("/")[2])


@pytest.mark.usefixtures("stand_ins")
async def test_in_a_terminal_it_takes_the_screen_and_gives_it_back(terminal: Open, begin: Begin) -> None:
    """With stages, what is on and the log while it goes on; afterwards the outcome, below what stood there before."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run))
    await tmux.until("▸ GENERATING_CASES")
    assert await tmux.on_its_own_screen()
    # What is read while it draws may be half a picture.
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
    """And says how it would be ended."""
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
async def test_a_terminal_may_change_its_size(terminal: Open, begin: Begin) -> None:
    """The next picture fits the new one, however small, whatever a shell has exported when it began."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run), env={"COLUMNS": "80", "LINES": "24"})
    await tmux.until("▸ GENERATING_CASES")
    for width, height in ((80, 24), (40, 10), (150, 50)):
        await tmux.resize(width, height)

        def fits(shown: str, height: int = height) -> bool:
            lines = shown.splitlines()
            return len(lines) == height and lines[0].startswith("plan stand-in") and "Ctrl-C stops" in lines[-1]

        await tmux.until(fits)


@pytest.mark.usefixtures("stand_ins")
async def test_colour_only_where_it_is_wanted(terminal: Open, begin: Begin) -> None:
    """NO_COLOR: the same view, and the same outcome, without one."""
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
    """As an editor's, or a slow line's, which say so by TERM."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run), term="dumb")
    await tmux.until("status running, phase GENERATING_CASES")
    assert not await tmux.on_its_own_screen()
    assert _STYLE.findall(await tmux.screen(colours=True)) == []


@pytest.mark.usefixtures("stand_ins")
async def test_piped_it_is_lines_without_control_characters(holdfast: Start, begin: Begin) -> None:
    """Whatever the environment says of terminals and colours: each change once, then the outcome."""
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
    assert not [one for one in watching.text if not one.isprintable() and one != "\n"]


@pytest.mark.usefixtures("stand_ins")
async def test_quiet_is_the_outcome_alone(holdfast: Start, begin: Begin) -> None:
    """Two lines and the exit code."""
    watching = await holdfast("watch", name_of(await begin(UNVERIFIED)), "--quiet")
    assert await watching.end() == 5
    verdict, recovery = watching.text.splitlines()
    assert verdict.startswith("verdict: PASSED")
    assert recovery.startswith("recovery: UNVERIFIED")


@pytest.mark.usefixtures("stand_ins")
async def test_quiet_takes_no_terminal_for_itself(terminal: Open, client: Client, begin: Begin) -> None:
    """Not even where it could."""
    run = await begin(WAITS)
    tmux = await terminal("watch", name_of(run), "--quiet")
    await until_locked(client, run)
    await run.cancel()
    assert await tmux.end() == 130
    lines = [line for line in (await tmux.screen(history=True)).splitlines() if line]
    assert lines == ["the run was cancelled", "recovery: verified, nothing is left on"]

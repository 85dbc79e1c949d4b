"""`holdfast logs`: a run's log in the store, and the lines that are added to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.commands.logs import REREAD, LogFollower, line_text
from clients.store.engine import writing
from clients.store.read_models import LogEntry, LogLevel
from clients.store.repositories.logs import Logs
from clients.store.schema.columns import utc_now
from clients.store.schema.tables import TaskExecutionLog
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus
from domain.resilience.kind import KIND
from tests.support.cli.stored import invoke, stored_run
from tests.support.cli.terminal import PATIENCE, Terminal

Start = Callable[..., Awaitable[Terminal]]


@pytest.fixture
async def follow(store: Store, tmp_path: Path) -> AsyncIterator[Start]:
    """Start `holdfast logs --follow` as a process on the test's store. It needs no server, and there is none."""
    async with AsyncExitStack() as stack:

        async def start(*arguments: str) -> Terminal:
            env = {"HOLDFAST_DATABASE_URL": os.environ["HOLDFAST_DATABASE_URL"]}
            terminal = await Terminal.start("logs", "--follow", *arguments, folder=tmp_path, env=env)
            stack.push_async_callback(terminal.close)
            return terminal

        yield start


async def run_with_log(store: Store) -> int:
    run = (await stored_run(store)).execution_id
    for level in LogLevel:
        await store.logs.add(run, f"line-{level}", level, f"line {level.name}")
    return run


def done(run: int) -> Ending:
    return Ending(execution_id=run, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["INFO", "WARN", "ERROR"]),
        (("--level", "debug"), ["DEBUG", "INFO", "WARN", "ERROR"]),
        (("--level", "WARN"), ["WARN", "ERROR"]),
        (("--level", "error"), ["ERROR"]),
    ],
)
async def test_lines_of_a_level_and_above_are_shown(
    store: Store, arguments: tuple[str, ...], expected: list[str]
) -> None:
    """A line each for people, a single document for programs."""
    await run_with_log(store)
    result = await invoke("logs", "shop", *arguments)
    assert result.exit_code == 0
    assert [line.split()[2:] for line in result.stdout.splitlines()] == [[level, "line", level] for level in expected]
    facts = json.loads((await invoke("logs", "shop", "--json", *arguments)).stdout)
    assert [(entry["level"], entry["message"]) for entry in facts] == [(level, f"line {level}") for level in expected]
    assert set(facts[0]) == {"ts", "level", "message"}


async def test_a_run_is_found_by_plan_workflow_and_execution(store: Store) -> None:
    """By whatever people have at hand. Anything else is not found."""
    run = await run_with_log(store)
    results = [await invoke("logs", name) for name in ("shop", KIND.workflow_id("shop"), str(run))]
    assert len({result.stdout for result in results}) == 1
    assert "line ERROR" in results[0].stdout
    for unknown in ("shopping", "1", "9" * 16, "9" * 40, "²"):
        none = await invoke("logs", unknown)
        assert none.exit_code == 3
        assert f"the store has no run {unknown}" in none.stderr


async def test_an_unknown_level_is_wrong_use(store: Store) -> None:
    """Exit code 2, with the levels that exist."""
    await run_with_log(store)
    result = await invoke("logs", "shop", "--level", "loud")
    assert result.exit_code == 2
    assert "'warn'" in result.stderr


async def test_omitted_lines_and_a_run_under_way_are_mentioned(store: Store) -> None:
    """On standard error: what is piped is the log alone."""
    run = await run_with_log(store)
    remarks = (await invoke("logs", "shop", "--level", "error")).stderr
    assert f"(execution {run} of plan shop: 1 of 4 lines, `--level debug` shows all" in remarks
    assert f"`holdfast logs {run} --follow` goes on" in remarks
    await store.executions.finish(done(run))
    assert "--follow" not in (await invoke("logs", "shop")).stderr


def test_a_log_entry_is_a_single_line_without_control_characters() -> None:
    """It quotes peers, whose text may hold anything."""
    entry = LogEntry(ts=utc_now(), level=LogLevel.WARN, message="a\nb\x1b[31mc\r\nd\x07\té")
    text = line_text(entry)
    assert text.isprintable()
    assert text.endswith(r"Z  WARN   a b\u001b[31mc d\u0007 é")


async def test_following_shows_each_line_once_until_the_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that exist, lines that are added, and lines that come late under an earlier time.

    Then it ends by itself.
    """
    monkeypatch.setattr("cli.commands.logs.LOOK_EVERY", 0.01)
    run = await run_with_log(store)
    shown: asyncio.Queue[str] = asyncio.Queue()

    def show(lines: list[LogEntry]) -> None:
        for line in lines:
            shown.put_nowait(line.message)

    following = asyncio.create_task(LogFollower(store, await store.executions.row(run), LogLevel.WARN, show).follow())
    assert [await shown.get(), await shown.get()] == ["line WARN", "line ERROR"]
    await store.logs.add(run, "quiet", LogLevel.INFO, "not shown")
    await store.logs.add(run, "more", LogLevel.WARN, "one more")
    assert await shown.get() == "one more"
    late = {"id": 1, "execution_id": run, "entry_key": "late", "ts": utc_now() - REREAD / 2}
    async with writing(store.engine) as work:
        work.add(TaskExecutionLog.model_validate(late | {"level": LogLevel.WARN, "message": "came late"}))
    assert await shown.get() == "came late"
    await store.logs.add(run, "finished", LogLevel.ERROR, "the end")
    await store.executions.finish(done(run))
    await following
    assert await shown.get() == "the end"
    assert shown.empty()


async def test_following_as_json_writes_a_document_per_line(store: Store, follow: Start) -> None:
    """For a run that has ended: its log, and the end."""
    run = await run_with_log(store)
    await store.executions.finish(done(run))
    following = await follow(str(run), "--json", "--level", "debug")
    assert await following.end(PATIENCE * 4) == 0
    assert [json.loads(line)["level"] for line in following.text.splitlines()] == [level.name for level in LogLevel]


async def test_following_can_be_interrupted(store: Store, follow: Start) -> None:
    """Exit code 130, as for everything that its user ended. The run is not touched."""
    await run_with_log(store)
    following = await follow("shop")
    await following.until("line ERROR", PATIENCE * 4)
    following.signal(signal.SIGINT)
    assert await following.end(PATIENCE * 4) == 130
    assert "Traceback" not in following.text
    assert (await store.executions.newest(1))[0].run_status is RunStatus.RUNNING


async def test_a_store_that_is_away_for_a_moment_is_asked_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines that were shown are not shown again."""
    run = await run_with_log(store)
    await store.executions.finish(done(run))
    whole, asked, shown = Logs.of, 0, []

    async def sometimes(self: Logs, *arguments: Any) -> list[LogEntry]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise HoldfastError(ErrorCode.STORE_UNAVAILABLE, "the database does not answer")
        return await whole(self, *arguments)

    monkeypatch.setattr(Logs, "of", sometimes)
    monkeypatch.setattr("cli.commands.logs.LOOK_EVERY", 0.01)
    await LogFollower(store, await store.executions.row(run), LogLevel.INFO, shown.extend).follow()
    assert asked == 2
    assert [line.level for line in shown] == [LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR]
    assert "trying again" in capsys.readouterr().err


async def test_following_a_silent_run_suggests_where_else_to_look(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its workers may be gone, and then nothing records its end."""
    run = await run_with_log(store)
    monkeypatch.setattr("cli.commands.logs.LOOK_EVERY", 0.01)
    monkeypatch.setattr("cli.commands.logs.HINT_AFTER", timedelta(milliseconds=20))
    following = asyncio.create_task(
        LogFollower(store, await store.executions.row(run), LogLevel.INFO, lambda _: None).follow()
    )
    remarks = ""
    while "`holdfast status resilience-test/shop`" not in remarks:
        assert not following.done()
        await asyncio.sleep(0)
        remarks += capsys.readouterr().err
    await store.executions.finish(done(run))
    await following

"""A disk that fills up while a fault is on: the fault is removed in time, and its end is recorded later."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError

from domain.executions.windows import SETTLED, WindowKind
from domain.resilience.model import Phase
from lab import Misbehaviour
from lab.misbehaviour.misbehave import Action, Instruction
from lab.misbehaviour.names import Endpoint
from tests.support.runs.bench import brisk_shop, until
from tests.support.runs.fixtures import opened_bench

SIZE = "8m"
BLOCK = 4096


@pytest.fixture
async def small_disk(tmp_path: Path) -> AsyncIterator[Path]:
    """Small separate disk for the store."""
    folder = tmp_path / "disk"
    folder.mkdir()
    refusal = await _run_command("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    if refusal:
        pytest.skip(f"this machine lets nobody mount a disk here: {refusal}")
    try:
        yield folder
    finally:
        assert not await _run_command("umount", "--lazy", str(folder))


async def _run_command(*command: str) -> str:
    """Run a command. Returns why it failed, or an empty string."""
    try:
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    except OSError as error:
        return str(error)
    _, words = await process.communicate()
    return (words.decode().strip() or f"exit {process.returncode}") if process.returncode else ""


class Filler:
    """Takes everything that is left of a disk."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "filler"
        self._database = folder / "holdfast.db"

    def fill(self) -> None:
        """Take all space, including the database's reserve: its log is truncated first."""
        with closing(sqlite3.connect(self._database, timeout=30)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy
        size = BLOCK
        with self._file.open("wb", buffering=0) as file:
            while size:
                try:
                    file.write(b"x" * size)
                except OSError:
                    size //= 2
        assert os.statvfs(self._file).f_bavail == 0

    def refuses(self) -> bool:
        """Whether the database refuses to write for want of space."""
        with closing(sqlite3.connect(self._database, timeout=30)) as connection:
            try:
                connection.execute("CREATE TABLE proof (of_it TEXT)")
            except sqlite3.OperationalError as error:
                return "full" in str(error) or "I/O" in str(error)
        return False

    def free(self) -> None:
        self._file.unlink()


async def test_a_full_disk_does_not_delay_the_removal_of_a_fault(temporal: Client, small_disk: Path) -> None:
    """It is removed while nothing can be written. The run's end and its log lines are written once there is space."""
    async with opened_bench(temporal, small_disk, brisk_shop()) as bench:
        bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG)]))
        handle = await bench.start(bench.small_plan("reviews"))
        await bench.until_state(
            handle,
            lambda state: any(row.kind == "fault" and row.state == "open" for row in state.windows),
            "a fault",
        )
        filler = Filler(small_disk)
        await asyncio.to_thread(filler.fill)
        assert bench.lab.state().faults
        await handle.cancel()

        async def removed() -> bool:
            return not bench.lab.state().faults

        await until(removed, "the fault to be gone")
        rows = [row for row in await bench.store.ledger.unsettled() if row.kind is WindowKind.FAULT]
        assert [row.state in SETTLED for row in rows] == [False], "the disk was not full"
        assert await asyncio.to_thread(filler.refuses)
        filler.free()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        report = await bench.lock_ended(handle)
        assert report is not None
        assert report.recovery_verified
        row = await bench.store.executions.row(report.execution_id)
        assert (row.status, row.finished_at is not None) == (Phase.CANCELLED, True)
        assert await bench.store.ledger.unsettled() == []
        lines = [entry.message for entry in await bench.store.logs.of(report.execution_id)]
        assert any("is gone from reviews" in line for line in lines)

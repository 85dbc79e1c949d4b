"""Stores and Holdfast's own folder are private to their user, whatever the umask and whatever existed before."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo.bench import next_folder
from clients.local.private import private_folder
from clients.store.store import Store
from clients.temporal.embedded import embedded_server
from clients.temporal.embedded_settings import DevServerSettings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True, params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


async def test_a_new_store_and_the_files_beside_it_are_private(tmp_path: Path) -> None:
    """The store is open, so SQLite's write-ahead log and its index exist."""
    path = tmp_path / ".holdfast" / "holdfast.db"
    store = await Store.open(f"sqlite+aiosqlite:///{path}")
    try:
        await store.halting.halted()
        found = {file.name: mode(file) for file in path.parent.iterdir()}
        assert found == {"holdfast.db": 0o600, "holdfast.db-wal": 0o600, "holdfast.db-shm": 0o600}
        assert mode(path.parent) == 0o700
    finally:
        await store.close()


async def test_a_store_that_other_users_could_read_is_made_private(tmp_path: Path) -> None:
    """Including the files that an earlier version left beside it."""
    folder = tmp_path / ".holdfast"
    folder.mkdir()
    for name in ("holdfast.db", "holdfast.db-wal", "holdfast.db-shm"):
        (folder / name).touch(0o666)
    store = await Store.open(f"sqlite+aiosqlite:///{folder / 'holdfast.db'}")
    await store.halting.halted()
    found = {file.name: mode(file) for file in folder.iterdir()}
    await store.close()
    assert set(found.values()) == {0o600}
    assert mode(folder) == 0o700


async def test_the_embedded_servers_database_and_lock_are_private(tmp_path: Path) -> None:
    """The server creates its own files, so it must inherit our umask."""
    path = tmp_path / ".holdfast" / "temporal.db"
    settings = DevServerSettings(port=0, ui_port=0, database_file=str(path))
    async with embedded_server(settings, ui=False):
        found = {file.name: mode(file) for file in path.parent.iterdir()}
        assert {"temporal.db", "temporal.db.lock"} <= found.keys()
        assert set(found.values()) == {0o600}
        assert mode(path.parent) == 0o700
    assert stat.S_IMODE(os.umask(0o022)) in (0o000, 0o022)


def test_the_folder_of_a_demo_is_private(tmp_path: Path) -> None:
    """It holds logs and reports."""
    folder = next_folder(tmp_path / ".holdfast" / "demo")
    assert [mode(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3


def test_a_folder_that_is_not_ours_is_left_alone_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be shared on purpose; the file in it is private in any case."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    private_folder(folder)
    assert mode(folder) == 0o777
    assert "anybody on this machine may replace files" in caplog.text

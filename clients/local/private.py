"""Files and folders that only their user may read: the stores, logs and reports say what was done to a system.

They are made with their modes, and not changed afterwards: between the two somebody could open them.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OUR_FOLDER = ".holdfast"
_SQLITE_BESIDE = ("", "-wal", "-shm", "-journal")

logger = logging.getLogger("holdfast.private")


def private_folder(path: Path) -> None:
    """Make a folder, and those above it, each for its user alone; `.holdfast` and what is in it are made private again.

    Another folder that is there already is its owner's: when others may write to it, a warning says so.

    Raises:
        OSError: when it cannot be made.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        try:
            one.mkdir(FOLDER_MODE)
        except FileExistsError:
            continue
    ours = [one for one in (path, *path.parents) if OUR_FOLDER in one.parts]
    for one in ours:
        _tighten(one, FOLDER_MODE)
    found = path.stat()
    if not ours and found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        logger.warning("anybody on this machine may replace files in %s: chmod o-w %s", path, path)


def opener(path: str, flags: int) -> int:
    """For `open(..., opener=opener)`: a new file is private, in one step."""
    return os.open(path, flags, FILE_MODE)


def opener_in(folder: Path) -> Callable[[str, int], int] | None:
    """The opener for files in our own folder; None, which is the usual one, for those in somebody else's."""
    return opener if OUR_FOLDER in folder.absolute().parts else None


def private_database(path: Path, *, create: bool = True) -> None:
    """Make a database of SQLite, and what SQLite writes beside it, private: new files beside it take its mode.

    One that is there is never opened here. Closing a file gives up every lock that this process has on it, those of
    SQLite included: another process would then take the database for its own, and remove the log that this one's
    connections go on reading and writing.

    Without `create`, one that is not there is left to who makes it, as under `private_umask`.

    Raises:
        OSError: when its folder cannot be made.
    """
    private_folder(path.parent)
    if create:
        # Where it cannot be made, SQLite says in its own words what is wrong with it.
        with suppress(OSError):
            os.close(os.open(path.resolve(), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
    for suffix in _SQLITE_BESIDE:
        _tighten(path.with_name(path.name + suffix), FILE_MODE)


@contextmanager
def private_umask() -> Iterator[None]:
    """Have files that this process and the ones it starts inside the block make be private."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _tighten(path: Path, mode: int) -> None:
    """Take away what others may do, where it is ours and wider."""
    try:
        found = path.stat()
    except OSError:
        return
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & ~mode:
        path.chmod(mode)

"""Files and folders that only their user may read.

Stores, logs and reports reveal what was done to a system. New files and folders are created with their final mode:
changing it afterwards would leave a moment in which others could open them.
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
    """Create a private folder and its missing parents.

    `.holdfast`, and the folders inside it on this path, are made private again. The mode of any other existing folder
    is its owner's choice and stays as it is, but a warning is logged if everybody may replace files in it.

    Raises:
        OSError: when the folder cannot be created.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(FOLDER_MODE)
        except FileExistsError:
            continue
    ours = [folder for folder in (path, *path.parents) if OUR_FOLDER in folder.parts]
    for folder in ours:
        _tighten(folder, FOLDER_MODE)
    found = path.stat()
    if not ours and found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        logger.warning("anybody on this machine may replace files in %s: chmod o-w %s", path, path)


def opener(path: str, flags: int) -> int:
    """Open a file, creating it private in one step, for `open(..., opener=opener)`."""
    return os.open(path, flags, FILE_MODE)


def opener_in(folder: Path) -> Callable[[str, int], int] | None:
    """Return the private opener for files below our own folder (`.holdfast`).

    For other folders it returns None, which means the default opener.
    """
    return opener if OUR_FOLDER in folder.absolute().parts else None


def private_database(path: Path, *, create: bool = True) -> None:
    """Make an SQLite database, and the files SQLite keeps beside it, private.

    SQLite gives new files beside the database the database's mode. If the database is missing, it is created empty;
    without `create` that is left to the caller, for example under `private_umask`.

    Raises:
        OSError: when its folder cannot be created.
    """
    private_folder(path.parent)
    if create:
        # O_EXCL: never open an existing database here. Closing a file releases every lock that this process holds on
        # it, including SQLite's. Another process would then consider the database its own, and delete the log that
        # connections of this process still read and write.
        # Errors are ignored: if the file cannot be created, SQLite itself reports why.
        with suppress(OSError):
            os.close(os.open(path.resolve(), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
    for suffix in _SQLITE_BESIDE:
        _tighten(path.with_name(path.name + suffix), FILE_MODE)


@contextmanager
def private_umask() -> Iterator[None]:
    """Make new files of this process and its child processes private.

    This applies to processes that are started inside the block.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _tighten(path: Path, mode: int) -> None:
    """Remove wider permissions than `mode` from a path, if we own it."""
    try:
        found = path.stat()
    except OSError:
        return
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & ~mode:
        path.chmod(mode)

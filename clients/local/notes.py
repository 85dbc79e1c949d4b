"""Notes of local addresses in use: a lab's or an embedded server's.

A note is valid while the process that wrote it holds a lock on it. The kernel releases the lock however the process
ends, and unlike a process id, a lock cannot pass to an unrelated process. Notes are private to their user: a file that
belongs to another user, or that others may access, is ignored.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from domain.addresses import address_in

FOLDER_MODE = 0o700
FILE_MODE = 0o600

_OTHERS = 0o077
_LARGEST = 1 << 20
_MOST_FILES = 1_000
_STALE_SECONDS = 60.0
"""Minimum age before an unlocked file is removed, in seconds.

The owner of a younger file may be about to lock it.
"""


class Kind(StrEnum):
    """Kinds of notes."""

    LAB = "lab"
    """Addresses of a lab, which plans may use."""
    SERVER = "server"
    """Addresses of an embedded server, which plans may never use."""


CanonicalAddress = Annotated[str, AfterValidator(lambda text: str(address_in(text)))]


class Note(BaseModel):
    """The addresses that one process has open."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    addresses: list[CanonicalAddress]
    """Addresses as `host:port`."""


def folder() -> Path:
    """Return the folder of the notes, below the user's XDG state folder.

    It depends on this process's environment.

    Raises:
        OSError: when this user has no home folder.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "holdfast" / "running"
    try:
        return Path.home() / ".local" / "state" / "holdfast" / "running"
    except RuntimeError as error:
        raise OSError("this user has no home folder") from error


@contextlib.contextmanager
def noted(kind: Kind, addresses: Iterable[str]) -> Iterator[None]:
    """Keep a note inside the block.

    Raises:
        OSError: when it cannot be kept in a place that only this user can write to.
    """
    within = folder()
    within.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if not _is_ours(within.lstat(), directory=True):
        raise PermissionError(f"{within} is not this user's alone: its owner or mode is another")
    _remove_stale(within)
    path = within / f"{kind}-{uuid.uuid4().hex}.json"
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, FILE_MODE), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(Note(kind=kind, addresses=list(addresses)).model_dump_json())
            file.flush()
            yield
        finally:
            path.unlink(missing_ok=True)


def addresses_of(kind: Kind) -> list[str]:
    """Return the addresses noted by running processes, sorted.

    The list is empty if notes cannot be read.
    """
    found: set[str] = set()
    with contextlib.suppress(OSError):
        within = folder()
        if _is_ours(within.lstat(), directory=True):
            for path in sorted(within.glob(f"{kind}-*.json"))[:_MOST_FILES]:
                note = _read(path)
                if note is not None and note.kind is kind:
                    found.update(note.addresses)
    return sorted(found)


def _remove_stale(within: Path) -> None:
    for path in sorted(within.glob("*.json"))[:_MOST_FILES]:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _STALE_SECONDS:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink()


def _read(path: Path) -> Note | None:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(opened, "rb") as file:
        if not _is_ours(os.fstat(opened), directory=False):
            return None
        try:
            # If we get the lock, the owner is gone. A shared lock, so that readers do not take each other for owners.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _parsed(file.read(_LARGEST + 1))
        except OSError:
            return None
    return None


def _parsed(text: bytes) -> Note | None:
    try:
        return Note.model_validate_json(text) if len(text) <= _LARGEST else None
    except ValidationError:
        return None


def _is_ours(found: os.stat_result, *, directory: bool) -> bool:
    kind = stat.S_ISDIR if directory else stat.S_ISREG
    return kind(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & _OTHERS

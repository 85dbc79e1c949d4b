"""Notes of what runs on this machine, a lab's ports or an embedded server's: private to their user, gone with it.

A note holds while the process that wrote it holds its lock: the kernel lets go of that however a process ends, and no
number of a process can be taken by another one. What belongs to somebody else, or may be written by others, is not
believed.
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

FOLDER_MODE, FILE_MODE = 0o700, 0o600

_OTHERS = 0o077
_LARGEST = 1 << 20
_MOST_FILES = 1_000
_FORSAKEN_SECONDS = 60.0
"""A file this old that nobody holds was left behind; a younger one may be about to be held."""


class Kind(StrEnum):
    """What a note is of."""

    LAB = "lab"
    """Addresses that plans may touch."""
    SERVER = "server"
    """Addresses that plans never touch."""


CanonicalAddress = Annotated[str, AfterValidator(lambda text: str(address_in(text)))]


class Note(BaseModel):
    """What one process has open."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    addresses: list[CanonicalAddress]
    """`host:port`."""


def folder() -> Path:
    """Where notes are: below the user's folder for state (XDG), as this process's environment has it.

    Raises:
        OSError: this user has no home.
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
        OSError: it cannot be kept where nobody else can write it.
    """
    within = folder()
    within.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if not _is_ours(within.lstat(), directory=True):
        raise PermissionError(f"{within} is not this user's alone: its owner or mode is another")
    _remove_forsaken(within)
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
    """What is noted of this kind by processes that live, sorted. Nothing where notes cannot be read."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        within = folder()
        if _is_ours(within.lstat(), directory=True):
            for path in sorted(within.glob(f"{kind}-*.json"))[:_MOST_FILES]:
                note = _read(path)
                if note is not None and note.kind is kind:
                    found.update(note.addresses)
    return sorted(found)


def _remove_forsaken(within: Path) -> None:
    for path in sorted(within.glob("*.json"))[:_MOST_FILES]:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _FORSAKEN_SECONDS:
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
            # Shared, so that readers do not take each other for writers.
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

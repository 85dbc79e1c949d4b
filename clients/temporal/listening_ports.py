"""The ports of a local Temporal server, read from /proc on Linux."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

_LISTENS = "0A"
_PROCESSES = Path("/proc")


def ports_of_servers_at(ports: Collection[int]) -> set[int]:
    """Return all ports of the Temporal servers that listen on any of these ports.

    They include a server's Web UI, HTTP API and metrics. Linux shows them only for processes of the same user. The set
    is empty if they are unknown or if other programs listen on the ports. For example, `ssh -L` may forward the port of
    Temporal along with those of the services under test.
    """
    listeners = _listeners()
    found: set[int] = set()
    if not set(ports) & set(listeners.values()):
        return found
    for process in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if not (process / "comm").read_text().startswith("temporal"):
                continue
            links = _open_files(process)
            own = {listening_port for inode, listening_port in listeners.items() if f"socket:[{inode}]" in links}
            if own & set(ports):
                found |= own
    return found


def _open_files(process: Path) -> set[str]:
    found = set()
    for link in (process / "fd").iterdir():
        # A busy server closes files between the listing and this look, and its other files still count.
        with contextlib.suppress(OSError):
            found.add(str(link.readlink()))
    return found


def _listeners() -> dict[str, int]:
    """Return all listening ports, by the inode of their socket."""
    found = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROCESSES / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS:
                    found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found

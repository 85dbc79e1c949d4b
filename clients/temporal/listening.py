"""Ports on which a Temporal server of this machine listens (Linux: from /proc)."""

from __future__ import annotations

import contextlib
from pathlib import Path

_LISTENS = "0A"
_PROCESSES = Path("/proc")


def ports_of_server_at(port: int) -> set[int]:
    """Every port on which the Temporal server listens that has this one: its Web UI, HTTP API and metrics included.

    Linux shows them for processes of the same user. Empty where it cannot be known, or where another program has the
    port: an `ssh -L` may have Temporal's beside those of the services under test.
    """
    listeners = _listeners()
    for process in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if not (process / "comm").read_text().startswith("temporal"):
                continue
            links = {str(one.readlink()) for one in (process / "fd").iterdir()}
            found = {at for inode, at in listeners.items() if f"socket:[{inode}]" in links}
            if port in found:
                return found
    return set()


def _listeners() -> dict[str, int]:
    """Ports that are listened on, by the inode of the socket."""
    found = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROCESSES / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS:
                    found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found

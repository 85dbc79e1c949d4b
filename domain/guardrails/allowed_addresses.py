"""Which addresses may be reached: entries of a setting or a plan, held against canonical addresses."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from domain.addresses import LOOPBACK_HOST, Address, canonical_host

ANY_PORT = (1, 65535)
WEB_PORTS = (80, 443)
"""The default ports of http and https."""

_BELOW = "*."
_ENTRY = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
    r"|(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"(?::(?P<low>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?)?",
    re.ASCII,
)
_ENDS_IN_A_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One entry, read."""

    host: str
    """Canonical; of a domain what stands behind the star, with its dot: `.shop.internal`."""
    below: bool
    """Whether it stands for every host below that domain."""
    ports: tuple[int, int] | None
    """The lowest and the highest; None for a host alone."""


def entry_of(text: str) -> Entry:
    """Read `host`, `host:port` or `host:low-high`; IPv6 in brackets, `*.` before a domain for all hosts below it.

    Raises:
        ValueError: it is none of these.
    """
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise ValueError("is not a host, host:port or host:low-high")
    ports = None
    if found["low"] is not None:
        ports = int(found["low"]), int(found["high"] or found["low"])
        if not ANY_PORT[0] <= ports[0] <= ports[1] <= ANY_PORT[1]:
            raise ValueError("has no port, or no range of ports, between 1 and 65535")
    host = found["host"]
    if not host.startswith(_BELOW):
        return Entry(canonical_host(host), below=False, ports=ports)
    domain = canonical_host(host.removeprefix(_BELOW))
    if domain == LOOPBACK_HOST:
        # Every name below it is this machine (RFC 6761).
        return Entry(domain, below=False, ports=ports)
    # A star before part of an IP address would match the ends of others: `*.0.0.1` and 10.0.0.1.
    if ":" in domain or _ENDS_IN_A_NUMBER.fullmatch(domain.rpartition(".")[2]):
        raise ValueError("has a wildcard before something that is no domain")
    return Entry(f".{domain}", below=True, ports=ports)


class Allowed:
    """A list of entries, indexed: a plan may have a thousand services, and a lab as many ports."""

    def __init__(self, entries: Iterable[Entry], *, alone: Iterable[tuple[int, int]]) -> None:
        """Take the entries, and which ports a host alone stands for."""
        ranges: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        self._below: set[str] = set()
        for entry in entries:
            ranges[entry.host].update(alone if entry.ports is None else [entry.ports])
            if entry.below:
                self._below.add(entry.host)
        self._single = {(host, low) for host, found in ranges.items() for low, high in found if low == high}
        self._ranges = {host: [one for one in found if one[0] < one[1]] for host, found in ranges.items()}

    def allows(self, address: Address) -> bool:
        """Whether an entry stands for this address."""
        if self._has(address.host, address.port):
            return True
        # With its dot, so that `*.shop.internal` does not let `evil-shop.internal` pass.
        return any(self._has(domain, address.port) for domain in self._below if address.host.endswith(domain))

    def _has(self, host: str, port: int) -> bool:
        return (host, port) in self._single or any(low <= port <= high for low, high in self._ranges.get(host, ()))


@lru_cache(maxsize=16)
def allowed_by_worker(entries: tuple[str, ...]) -> Allowed:
    """What a worker's setting allows: a host alone stands for ports 80 and 443.

    Raises:
        ValueError: an entry cannot be read.
    """
    return Allowed(map(entry_of, entries), alone=[(port, port) for port in WEB_PORTS])


def allowed_by_plan(entries: Iterable[str]) -> Allowed:
    """What a plan allows itself: a host alone stands for whichever of its ports the plan names.

    That is what plans have meant since there are plans. It is their author's net against slips; the boundary is the
    worker's. What cannot be read allows nothing.
    """
    read = []
    for text in entries:
        try:
            read.append(entry_of(text))
        except ValueError:
            continue
    return Allowed(read, alone=[ANY_PORT])

"""Allowed addresses: entries of a setting or plan, matched against canonical addresses."""

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
    """A parsed entry."""

    host: str
    """Canonical host. Of a wildcard, the part after the star, including its dot: `.shop.internal`."""
    below: bool
    """Whether it is a wildcard for every host below that domain."""
    ports: tuple[int, int] | None
    """Lowest and highest port. None for an entry without a port."""


def entry_of(text: str) -> Entry:
    """Parse `host`, `host:port` or `host:low-high`.

    An IPv6 address with a port needs brackets. `*.` before a domain stands for all hosts below it.

    Raises:
        ValueError: the text is none of these, its ports are out of range, or its wildcard is not before a domain.
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
        # Every name below `localhost` is this machine (RFC 6761).
        return Entry(domain, below=False, ports=ports)
    # A wildcard before part of an IP address would match the ends of other addresses: `*.0.0.1` would allow 10.0.0.1.
    if ":" in domain or _ENDS_IN_A_NUMBER.fullmatch(domain.rpartition(".")[2]):
        raise ValueError("has a wildcard before something that is not a domain")
    return Entry(f".{domain}", below=True, ports=ports)


class Allowed:
    """A list of entries, indexed for fast lookup.

    A plan may have a thousand services, and a lab as many ports.
    """

    def __init__(self, entries: Iterable[Entry], *, alone: Iterable[tuple[int, int]]) -> None:
        """Index the entries. `alone` are the ports of an entry without any."""
        ranges: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        self._below: set[str] = set()
        for entry in entries:
            ranges[entry.host].update(alone if entry.ports is None else [entry.ports])
            if entry.below:
                self._below.add(entry.host)
        self._single = {(host, low) for host, host_ranges in ranges.items() for low, high in host_ranges if low == high}
        self._ranges = {
            host: [ports for ports in host_ranges if ports[0] < ports[1]] for host, host_ranges in ranges.items()
        }

    def allows(self, address: Address) -> bool:
        """Return whether an entry matches this address."""
        if self._matches(address.host, address.port):
            return True
        # The domain includes its leading dot, so that `*.shop.internal` does not allow `evil-shop.internal`.
        return any(self._matches(domain, address.port) for domain in self._below if address.host.endswith(domain))

    def _matches(self, host: str, port: int) -> bool:
        return (host, port) in self._single or any(low <= port <= high for low, high in self._ranges.get(host, ()))


@lru_cache(maxsize=16)
def allowed_by_worker(entries: tuple[str, ...]) -> Allowed:
    """Parse a worker's setting.

    A host without a port stands for ports 80 and 443.

    Raises:
        ValueError: an entry cannot be read.
    """
    return Allowed(map(entry_of, entries), alone=[(port, port) for port in WEB_PORTS])


def allowed_by_plan(entries: Iterable[str]) -> Allowed:
    """Parse a plan's own list.

    A host without a port stands for every one of its ports. Plans have always been read in this way. The list protects
    their authors against slips; the real boundary is the worker's setting. An entry that cannot be parsed allows
    nothing.
    """
    read = []
    for text in entries:
        try:
            read.append(entry_of(text))
        except ValueError:
            continue
    return Allowed(read, alone=[ANY_PORT])

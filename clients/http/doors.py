"""Addresses that nothing may be sent to, checked on each open connection.

The check runs when a connection is open, before any byte of a request is sent on it. The guardrails
(`domain/guardrails/check.py`) check addresses only as the plan writes them. Where a name leads is known only on the
connection itself. Looking the name up earlier proves nothing, because a name server may answer differently next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable

from domain.addresses import LOOPBACK_HOST, Address, address_in
from domain.guardrails.allowed_addresses import WEB_PORTS

_shut: Counter[Address] = Counter()
"""Shut addresses, each with the number of workers that shut it.

They apply to the whole process, because a connection does not know its worker.
"""

_LOOK_EVERY = 1.0
"""Maximum age of what `Passing` last saw, in seconds. Before it shuts a door, it always looks again."""


class Passing:
    """Addresses on this machine that are shut only for as long as something runs there.

    When that ends, the operating system may give the port to a tested service.
    """

    def __init__(self, look: Callable[[], Iterable[str]]) -> None:
        """Take what returns the current addresses (`host:port`). It is called for connections, so it must be quick."""
        self._look = look
        self._seen: frozenset[Address] = frozenset()
        self._until = 0.0

    def has(self, address: Address) -> bool:
        """Check an address. One that was added within the last second may still be missed."""
        now = time.monotonic()
        if address in self._seen or now >= self._until:
            self._seen = frozenset(map(address_in, self._look()))
            self._until = now + _LOOK_EVERY
        return address in self._seen


_passing: list[Passing] = []
"""What the workers of this process have, like `_shut`."""


@contextlib.asynccontextmanager
async def shut(own: Iterable[str], passing: Callable[[], Iterable[str]] = tuple) -> AsyncIterator[None]:
    """Refuse connections to these addresses (`host:port`) inside the block.

    This holds for every name under which an address is reached. `passing` returns those on this machine that come and
    go inside the block.
    """
    addresses = {address_in(text) for text in own}
    for resolved in await asyncio.gather(*map(_resolved, list(addresses))):
        addresses |= resolved
    _shut.update(addresses)
    _passing.append(current := Passing(passing))
    try:
        yield
    finally:
        _passing.remove(current)
        _shut.subtract(addresses)
        for address in addresses:
            if not _shut[address]:
                del _shut[address]


async def _resolved(address: Address) -> set[Address]:
    # Do not shut the IP address behind a web port: it may be an ingress, which serves many hosts by name.
    if address.is_loopback or address.port in WEB_PORTS:
        return set()
    with contextlib.suppress(OSError, UnicodeError):
        answers = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return {Address.of(str(answer[4][0]), address.port) for answer in answers}
    return set()


def is_shut(peer: object, here: object) -> bool:
    """Check whether a connection leads to an address that is shut.

    `peer` and `here` are its two ends, as sockets name them. A `peer` that cannot be read counts as shut.
    """
    if not isinstance(peer, tuple) or len(peer) < 2:
        return True
    try:
        address = Address.of(str(peer[0]), int(peer[1]))
    except ValueError:
        return True
    if address in _shut:
        return True
    # Equal IPs at both ends: the connection leads to this machine, and servers on all interfaces are reached like this.
    to_itself = isinstance(here, tuple) and here[:1] == peer[:1]
    if not (to_itself or address.is_loopback):
        return False
    local = Address(LOOPBACK_HOST, address.port)
    return local in _shut or any(passing.has(local) for passing in _passing)

"""Doors that stay shut: seen when a connection stands, before a byte of a request is sent on it.

A plan is held to addresses as it writes them (`logic/guardrails.py`). Where a name leads is known only here, and by no
earlier question: a name server may answer otherwise the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from domain.addresses import LOOPBACK_HOST, Address, address_in
from domain.guardrails.allowed_addresses import WEB_PORTS

_shut: Counter[Address] = Counter()
"""Of this process, by how many workers it runs: connections do not know whose they are."""


@contextlib.asynccontextmanager
async def shut(own: Iterable[str]) -> AsyncIterator[None]:
    """Keep these addresses, `host:port`, from being talked to inside the block, by whatever name they are reached."""
    addresses = {address_in(one) for one in own}
    for found in await asyncio.gather(*map(_resolved, list(addresses))):
        addresses |= found
    _shut.update(addresses)
    try:
        yield
    finally:
        _shut.subtract(addresses)
        for address in addresses:
            if not _shut[address]:
                del _shut[address]


async def _resolved(address: Address) -> set[Address]:
    # Behind one address with a web port there are many hosts, which only their names distinguish: an ingress.
    if address.is_loopback or address.port in WEB_PORTS:
        return set()
    with contextlib.suppress(OSError, UnicodeError):
        answers = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return {Address.of(str(one[4][0]), address.port) for one in answers}
    return set()


def is_shut(peer: object, here: object) -> bool:
    """Whether a connection between these two ends, as sockets name them, leads to where nothing may be sent."""
    if not isinstance(peer, tuple) or len(peer) < 2:
        return True
    try:
        address = Address.of(str(peer[0]), int(peer[1]))
    except ValueError:
        return True
    if address in _shut:
        return True
    # From one of this machine's addresses to the same one: what listens on all of them is reached so as well.
    to_itself = isinstance(here, tuple) and here[:1] == peer[:1]
    return to_itself and Address(LOOPBACK_HOST, address.port) in _shut

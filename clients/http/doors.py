"""Addresses that nothing may be sent to, checked on each open connection.

The check runs when a connection is open, before any byte of a request is sent on it. The guardrails
(`domain/guardrails/check.py`) check addresses only as the plan writes them. Where a name leads is known only on the
connection itself. Looking the name up earlier proves nothing, because a name server may answer differently next time.
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
"""Shut addresses, each with the number of workers that shut it.

They apply to the whole process, because a connection does not know its worker.
"""


@contextlib.asynccontextmanager
async def shut(own: Iterable[str]) -> AsyncIterator[None]:
    """Refuse connections to these addresses (`host:port`) inside the block.

    This holds for every name under which an address is reached.
    """
    addresses = {address_in(text) for text in own}
    for resolved in await asyncio.gather(*map(_resolved, list(addresses))):
        addresses |= resolved
    _shut.update(addresses)
    try:
        yield
    finally:
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
    return to_itself and Address(LOOPBACK_HOST, address.port) in _shut

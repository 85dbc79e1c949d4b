"""Canonical addresses: two spellings of one place compare equal.

No name is looked up. What only a resolver knows (an alias in DNS, a port-forward) stays two addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

LOOPBACK_HOST = "localhost"
"""The one name of this machine: RFC 6761 keeps it for loopback, so no other host can have it."""

_NAMES_OF_LOOPBACK = {
    LOOPBACK_HOST,
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "ip6-localhost",
    "ip6-loopback",
}
_BELOW_LOOPBACK = "." + LOOPBACK_HOST
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_PARTS = 4
_HIGHEST_PORT = 65535
_NUMBER = re.compile(r"0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*", re.ASCII)
_IDEOGRAPHIC_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")


@dataclass(frozen=True, order=True)
class Address:
    """A host in its canonical spelling, and a port."""

    host: str
    """A name in lower case, an IPv4 or a compressed IPv6 address; `LOOPBACK_HOST` for every loopback spelling."""
    port: int

    @classmethod
    def of(cls, host: str, port: int) -> Address:
        """The address of a host in any spelling.

        Raises:
            ValueError: the host is empty or cannot be a name, or the port is not 1 to 65535.
        """
        if not 1 <= port <= _HIGHEST_PORT:
            raise ValueError(f"port {port} is not between 1 and {_HIGHEST_PORT}")
        return cls(canonical_host(host), port)

    @property
    def is_loopback(self) -> bool:
        """Whether it is a port of this machine."""
        return self.host == LOOPBACK_HOST

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(url: str) -> Address:
    """The canonical address of a URL; without a port, that of its scheme (80, 443).

    Raises:
        ValueError: the URL names no host, or neither a port nor a scheme with a default port.
    """
    parts = urlsplit(url)
    port = _DEFAULT_PORTS.get(parts.scheme.lower()) if parts.port is None else parts.port
    if port is None:
        raise ValueError("the address has no port, and its scheme has no default port")
    return Address.of(parts.hostname or "", port)


def address_in(text: str) -> Address:
    """The canonical address of `host:port`, of `[IPv6]:port`, or of a URL.

    Raises:
        ValueError: there is no host, or no port.
    """
    return address_of(text if "://" in text else f"//{text}")


def canonical_host(host: str) -> str:
    """A host in its one spelling: every loopback spelling is `LOOPBACK_HOST`, every IP address its shortest form.

    Raises:
        ValueError: it is empty, or its characters beyond ASCII make no name (IDNA).
    """
    name = _ascii(host.removeprefix("[").removesuffix("]")).lower().rstrip(".")
    if not name:
        raise ValueError("the address names no host")
    if ":" in name:
        return _canonical_ipv6(name)
    number = _ipv4(name)
    if number is not None:
        return _of_ipv4(number)
    return LOOPBACK_HOST if name in _NAMES_OF_LOOPBACK or name.endswith(_BELOW_LOOPBACK) else name


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    # Only here: its tables are large, and hosts of plans are ASCII already.
    import idna  # noqa: PLC0415

    dotted = host.translate(_IDEOGRAPHIC_DOTS)
    try:
        return idna.encode(dotted, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError("the host's characters make no name") from error


def _ipv4(name: str) -> IPv4Address | None:
    """An IPv4 address as resolvers read it (inet_aton): 1 to 4 numbers, decimal, octal or hexadecimal."""
    parts = name.split(".")
    if len(parts) > _MOST_PARTS or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    # Bounded, because numbers of any length are names to a resolver, and slow to read.
    if any(len(part.lstrip("0x")) > len("4294967295") + 1 for part in parts):
        return None
    *front, last = (_number(part) for part in parts)
    if any(number > 0xFF for number in front) or last >= 1 << 8 * (_MOST_PARTS - len(front)):
        return None
    value = sum(number << 8 * (3 - position) for position, number in enumerate(front)) + last
    return IPv4Address(value)


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part, 16)
    return int(part, 8 if part.startswith("0") else 10)


def _of_ipv4(number: IPv4Address) -> str:
    # The unspecified address reaches this machine as well when a client connects to it.
    return LOOPBACK_HOST if number.is_loopback or int(number) == 0 else str(number)


def _canonical_ipv6(name: str) -> str:
    # A zone stands behind `%`, which a URL writes as `%25`.
    literal, percent, zone = name.replace("%25", "%", 1).partition("%")
    try:
        number = IPv6Address(literal)
    except AddressValueError as error:
        raise ValueError(f"{name} is no IPv6 address") from error
    if number.ipv4_mapped is not None:
        return _of_ipv4(number.ipv4_mapped)
    return LOOPBACK_HOST if number.is_loopback or number.is_unspecified else number.compressed + percent + zone

"""Canonical addresses: different spellings of the same place compare equal.

No name is resolved. Places that only a resolver could know to be the same (a DNS alias, a port-forward) remain two
addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

LOOPBACK_HOST = "localhost"
"""Canonical name of this machine. RFC 6761 reserves it for loopback: no other host can have it."""

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
    """Lower-case name, IPv4 address or compressed IPv6 address. Every loopback spelling becomes `LOOPBACK_HOST`."""
    port: int

    @classmethod
    def of(cls, host: str, port: int) -> Address:
        """Build the address of a host given in any spelling.

        Raises:
            ValueError: the host is empty or cannot be a name, or the port is not 1 to 65535.
        """
        if not 1 <= port <= _HIGHEST_PORT:
            raise ValueError(f"port {port} is not between 1 and {_HIGHEST_PORT}")
        return cls(canonical_host(host), port)

    @property
    def is_loopback(self) -> bool:
        """Whether the address is on this machine."""
        return self.host == LOOPBACK_HOST

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(url: str) -> Address:
    """Return the canonical address of a URL.

    A URL without a port gets the default port of its scheme (80 or 443).

    Raises:
        ValueError: the URL names no host, or neither a port nor a scheme with a default port.
    """
    parts = urlsplit(url)
    port = _DEFAULT_PORTS.get(parts.scheme.lower()) if parts.port is None else parts.port
    if port is None:
        raise ValueError("the address has no port, and its scheme has no default port")
    return Address.of(parts.hostname or "", port)


def address_in(text: str) -> Address:
    """Parse `host:port`, `[IPv6]:port` or a URL into a canonical address.

    Raises:
        ValueError: there is no host, or no port.
    """
    return address_of(text if "://" in text else f"//{text}")


def canonical_host(host: str) -> str:
    """Return the canonical spelling of a host.

    Every loopback spelling becomes `LOOPBACK_HOST`, and every IP address its shortest form.

    Raises:
        ValueError: the host is empty, its non-ASCII characters do not form a name (IDNA), or it contains a colon and is
            not an IPv6 address.
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
    # Imported only here: its tables are large, and hosts in plans are already ASCII.
    import idna  # noqa: PLC0415

    dotted = host.translate(_IDEOGRAPHIC_DOTS)
    try:
        return idna.encode(dotted, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError("the host contains characters that are not valid in a name") from error


def _ipv4(name: str) -> IPv4Address | None:
    """Parse an IPv4 address as resolvers do (inet_aton).

    It consists of 1 to 4 numbers, each decimal, octal or hexadecimal. None if the name is not such an address.
    """
    parts = name.split(".")
    if len(parts) > _MOST_PARTS or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    # A resolver takes an overlong number for a name, and parsing it would be slow.
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
    # A client that connects to the unspecified address (0.0.0.0) reaches this machine as well.
    return LOOPBACK_HOST if number.is_loopback or int(number) == 0 else str(number)


def _canonical_ipv6(name: str) -> str:
    # A zone follows `%`, which a URL encodes as `%25`.
    literal, percent, zone = name.replace("%25", "%", 1).partition("%")
    try:
        number = IPv6Address(literal)
    except AddressValueError as error:
        raise ValueError(f"{name} is not an IPv6 address") from error
    if number.ipv4_mapped is not None:
        return _of_ipv4(number.ipv4_mapped)
    return LOOPBACK_HOST if number.is_loopback or number.is_unspecified else number.compressed + percent + zone

"""Addresses at which a worker answers operators' programs: of this machine alone, unless a setting says otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping

from domain.errors import ErrorCode, HoldfastError

METRICS = "HOLDFAST_METRICS"
"""Setting: where this process serves its metrics, `host:port`, or a port of this machine alone."""

HEALTH = "HOLDFAST_HEALTH"
"""Setting: where this process answers probes, in the same form."""

_ADDRESS = re.compile(r"(?:(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):)?(?P<port>[0-9]{1,5})")
_LARGEST_PORT = 65_535


def listen_address(environ: Mapping[str, str], name: str) -> str:
    """Return the address of a setting as `host:port`, or an empty string if it is not set.

    Raises:
        HoldfastError: VALIDATION_ERROR.
    """
    given = environ.get(name, "").strip()
    if not given:
        return ""
    found = _ADDRESS.fullmatch(given)
    if found is None or int(found["port"]) not in range(1, _LARGEST_PORT + 1):
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"environment variable {name} is {given[:60]!r}",
            hint="write a port such as 9464, or host:port such as 0.0.0.0:9464",
        )
    # There is no authentication, so the default is this machine alone.
    return f"{found['host'] or '127.0.0.1'}:{found['port']}"


def next_addresses(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings for the process that sends load: the next ports.

    Raises:
        HoldfastError: VALIDATION_ERROR.
    """
    own, found = {}, {}
    for name in (METRICS, HEALTH):
        if address := listen_address(environ, name):
            host, _, port = address.rpartition(":")
            own[name], found[name] = port, f"{host}:{int(port) + 1}"
    nexts = {address.rpartition(":")[2] for address in found.values()}
    if nexts & {*own.values(), str(_LARGEST_PORT + 1)} or len(nexts) < len(found):
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"{' and '.join(own)} leave no port for the process that sends load, which takes the next one of each",
            hint="set them at least two ports apart, such as 9464 and 8080",
        )
    return found

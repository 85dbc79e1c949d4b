"""Addresses of Temporal, its Web UI and the store.

No plan may reach them, whatever a worker allows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from clients.temporal.embedded_settings import DevServerSettings
from clients.temporal.listening_ports import ports_of_servers_at
from domain.addresses import LOOPBACK_HOST, Address, address_in
from domain.errors import HoldfastError

POSTGRESQL_PORT = 5432
"""Port of a database URL that names none, as in libpq."""


def own_addresses(temporal: str, database_url: str) -> list[str]:
    """Return every address (`host:port`) of Temporal and the store.

    Addresses are in canonical spelling and sorted.
    """
    found = {*_of_temporal(temporal), *_of_embedded(), *_of_store(database_url)}
    loopback = {address.port for address in found if address.is_loopback}
    found |= {Address(LOOPBACK_HOST, port) for port in ports_of_servers_at(loopback)}
    return sorted(map(str, found))


def _of_temporal(target: str) -> Iterator[Address]:
    if not target:
        return
    try:
        yield address_in(target)
    except ValueError:
        # Without a port, a client uses the default of its scheme.
        for port in ("80", "443"):
            with contextlib.suppress(ValueError):
                yield address_in(f"{target}:{port}")


def _of_embedded() -> Iterator[Address]:
    """Yield the addresses that `holdfast server` would use here.

    `temporal server start-dev` would use the same.
    """
    with contextlib.suppress(HoldfastError):
        settings = DevServerSettings.load()
        for port in (settings.port, settings.ui_port):
            if port:
                yield Address.of(settings.ip, port)


def _of_store(database_url: str) -> Iterator[Address]:
    if not database_url.startswith("postgresql"):
        return
    # Imported here, because it takes longer than many commands, and SQLite needs none of it.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(database_url)
    except ArgumentError:
        return  # Opening the store reports what is wrong with the URL.
    # Like asyncpg, accept several hosts separated by commas, both before the path and in the query.
    written = [url.host, *_values(url.query.get("host")), os.environ.get("PGHOST")]
    ports = [url.port, *_values(url.query.get("port")), os.environ.get("PGPORT"), POSTGRESQL_PORT]
    hosts = [part for text in written if text for part in text.split(",")] or [LOOPBACK_HOST]
    for host in hosts:
        if host.startswith(("/", "@")):
            continue  # A socket in the file system, or one of Linux's without a file: no plan can name it.
        name, _, own = host.rpartition(":") if host.count(":") == 1 else (host, "", "")
        for port in [own, *ports]:
            with contextlib.suppress(ValueError):
                yield Address.of(name, int(str(port).partition(",")[0]))


def _values(found: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else found or ()

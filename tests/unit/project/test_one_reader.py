"""Only the bounded readers open connections or import a library that does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDERS = ("activities", "cli", "clients", "domain", "operations", "reports", "workflows")

READERS = {
    "clients/http/reader.py": {"httpcore", "httpx"},
    "clients/http/trust.py": {"httpx"},
    "clients/kubernetes/connection.py": {"aiohttp"},
    "clients/load/wire.py": {"create_connection"},
    "clients/load/connection.py": {"httptools"},
    # These answer, within limits on what they are sent.
    "clients/telemetry/health.py": {"aiohttp"},
    "clients/temporal/codec_server.py": {"aiohttp"},
}
"""Libraries and calls that only these readers may use."""

LIBRARIES = {
    "aiohttp",
    "ftplib",
    "h11",
    "http.client",
    "httpcore",
    "httptools",
    "httpx",
    "kubernetes.client",
    "requests",
    "urllib.request",
    "urllib3",
    "websockets",
    "xmlrpc",
}
CALLS = {"open_connection", "open_unix_connection", "create_connection", "create_unix_connection", "urlopen"}

DECODERS = {"gzip", "bz2", "lzma", "brotli", "zstandard", "zlib"}
"""Decompression turns little into much, so only our own data goes through these modules."""
DECODING = {"clients/store/packing.py"}


def uses(source: str) -> Iterator[str]:
    """Yield the libraries that a module imports, anywhere in it, and the calls that open connections."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and node.attr in CALLS:
            yield node.attr


def forbidden(source: str, libraries: set[str]) -> set[str]:
    """Return those of `libraries`, and of the calls, that a module uses."""
    found = set()
    for used in uses(source):
        found |= {library for library in libraries if used == library or used.startswith(f"{library}.")}
        found |= {used} & CALLS
    return found


def modules() -> list[Path]:
    """Return all modules of the product."""
    listed = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return [*listed, ROOT / "worker.py", ROOT / "starter.py"]


def test_only_the_readers_read_from_outside() -> None:
    """Code that reads elsewhere has none of their limits."""
    found = {str(path.relative_to(ROOT)): forbidden(path.read_text(), LIBRARIES) for path in modules()}
    assert {name: sorted(used) for name, used in found.items() if used} == {
        name: sorted(used) for name, used in READERS.items()
    }


def test_only_our_own_data_is_decompressed() -> None:
    """A kilobyte from a stranger may become a gigabyte."""
    used = {str(path.relative_to(ROOT)): forbidden(path.read_text(), DECODERS) & DECODERS for path in modules()}
    assert {name for name, decoders in used.items() if decoders} == DECODING


@pytest.mark.parametrize(
    ("line", "used"),
    [
        ("import httpx", "httpx"),
        ("from httpx import get", "httpx"),
        ("def f():\n    import urllib.request", "urllib.request"),
        ("from urllib import request", "urllib.request"),
        ("from http import client", "http.client"),
        ("import asyncio\nasyncio.open_connection('a', 1)", "open_connection"),
    ],
)
def test_every_way_to_open_a_connection_is_found(line: str, used: str) -> None:
    assert forbidden(line, LIBRARIES) == {used}


@pytest.mark.parametrize(
    "line", ["from urllib.parse import quote", "from clients.http.requests import prepare", "import http"]
)
def test_harmless_imports_are_not_reported(line: str) -> None:
    assert forbidden(line, LIBRARIES) == set()

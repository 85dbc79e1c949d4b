"""An HTTP client for servers of this machine."""

from __future__ import annotations

import ssl

import httpx

_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS. httpx would load all certificates of the system for each client: 40 ms of processor."""


def http_client(base_url: str = "") -> httpx.AsyncClient:
    """Return a client that takes no settings from the environment, and is cheap enough to make at every look."""
    return httpx.AsyncClient(base_url=base_url, trust_env=False, verify=_TRUSTS_NOBODY)

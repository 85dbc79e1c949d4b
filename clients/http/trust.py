"""Whose certificates clients trust: read once in a process, because each reading holds up everything else for 25 ms."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """The authorities that come with httpx; what the environment says of others is not asked."""
    return httpx.create_ssl_context(trust_env=False)

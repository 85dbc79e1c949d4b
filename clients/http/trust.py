"""The certificate authorities that HTTP clients trust.

They are read once per process, because each read blocks everything else for 25 ms.
"""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """Return a context that trusts the authorities bundled with httpx.

    Authorities named in the environment are ignored.
    """
    return httpx.create_ssl_context(trust_env=False)

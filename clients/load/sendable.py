"""Checks before the first request for what would break every request.

A header or URL could make each request fail, or be sent as something else. Plan validation cannot find this, because
the values of secrets are known only now. Errors do not quote them.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from clients.http.requests import PreparedRequest
from domain.errors import ErrorCode, HoldfastError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_NOT_IN_URLS = re.compile(r"[^\x21-\x7e]|#")
_FRAMING = ("content-length", "transfer-encoding")


def refuse_unsendable(request: PreparedRequest) -> None:
    """Check a request and its login.

    Raises:
        HoldfastError: LOAD_TARGET_INVALID when one of them cannot be sent as written.
    """
    _check_headers(request.headers)
    if not _is_sendable(request.url):
        raise HoldfastError(
            ErrorCode.LOAD_TARGET_INVALID,
            "request.url cannot be sent once its secrets are resolved",
            hint="percent-encode everything that is not plain ASCII, also inside the secrets",
        )
    if request.login is not None:
        refuse_unsendable(request.login.request)


def _check_headers(headers: dict[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise HoldfastError(ErrorCode.LOAD_TARGET_INVALID, f"{name!r} is not a header's name")
        if name.lower() in _FRAMING:
            raise HoldfastError(ErrorCode.LOAD_TARGET_INVALID, f"header {name} follows from the body and cannot be set")
        if _NOT_IN_VALUES.search(value):
            raise HoldfastError(
                ErrorCode.LOAD_TARGET_INVALID, f"header {name} has a line break or control character in its value"
            )


def _is_sendable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not _NOT_IN_URLS.search(url)

"""Bearer tokens: one per login, renewed when no longer accepted.

Tokens are held in memory and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clients.http.bounded_json import parse
from clients.http.requests import PreparedLogin
from clients.load.encoding import encode
from clients.load.wire import Wire

UNAUTHORIZED = 401
READ_ANSWER = 1_048_576
"""Bytes kept of a login's answer, to find the token."""
FRESH_SECONDS = 10.0
"""Seconds before a token that was never accepted may be renewed.

A broken authorization service may answer everything with 401. Logging in again for each request would then double the
load and change nothing.
"""
_LONGEST_TOKEN = 65_536


class LoginError(Exception):
    """A login that yielded no token.

    `kind` is its error kind, which starts with `login`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.kind = f"login {why}"


@dataclass
class Token:
    """A bearer token. Never print it."""

    value: str = field(repr=False)
    issued: float
    """Time of the login, by `time.monotonic`."""
    taken: bool = False
    """Whether a request with it got an answer other than 401."""

    @property
    def renewable(self) -> bool:
        """Whether logging in again may help."""
        return self.taken or time.monotonic() - self.issued >= FRESH_SECONDS


@dataclass
class _Held:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: Token | None = None


class Logins:
    """The login tokens of a load generator."""

    def __init__(self, wire: Wire, learn: Callable[[str], None]) -> None:
        """Set the connections for logins and the callback that receives every token.

        `learn` keeps the tokens out of stored data.
        """
        self._wire = wire
        self._learn = learn
        self._held: dict[str, _Held] = {}

    async def token(self, login: PreparedLogin) -> Token:
        """Return the current token, logging in if there is none.

        Concurrent calls log in once.

        Raises:
            LoginError: when the login yields no token.
        """
        return await self._token_other_than(None, login)

    async def renewed(self, login: PreparedLogin, refused: Token) -> Token | None:
        """Replace a refused token; None if logging in again would not help.

        Raises:
            LoginError: when the login yields no token.
        """
        if not refused.renewable:
            return None
        return await self._token_other_than(refused, login)

    async def _token_other_than(self, refused: Token | None, login: PreparedLogin) -> Token:
        held = self._held.setdefault(login.key, _Held())
        async with held.lock:
            # Another caller may have renewed the token while we waited for the lock.
            if held.token is None or held.token is refused:
                held.token = Token(await self._logged_in(login), time.monotonic())
            return held.token

    async def _logged_in(self, login: PreparedLogin) -> str:
        answer = await self._wire.exchange(encode(login.request), READ_ANSWER)
        if answer.status is None:
            raise LoginError(answer.kind)
        if not 200 <= answer.status < 300:
            raise LoginError(f"status {answer.status}")
        token = _token_in(answer.body, login.token)
        if token is None:
            raise LoginError("without a token")
        self._learn(token)
        return token


def _token_in(body: bytes, path: str) -> str | None:
    """Return the token at a dotted path of a JSON answer.

    None if it is absent or cannot be sent in a header.
    """
    try:
        value: Any = parse(body.decode())
    except ValueError:
        return None
    for part in path.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return None
    sendable = isinstance(value, str) and value.isascii() and value.isprintable() and value.strip() == value
    return value if sendable and 0 < len(value) <= _LONGEST_TOKEN else None

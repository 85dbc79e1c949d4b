"""Bearer tokens: one per login, asked for once, renewed when it is no longer taken. Held in memory and nowhere else."""

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
"""Bytes of a login's answer among which the token is looked for."""
FRESH_SECONDS = 10.0
"""A token that was never taken is not renewed before this: where everything answers 401, as an authorization service
that is made to fail may, logging in again for each request would double the load and change nothing.
"""
_LONGEST_TOKEN = 65_536


class LoginError(Exception):
    """No token; why is told as a kind of error, beginning with `login`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.kind = f"login {why}"


@dataclass
class Token:
    """One token. It is never printed."""

    value: str = field(repr=False)
    issued: float
    """By `time.monotonic`."""
    taken: bool = False
    """Whether an answer other than 401 was given to it."""

    @property
    def renewable(self) -> bool:
        """Whether another one may do better."""
        return self.taken or time.monotonic() - self.issued >= FRESH_SECONDS


@dataclass
class _Held:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: Token | None = None


class Logins:
    """The tokens of this process."""

    def __init__(self, wire: Wire, learn: Callable[[str], None]) -> None:
        """Take the wire to log in over, and who must know each token to keep it out of what is stored."""
        self._wire = wire
        self._learn = learn
        self._held: dict[str, _Held] = {}

    async def token(self, login: PreparedLogin) -> Token:
        """The token that is held; the first one is logged in for. Many who ask at once log in once.

        Raises:
            LoginError: when the login gives none.
        """
        return await self._other_than(None, login)

    async def renewed(self, login: PreparedLogin, refused: Token) -> Token | None:
        """Another token than the one that was refused; None when there is no better one to be had.

        Raises:
            LoginError: when the login gives none.
        """
        if not refused.renewable:
            return None
        return await self._other_than(refused, login)

    async def _other_than(self, refused: Token | None, login: PreparedLogin) -> Token:
        held = self._held.setdefault(login.key, _Held())
        async with held.lock:
            if held.token is None or held.token is refused:
                held.token = Token(await self._logged_in(login), time.monotonic())
            return held.token

    async def _logged_in(self, login: PreparedLogin) -> str:
        answer = await self._wire.exchange(encode(login.request), READ_ANSWER)
        if answer.status is None:
            raise LoginError(answer.kind)
        if not 200 <= answer.status < 300:
            raise LoginError(f"status {answer.status}")
        token = _found(answer.body, login.token)
        if token is None:
            raise LoginError("without a token")
        self._learn(token)
        return token


def _found(body: bytes, path: str) -> str | None:
    """The text at a dotted path of a JSON answer, if it can be sent in a header."""
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

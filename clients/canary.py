"""Seeing rules act: a request that only our own rules answer, and no business request is sent."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Self

import httpx

from clients.trust import trusted
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.logic.capture import canary_body, canary_path
from workflows.logic.tokens import BAGGAGE_HEADER

TIMEOUT = 3.0
"""Seconds for one canary."""


class CanaryClient:
    """Sends canaries to services."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False, verify=trusted())

    async def __aenter__(self) -> Self:
        """Use as a context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def intercepted(self, address: str, record_id: str, service: str, token: str) -> bool:
        """Whether this service's rules answer for this token now.

        Raises:
            HoldfastError: PEER_UNREACHABLE when the service does not answer at all, which tells nothing.
        """
        url = address.rstrip("/") + canary_path(record_id)
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._client.get(url, headers={BAGGAGE_HEADER: token})
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError) as error:
            raise HoldfastError(
                ErrorCode.PEER_UNREACHABLE, f"{service} does not answer at {address} ({type(error).__name__})"
            ) from error
        return answer.status_code == 200 and _same(answer.text, canary_body(record_id, service))


def _same(body: str, expected: str) -> bool:
    try:
        return bool(json.loads(body) == json.loads(expected))
    except (ValueError, RecursionError):
        return False

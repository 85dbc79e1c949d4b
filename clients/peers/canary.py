"""Canaries: requests that only our own rules answer.

They show that rules are active without sending a business request.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Self

from clients.http.bounded_json import parse
from clients.http.control import translate
from clients.http.reader import SMALL_BODY, Limits, NoAnswerError, Trouble, fetch
from domain.cases.tokens import BAGGAGE_HEADER
from domain.errors import ErrorCode, HoldfastError
from domain.faults.capture import canary_body, canary_path

TIMEOUT = 3.0
"""Timeout of one canary, in seconds."""

_LIMITS = Limits(seconds=TIMEOUT, body=SMALL_BODY)


class CanaryClient:
    """A client that sends canaries to services."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the context; no connection outlives its call."""

    async def intercepted(self, address: str, record_id: str, service: str, token: str) -> bool:
        """Check whether a service's rules answer for this token now.

        Raises:
            HoldfastError: PEER_UNREACHABLE when the service does not answer at all, PEER_GARBAGE when its answer is
                encoded. Neither shows whether the rules are active.
        """
        url = address.rstrip("/") + canary_path(record_id)
        try:
            answer = await fetch("GET", url, _LIMITS, headers={BAGGAGE_HEADER: token})
        except NoAnswerError as error:
            if error.trouble is Trouble.TOO_LONG:
                # Our canary answer is never that long, so this is another answer.
                return False
            if error.trouble is Trouble.ENCODED:
                raise translate(error, f"{service} GET {canary_path(record_id)}", address, _LIMITS) from error
            raise HoldfastError(
                ErrorCode.PEER_UNREACHABLE, f"{service} does not answer at {address} ({error.name})"
            ) from error
        return answer.status == 200 and _is_same_json(answer.text, canary_body(record_id, service))


def _is_same_json(body: str, expected: str) -> bool:
    try:
        return bool(parse(body) == json.loads(expected))
    except ValueError:
        return False

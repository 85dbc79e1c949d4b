"""The proxy's fixtures API: rules selected by a baggage token.

Its answers have no envelope (`peer-contract` section 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from clients.http.control import PeerHttp, segment
from domain.cases.tokens import overlapping
from domain.errors import ErrorCode, HoldfastError
from domain.traffic.exchange import Rule

DELETE_TIMEOUT = timedelta(seconds=60)
"""Limit for a delete, which restores its services one after the other."""

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_SAFE_TOKEN = re.compile(r"[A-Za-z0-9._=-]+")
# All other characters are either not allowed in an HTTP path, or special in HTML. The proxy escapes the latter when it
# renders the sidecar's configuration, so a rule with one would never match.
_SAFE_PATH = re.compile(r"/[A-Za-z0-9!$%()*+,./:;@^_{|}~\[\]\\-]*")


class Fixtures:
    """The rules of one proxy."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def upsert(
        self, namespace: str, record_id: str, ttl_seconds: int, rules: list[Rule], longest: timedelta
    ) -> int:
        """Switch rules on, within `longest`; return the number of items sent.

        The proxy reports that number. Never retry this call: it is not idempotent.

        Raises:
            HoldfastError: RULES_REJECTED when the rules could not work as intended (nothing is sent) or the proxy
                refuses them; PEER_ codes when the outcome is unknown.
        """
        refuse_unsound(rules)
        body = {
            "namespace": namespace,
            "recordId": record_id,
            "ttlSec": ttl_seconds,
            "items": [_item(rule) for rule in rules],
        }
        answer = await self._http.call("POST", "/api/fixtures/upsert", body=body, total=longest)
        if answer.status == 400:
            raise answer.error(ErrorCode.RULES_REJECTED, "refused the rules", "the log of the proxy may say more")
        if not answer.ok:
            raise answer.error(ErrorCode.PEER_ERROR, "failed, perhaps after switching some rules on")
        upserted = answer.object().get("upserted")
        if not isinstance(upserted, int):
            raise answer.error(ErrorCode.PEER_GARBAGE, "does not report how many rules it took")
        return upserted

    async def active(self, record_id: str, services: list[str]) -> set[str]:
        """Return the services that have a session of exactly this record.

        The proxy also reports prefix matches; those do not count.
        """
        found = set()
        for service in services:
            session = f"{record_id}-{service}"
            answer = await self._http.call("GET", f"/api/fixtures/record/{session}/status")
            answer.require_ok()
            body = answer.object()
            exact = body.get("recordId") == session and body.get("serviceName") == service
            if body.get("exists") is True and exact:
                found.add(service)
        return found

    async def delete(self, record_id: str) -> None:
        """Delete a session, or all sessions of a record.

        The proxy always answers with success, which proves nothing.
        """
        path = f"/api/fixtures/record/{segment(record_id)}"
        answer = await self._http.call("DELETE", path, total=DELETE_TIMEOUT)
        answer.require_ok()


def refuse_unsound(rules: Sequence[Rule]) -> None:
    """Refuse rules that the proxy would accept but that could not work.

    Raises:
        HoldfastError: RULES_REJECTED, naming the first such rule.
    """
    if not rules:
        raise HoldfastError(ErrorCode.RULES_REJECTED, "there are no rules to upsert")
    for rule in rules:
        where = f"the rule for {rule.service} {rule.method} {rule.path}"
        if not 200 <= rule.status <= 599:
            raise HoldfastError(ErrorCode.RULES_REJECTED, f"{where} has status {rule.status}, which becomes 500")
        if not _SAFE_TOKEN.fullmatch(rule.token):
            raise HoldfastError(ErrorCode.RULES_REJECTED, f"{where} has a token outside [A-Za-z0-9._=-]")
        if not _SAFE_PATH.fullmatch(rule.path):
            raise HoldfastError(
                ErrorCode.RULES_REJECTED,
                f"{where} has no path, or one that the proxy escapes or that is not valid in HTTP: it would never act",
            )
    for part, whole in overlapping({rule.token for rule in rules}):
        raise HoldfastError(ErrorCode.RULES_REJECTED, f"token {part} is part of {whole}: it would select both")


def _item(rule: Rule) -> dict[str, Any]:
    content = {name: [value] for name, value in rule.headers.items() if name.lower() == "content-type"}
    return {
        "serviceName": rule.service,
        "method": rule.method.upper(),
        "path": rule.path,
        # One token per item: several become a regular expression that the sidecar may refuse altogether.
        "baggageTokens": [rule.token],
        "respStatus": rule.status,
        "respHeaders": content or None,
        "respBody": _one_line(rule.body),
    }


def _one_line(body: str) -> str:
    """Replace the line breaks of a body by spaces."""
    # They would break the sidecar's configuration. JSON means the same without them.
    return _LINE_BREAK.sub(" ", body)

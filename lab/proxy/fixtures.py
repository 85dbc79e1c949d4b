"""`/api/fixtures`: rules selected by baggage.

This API is bare: it has no envelope, and its bodies are empty on failure.
"""

import secrets
from collections import defaultdict
from datetime import timedelta

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lab.envelope import plain, read_model
from lab.proxy.sessions import Sessions, local_now
from lab.services.cluster import Cluster, UnknownServiceError
from lab.services.sidecar import DEFAULT_BODY, DEFAULT_CONTENT_TYPE, Rule


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Item(_Request):
    """One rule of an upsert."""

    service_name: str
    method: str
    path: str
    baggage_tokens: list[str] = Field(min_length=1)
    resp_status: int
    resp_headers: dict[str, object] | None = None
    resp_body: str

    def rule(self) -> Rule:
        """Render the rule as the sidecar will have it."""
        body = self.resp_body.strip()
        return Rule(
            method=self.method,
            path=self.path,
            tokens=tuple(self.baggage_tokens),
            status=self.resp_status if 200 <= self.resp_status <= 599 else 500,
            content_type=self._content_type(),
            body=body or DEFAULT_BODY,
        )

    def _content_type(self) -> str:
        for name, value in (self.resp_headers or {}).items():
            if name.lower() == "content-type":
                first = value[0] if isinstance(value, list) and value else value
                return str(first)
        return DEFAULT_CONTENT_TYPE


class Upsert(_Request):
    """Body of `POST /api/fixtures/upsert`."""

    namespace: str = ""
    record_id: str | None = None
    ttl_sec: int = Field(default=600, gt=0)
    items: list[Item] = Field(min_length=1)


class FixtureApi:
    """Handlers of the fixture endpoints."""

    def __init__(self, cluster: Cluster, sessions: Sessions) -> None:
        self._cluster = cluster
        self._sessions = sessions

    async def upsert(self, request: web.Request) -> web.Response:
        """Put rules into services, one service after the other.

        If one fails, the services before it stay intercepted.
        """
        wanted = await read_model(request, Upsert)
        if not wanted.namespace.strip():
            return web.Response(status=400)
        self._cluster.journal.counters.upserts += 1
        record_id = (wanted.record_id or "").strip() or f"fi-{secrets.token_hex(6)}"
        rules: defaultdict[str, list[Rule]] = defaultdict(list)
        for item in wanted.items:
            rules[item.service_name].append(item.rule())
        try:
            for service, rendered in rules.items():
                session_id = f"{record_id}-{service}"
                await self._sessions.intercept(wanted.namespace, service, session_id, rendered, wanted.ttl_sec)
        except UnknownServiceError:
            return web.Response(status=500)
        expires = local_now() + timedelta(seconds=wanted.ttl_sec)
        # As at the peer, the Z is a literal behind local time.
        return plain({"upserted": len(wanted.items), "expiresAt": f"{expires:%Y-%m-%dT%H:%M:%S}Z"})

    async def status(self, request: web.Request) -> web.Response:
        """Describe one session, or find sessions by prefix."""
        record_id = request.match_info["id"]
        session = self._sessions.get(record_id)
        if session is None:
            matches = [
                {"id": s.id, "namespace": s.namespace, "serviceName": s.service, "status": s.status.value}
                for s in self._sessions.with_prefix(record_id)
            ]
            return plain({"recordId": record_id, "exists": bool(matches), "matches": matches})
        return plain(
            {
                "recordId": record_id,
                "exists": True,
                "namespace": session.namespace,
                "serviceName": session.service,
                "status": session.status.value,
                "startedAt": session.started_at.isoformat(),
                "configMap": session.config,
            }
        )

    async def delete(self, request: web.Request) -> web.Response:
        """Remove sessions by exact id, or else by prefix.

        The answer always claims success.
        """
        record_id = request.match_info["id"]
        exact = self._sessions.get(record_id)
        for session in [exact] if exact is not None else self._sessions.with_prefix(record_id):
            await self._sessions.remove(session.id, "deleted by call")
        return plain({"deleted": True, "recordId": record_id})

    async def health(self, _request: web.Request) -> web.Response:
        """Report that the API is up."""
        return plain({"status": "UP", "service": "fixtures"})

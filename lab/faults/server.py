"""The fault service's HTTP API, `/api/faults`.

Every answer has an envelope. Errors have real status codes and symbolic codes.
"""

import asyncio
import json
import secrets
import time

import yaml
from aiohttp import web

from lab.envelope import catch_all, failure, success
from lab.faults.blades import Blade, Blades
from lab.faults.spec import SpecError, parse_spec
from lab.misbehaviour.misbehave import Mischief
from lab.misbehaviour.names import Endpoint
from lab.services.cluster import Cluster


class FaultService:
    """The fault service of one lab."""

    def __init__(self, cluster: Cluster, mischief: Mischief) -> None:
        self.blades = Blades(cluster)
        self._cluster = cluster
        self._mischief = mischief
        self._timers: list[asyncio.Task[None]] = []
        self._index: set[str] = set()
        """The list of names. It is a set in Redis, which a deletion by TTL does not clean up."""

    def build_app(self) -> web.Application:
        """Build the web application."""
        app = web.Application(middlewares=[catch_all("INTERNAL_ERROR"), self._mischief.middleware])
        app.add_routes(
            [
                web.post("/api/faults/execute", self._execute, name=Endpoint.EXECUTE),
                web.get("/api/faults/health", self._health),
                web.get("/api/faults", self._list, name=Endpoint.FAULT_LIST),
                web.get("/api/faults/{name}/status", self._status, name=Endpoint.FAULT_STATUS),
                web.get("/api/faults/{name}/exists", self._exists, name=Endpoint.FAULT_EXISTS),
                web.get("/api/faults/{name}", self._get, name=Endpoint.FAULT_GET),
                web.delete("/api/faults/{name}", self._delete, name=Endpoint.FAULT_DELETE),
                web.get("/hello", self._hello),
            ]
        )
        return app

    def restart(self) -> None:
        """Lose what the peer keeps only in memory: the TTL timers.

        The faults stay.
        """
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    async def _execute(self, request: web.Request) -> web.Response:
        try:
            ttl = _duration(request.query.get("durationSec"))
        except ValueError:
            return failure("TYPE_MISMATCH", "Parameter 'durationSec' must be an integer", 400)
        if ttl is not None and ttl <= 0:
            return failure("CONSTRAINT_VIOLATION", "durationSec: must be greater than 0", 400)
        try:
            body = json.loads(await request.read())
        except ValueError:
            return failure("RUNTIME_ERROR", "Internal server error", 500)
        name = request.query.get("name", "").strip() or f"blade-{secrets.token_hex(6)}"
        self._cluster.journal.counters.executes[name] += 1
        if self.blades.get(name) is not None:
            return _failed(f"Failed to execute fault: Fault with name already exists: {name}")
        try:
            spec = parse_spec(body, name)
        except SpecError as error:
            return _failed(f"Failed to execute fault: {error}")
        blade = self.blades.create(name, spec, ttl)
        await asyncio.sleep(self._cluster.settings.execute_wait)
        self._index.add(name)
        if ttl is not None:
            self._arm(name, ttl)
        return success({"faultId": blade.fault_id, "bladeName": name})

    def _arm(self, name: str, ttl: int) -> None:
        """Delete the fault by name after its TTL.

        Nothing ever cancels the timer, so it also hits a later fault of the same name.
        """

        async def expire() -> None:
            self.blades.delete(name, "ttl")

        self._timers.append(self._cluster.background.later(ttl, expire))

    async def _status(self, request: web.Request) -> web.Response:
        blade = self._find(request)
        if blade is None:
            return _not_found(request)
        return success(
            {
                "bladeName": blade.name,
                "phase": blade.phase.value,
                "status": blade.status(),
                "events": [],
                "eventsCount": 0,
            }
        )

    async def _get(self, request: web.Request) -> web.Response:
        blade = self._find(request)
        if blade is None:
            return _not_found(request)
        spec = blade.spec.model_dump(exclude_none=True)
        labels = {"fault-id": blade.fault_id, "owner": "faults-api", "created-by": "svc-fault-scheduler"}
        return success(
            {
                "bladeName": blade.name,
                "phase": blade.phase.value,
                "status": blade.status(),
                "spec": spec,
                "metadata": {"name": blade.name, "labels": labels},
                "faultId": blade.fault_id,
                "createdAt": blade.created_at.isoformat().replace("+00:00", "Z"),
                "ttlSec": str(blade.ttl or 0),
                "specYaml": yaml.safe_dump(spec),
            }
        )

    async def _delete(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not self.blades.delete(name, "deleted by call"):
            return _not_found(request)
        self._index.discard(name)
        return success(f"Fault stopped successfully: {name}")

    async def _list(self, _request: web.Request) -> web.Response:
        return success(list(self._index))

    async def _exists(self, request: web.Request) -> web.Response:
        return success(self._find(request) is not None)

    async def _health(self, _request: web.Request) -> web.Response:
        return success({"status": "UP", "service": "svc-fault-scheduler", "timestamp": str(int(time.time() * 1000))})

    async def _hello(self, _request: web.Request) -> web.Response:
        return success("Hello from svc-fault-scheduler")

    def _find(self, request: web.Request) -> Blade | None:
        return self.blades.get(request.match_info["name"])


def _duration(text: str | None) -> int | None:
    return int(text) if text else None


def _failed(message: str) -> web.Response:
    return failure("RUNTIME_ERROR", message, 500)


def _not_found(request: web.Request) -> web.Response:
    return failure("RESOURCE_NOT_FOUND", f"Fault not found: {request.match_info['name']}", 404)

"""One service as the cluster runs it.

It has a Service address, a pod behind it, a sidecar, and faults in it.
"""

import asyncio
import time
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from lab.background import Background
from lab.journal import Journal
from lab.services.app import json_response, raw_path
from lab.services.sidecar import APP_PORT, SIDECAR_PORT, Exchange, Sidecar
from lab.services.sockets import Listener
from lab.services.upstream import readable
from lab.settings import LabSettings

HEALTH_PATH = "/health"
"""Readiness as the cluster sees it. On every service it is answered by the host itself, and never recorded."""

UPSTREAM_ERROR = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
    "remote connection failure, transport failure reason: delayed connect error: 111"
)


class EffectKind(StrEnum):
    """What a fault does to a service."""

    REMOVED = "removed"
    DELAY = "delay"
    LOSS = "loss"
    EXCEPTION = "exception"
    POD_RESTART = "pod_restart"
    PROCESS_RESTART = "process_restart"


class Effect(BaseModel):
    """The effect of one fault on one service."""

    model_config = ConfigDict(frozen=True)

    kind: EffectKind
    seconds: float = 0
    sidecar: bool = False
    """Whether the sidecar's container is removed as well."""

    @property
    def restarts(self) -> bool:
        """Whether the service comes back by itself."""
        return self.kind in {EffectKind.POD_RESTART, EffectKind.PROCESS_RESTART}


async def hang(request: web.BaseRequest, limit: float) -> web.Response:
    """Give no answer until the client gives up.

    At the limit, in seconds, the connection is dropped.
    """
    await until_given_up(request, limit)
    return drop(request)


async def until_given_up(request: web.BaseRequest, limit: float) -> None:
    """Wait until the client gives up, or until the limit in seconds."""
    deadline = time.monotonic() + limit
    # Polled, because the framework has no event for a client that goes away.
    while _connected(request) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _connected(request: web.BaseRequest) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def drop(request: web.BaseRequest) -> web.Response:
    """Cut the connection.

    The returned response exists only because the framework needs one.
    """
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=504)


class Backend(Protocol):
    """What answers in the pod: a simulated service, or a real one."""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answer a business request."""
        ...

    async def healthy(self) -> bool:
        """Return whether it could answer."""
        ...


class Host:
    """One service on one address.

    After each change, `_sync` makes the socket agree with what should be listening.
    """

    def __init__(
        self, name: str, *, is_entry: bool, settings: LabSettings, journal: Journal, background: Background
    ) -> None:
        self.name = name
        self.target_port = APP_PORT
        self.sidecar: Sidecar | None = None
        self.effects: dict[str, Effect] = {}
        self._live: Sidecar | None = None  # The sidecar that traffic meets: a new one only after its rollout.
        self._ready_at = 0.0
        self._is_entry = is_entry
        self._settings = settings
        self._journal = journal
        self._background = background
        self._app: Backend | None = None
        self._listener: Listener | None = None

    async def start(self, app: Backend, listener: Listener) -> None:
        """Start to serve."""
        self._app, self._listener = app, listener
        await self._sync()

    @property
    def port(self) -> int:
        """The port of the Service address."""
        return 0 if self._listener is None else self._listener.port

    @property
    def app_up(self) -> bool:
        """Whether the app's container runs."""
        down = {EffectKind.REMOVED, EffectKind.POD_RESTART, EffectKind.PROCESS_RESTART}
        return not any(effect.kind in down for effect in self.effects.values())

    @property
    def ready(self) -> bool:
        """Whether the service's pods are ready.

        The rollout must be over, with the current sidecar, and everything in the pods must run.
        """
        settled = time.monotonic() >= self._ready_at and self._live is self.sidecar
        return settled and self.app_up and not (self.sidecar is not None and self.sidecar.broken)

    def begin_rollout(self) -> None:
        """Replace the pods.

        Business traffic goes on. Readiness is lost for a while.
        """
        self._ready_at = time.monotonic() + self._settings.rollout

    async def inject(self, sidecar: Sidecar) -> None:
        """Put a sidecar into the pods, replacing any other one.

        It takes traffic as soon as the new pods do.
        """
        self.sidecar = sidecar
        self.begin_rollout()
        self._background.later(self._settings.rollout, partial(self._activate, sidecar))

    async def remove_sidecar(self) -> None:
        """Remove any sidecar."""
        if self.sidecar is not None:
            self.begin_rollout()
        self.sidecar = self._live = None
        await self._sync()

    async def point_at(self, target_port: int) -> None:
        """Set the Service's targetPort."""
        self.target_port = target_port
        await self._sync()

    async def apply(self, fault: str, effect: Effect) -> None:
        """Apply a fault's effect."""
        self.effects[fault] = effect
        await self._sync()
        if effect.restarts:
            self._background.later(self._settings.restart_time, partial(self.lift, fault))

    async def lift(self, fault: str, *, rollout: bool = True) -> None:
        """End a fault's effect.

        What had to be started again is ready only after a rollout.
        """
        effect = self.effects.pop(fault, None)
        if rollout and effect is not None and (effect.restarts or effect.kind is EffectKind.REMOVED):
            self.begin_rollout()
        await self._sync()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request that came to the Service address."""
        if await self._lost(request):
            return drop(request)
        if self._live is not None and self.target_port == SIDECAR_PORT:
            return await self._serve_through(self._live, request)
        return await self._serve(request)

    async def handle_in_pod(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request that came to the app's own port.

        Such a request bypasses the sidecar, but not the faults.
        """
        if await self._lost(request) or not self.app_up:
            return drop(request)
        return await self._serve(request)

    async def _lost(self, request: web.BaseRequest) -> bool:
        """Apply the network faults to a request; True if it got lost."""
        effects = list(self.effects.values())
        if any(effect.kind is EffectKind.LOSS for effect in effects):
            await until_given_up(request, self._settings.hang_limit)
            return True
        delay = sum(effect.seconds for effect in effects)
        if delay:
            await asyncio.sleep(delay)
        if self._is_entry and request.path != HEALTH_PATH:
            self._journal.counters.entry_baggage[request.headers.get("baggage", "")] += 1
        return False

    async def _serve_through(self, sidecar: Sidecar, request: web.BaseRequest) -> web.Response:
        path = raw_path(request)
        if sidecar.broken:
            return web.Response(status=503, text="no healthy upstream")
        rule = sidecar.match(request, path)
        if rule is not None:
            self._journal.counters.services[self.name].intercepted += 1
            return rule.response()
        began = time.monotonic()
        body = await request.read()
        # With 15006 as its application port, the sidecar forwards to itself until it gives up.
        reachable = self.app_up and sidecar.app_port != SIDECAR_PORT
        response = await self._serve(request) if reachable else web.Response(status=503, text=UPSTREAM_ERROR)
        if sidecar.recorder is not None and path != HEALTH_PATH and sidecar.recorder.wants(request.method, path):
            sidecar.recorder.add(_exchange(request, body, response, time.monotonic() - began))
        return response

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        if request.path == HEALTH_PATH:
            return await self._health()
        path = raw_path(request)
        self._journal.counters.services[self.name].requests[f"{request.method} {path}"] += 1
        if any(effect.kind is EffectKind.EXCEPTION for effect in self.effects.values()):
            return _spring_error(path)
        if self._app is None:
            return web.Response(status=503, text=UPSTREAM_ERROR)
        return await self._app.answer(request)

    async def _health(self) -> web.Response:
        up = self.ready and self._app is not None and await self._app.healthy()
        return json_response({"status": "UP" if up else "OUT_OF_SERVICE", "service": self.name}, 200 if up else 503)

    async def _activate(self, sidecar: Sidecar) -> None:
        if self.sidecar is sidecar:
            self._live = sidecar
            await self._sync()

    async def _sync(self) -> None:
        if self._listener is not None:
            await self._listener.settle(self._listening)

    def _listening(self) -> bool:
        if any(effect.kind is EffectKind.POD_RESTART for effect in self.effects.values()):
            return False
        if self.target_port != SIDECAR_PORT:
            return self.app_up
        if any(effect.kind is EffectKind.REMOVED and effect.sidecar for effect in self.effects.values()):
            return False
        # With targetPort 15006 and no sidecar, the Service leads nowhere. While a new sidecar is rolled out, the old
        # pods still serve.
        return self._live is not None or (self.sidecar is not None and self.app_up)


def _spring_error(path: str) -> web.Response:
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json_response({"timestamp": timestamp, "status": 500, "error": "Internal Server Error", "path": path}, 500)


def _exchange(request: web.BaseRequest, body: bytes, response: web.Response, seconds: float) -> Exchange:
    return Exchange(
        method=request.method,
        target=request.raw_path,
        request_headers={name.lower(): value for name, value in request.headers.items()},
        request_body=body.decode(errors="replace"),
        status=response.status,
        response_headers={name.lower(): value for name, value in response.headers.items()},
        response_body=readable(response),
        seconds=seconds,
    )

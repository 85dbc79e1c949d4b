"""The lab's own endpoint, `/lab`, for tests and the command line.

The peers do not know it.
"""

from aiohttp import web
from pydantic import TypeAdapter

from lab.addresses import LabAddresses, LabState, ServiceState
from lab.envelope import BadRequestError, Handler, plain, read_model
from lab.faults.server import FaultService
from lab.journal import LogEntry
from lab.misbehaviour.misbehave import Misbehaviour, Mischief
from lab.proxy.patterns import RequestDefinition
from lab.proxy.server import Proxy
from lab.services.cluster import Cluster
from lab.services.sidecar import SidecarKind

_LOG = TypeAdapter(list[LogEntry])


@web.middleware
async def _bad_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadRequestError as error:
        return plain({"error": str(error)}, 400)


class Admin:
    """Handlers of the admin endpoint."""

    def __init__(
        self, cluster: Cluster, proxy: Proxy, faults: FaultService, mischief: Mischief, addresses: LabAddresses
    ) -> None:
        self._cluster = cluster
        self._proxy = proxy
        self._faults = faults
        self._mischief = mischief
        self._addresses = addresses

    def build_app(self) -> web.Application:
        """Build the web application."""
        app = web.Application(middlewares=[_bad_requests])
        app.add_routes(
            [
                web.get("/lab/addresses", self._get_addresses),
                web.get("/lab/state", self._get_state),
                web.get("/lab/counters", self._get_counters),
                web.post("/lab/reset-counters", self._reset_counters),
                web.get("/lab/log", self._get_log),
                web.get("/lab/misbehave", self._get_misbehaviour),
                web.post("/lab/misbehave", self._misbehave),
                web.delete("/lab/misbehave", self._behave),
                web.post("/lab/restart/{peer:proxy|faults}", self._restart),
                web.put("/lab/request-definitions/{id:[0-9]+}", self._define),
            ]
        )
        return app

    def state(self) -> LabState:
        """Return what is active in the lab."""
        sessions = self._proxy.sessions.active()
        return LabState(
            faults={blade.name: blade.phase.value for blade in self._faults.blades.all()},
            rules=[session.id for session in sessions if session.kind is SidecarKind.RULES],
            recordings=[session.id for session in sessions if session.kind is SidecarKind.RECORDING],
            services={
                name: ServiceState(
                    target_port=host.target_port,
                    sidecar=host.sidecar is not None,
                    app_up=host.app_up,
                    ready=host.ready,
                    effects=list(host.effects),
                )
                for name, host in self._cluster.hosts.items()
            },
        )

    async def _get_addresses(self, _request: web.Request) -> web.Response:
        return plain(self._addresses)

    async def _get_state(self, _request: web.Request) -> web.Response:
        return plain(self.state())

    async def _get_counters(self, _request: web.Request) -> web.Response:
        return plain(self._cluster.journal.counters)

    async def _reset_counters(self, _request: web.Request) -> web.Response:
        self._cluster.journal.reset_counters()
        return _done()

    async def _get_log(self, _request: web.Request) -> web.Response:
        return web.Response(body=_LOG.dump_json(self._cluster.journal.log), content_type="application/json")

    async def _get_misbehaviour(self, _request: web.Request) -> web.Response:
        return plain(self._mischief.current)

    async def _misbehave(self, request: web.Request) -> web.Response:
        self._mischief.set(await read_model(request, Misbehaviour))
        return plain(self._mischief.current)

    async def _behave(self, _request: web.Request) -> web.Response:
        self._mischief.set(Misbehaviour())
        return _done()

    async def _restart(self, request: web.Request) -> web.Response:
        (self._proxy if request.match_info["peer"] == "proxy" else self._faults).restart()
        return _done()

    async def _define(self, request: web.Request) -> web.Response:
        definition = await read_model(request, RequestDefinition)
        self._proxy.analyses.definitions[int(request.match_info["id"])] = definition
        return _done()


def _done() -> web.Response:
    return plain({"ok": True})

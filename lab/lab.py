"""One lab: demo system, traffic proxy, fault service and admin endpoint.

All of them share one event loop.
"""

import socket
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from lab.addresses import LabAddresses, LabState
from lab.admin import Admin
from lab.browsers import refuse_browsers
from lab.faults.server import FaultService
from lab.generated.truth import Broken, RealOutcome, truth
from lab.journal import Counters
from lab.misbehaviour.misbehave import Misbehaviour, Mischief
from lab.proxy.server import Proxy
from lab.services.cluster import Cluster
from lab.services.sockets import HOST, bind
from lab.settings import LabSettings, PortChoice
from lab.topology import Topology


class Lab:
    """One lab, which runs from `start` to `stop`.

    Use `async with Lab(topology) as lab:`, or `await lab.start()` and, always, `await lab.stop()`. Everything listens
    on 127.0.0.1 and nothing survives `stop`. A lab is started only once; create a new one to start again.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        settings: LabSettings | None = None,
        ports: PortChoice = PortChoice.PREFERRED,
    ) -> None:
        self.topology = topology
        self.settings = settings or LabSettings()
        self._ports = ports
        self._cluster = Cluster(topology, self.settings)
        self._mischief = Mischief(self.settings.hang_limit)
        self._proxy = Proxy(self._cluster, self._mischief)
        self._faults = FaultService(self._cluster, self._mischief)
        self._runners: list[web.AppRunner] = []
        self._addresses: LabAddresses | None = None
        self._admin: Admin | None = None

    @property
    def addresses(self) -> LabAddresses:
        """Addresses of everything in the lab.

        Known once the lab is started.

        Raises:
            RuntimeError: the lab is not started.
        """
        if self._addresses is None:
            raise RuntimeError("the lab is not started: its addresses are not known yet")
        return self._addresses

    def state(self) -> LabState:
        """Return what is active right now: the same as `GET /lab/state`.

        Raises:
            RuntimeError: the lab is not started.
        """
        if self._admin is None:
            raise RuntimeError("the lab is not started")
        return self._admin.state()

    async def not_answering(self) -> dict[str, str]:
        """Return the real services that do not answer, or only with errors.

        Each comes with the health URL that was requested.
        """
        return await self._cluster.not_answering()

    async def truth(self, broken: Mapping[str, Broken]) -> RealOutcome:
        """Return the entry's answer while these services are really broken.

        Nothing else may be active meanwhile.
        """
        return await truth(self._cluster, broken)

    def misbehave(self, misbehaviour: Misbehaviour) -> None:
        """Make the peers misbehave: the same as `POST /lab/misbehave`."""
        self._mischief.set(misbehaviour)

    @property
    def calls(self) -> Counter[str]:
        """Calls that reached the proxy and the fault service, by endpoint.

        Counted since the last misbehaviour was set.
        """
        return self._mischief.calls

    @property
    def counters(self) -> Counters:
        """The counts so far: the same as `GET /lab/counters`."""
        return self._cluster.journal.counters

    def restart(self) -> None:
        """Let both peers lose what they keep only in memory.

        The same as `POST /lab/restart/...` for each of them.
        """
        self._proxy.restart()
        self._faults.restart()

    async def end_all(self, reason: str) -> int:
        """End every active fault and session, and return their number.

        This simulates a time limit that fires early, or another user.
        """
        faults = self._faults.blades.all()
        sessions = self._proxy.sessions.active()
        for fault in faults:
            self._faults.blades.delete(fault.name, reason)
        for session in sessions:
            await self._proxy.sessions.remove(session.id, reason)
        return len(faults) + len(sessions)

    async def start(self) -> LabAddresses:
        """Open every socket and return the addresses.

        If this fails, everything that was opened is closed again.
        """
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close everything; harmless if repeated."""
        while self._runners:
            await self._runners.pop().cleanup()
        await self._cluster.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start(self) -> LabAddresses:
        await self._cluster.start(self._ports)
        names = [service.name for service in self.topology.services]
        services = {name: self._cluster.address_of(name) for name in names}
        preferred = self.topology.ports
        proxy = await self._serve(self._proxy.build_app(), preferred.proxy)
        faults = await self._serve(self._faults.build_app(), preferred.faults)
        # The admin endpoint also returns its own address, so its socket is bound before its application exists.
        admin_socket = bind(preferred.admin, self._ports)
        self._addresses = LabAddresses(
            namespace=self.topology.namespace,
            proxy=proxy,
            faults=faults,
            admin=f"http://{HOST}:{admin_socket.getsockname()[1]}",
            services=services,
            entry=services[self.topology.entry],
            entry_service=self.topology.entry,
            entry_request=self.topology.entry_request(),
            upstreams=self.topology.upstreams(),
        )
        self._admin = Admin(self._cluster, self._proxy, self._faults, self._mischief, self._addresses)
        await self._run(self._admin.build_app(), admin_socket)
        return self._addresses

    async def _serve(self, app: web.Application, preferred: int | None) -> str:
        sock = bind(preferred, self._ports)
        await self._run(app, sock)
        return f"http://{HOST}:{sock.getsockname()[1]}"

    async def _run(self, app: web.Application, sock: socket.socket) -> None:
        # Every endpoint of the lab is started here, so none can be added without this check.
        app.middlewares.insert(0, refuse_browsers)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.SockSite(runner, sock).start()

"""All services of one lab: started, found and stopped here."""

import asyncio
import os

import aiohttp

from lab.background import Background
from lab.journal import Journal
from lab.services.app import App
from lab.services.host import Backend, Host
from lab.services.sockets import Listener, allow_sockets
from lab.services.upstream import Upstream
from lab.settings import LabSettings, PortChoice
from lab.topology import Service, Topology
from lab.tracing import LabTraces


class UnknownServiceError(Exception):
    """The cluster has no such service, or no such namespace."""


class Cluster:
    """The system under test.

    It shares nothing with the peers but what Kubernetes would show them.
    """

    def __init__(self, topology: Topology, settings: LabSettings) -> None:
        self.topology = topology
        self.settings = settings
        self.background = Background()
        self.journal = Journal([service.name for service in topology.services])
        self.hosts = {
            service.name: Host(
                service.name,
                is_entry=service.name == topology.entry,
                settings=settings,
                journal=self.journal,
                background=self.background,
            )
            for service in topology.services
        }
        self._listeners: dict[str, Listener] = {}
        self._upstreams: dict[str, Upstream] = {}
        self._session: aiohttp.ClientSession | None = None
        self._traces = LabTraces()

    @property
    def namespace(self) -> str:
        """The only namespace of the cluster."""
        return self.topology.namespace

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP client of everything inside the lab."""
        if self._session is None:
            raise RuntimeError("the lab is not started")
        return self._session

    def host(self, service: str, namespace: str) -> Host:
        """Find a service.

        Raises:
            UnknownServiceError: there is no such service or namespace.
        """
        if namespace != self.namespace or service not in self.hosts:
            raise UnknownServiceError(f"Service not found: {service} in namespace {namespace}")
        return self.hosts[service]

    def address_of(self, service: str) -> str:
        """Return the Service address of a service, as a base URL."""
        return self._listeners[service].url

    async def start(self, ports: PortChoice) -> None:
        """Bind every address, then serve."""
        allow_sockets(len(self.topology.services))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._traces = LabTraces.from_environment(os.environ)
        for service in self.topology.services:
            self._listeners[service.name] = Listener(self.hosts[service.name].handle, service.port, ports)
        for service in self.topology.services:
            await self.hosts[service.name].start(self._backend(service), self._listeners[service.name])

    def _backend(self, service: Service) -> Backend:
        if service.upstream is None:
            traces = self._traces.of(service.name, self.namespace)
            return App(service, self.session, self.address_of, traces)
        self._upstreams[service.name] = Upstream(service.upstream, service.upstream_health or "/", self.settings)
        return self._upstreams[service.name]

    async def not_answering(self) -> dict[str, str]:
        """Return the real services that are not ready.

        Each comes with the health URL that was requested.
        """
        ready = await asyncio.gather(*(upstream.healthy() for upstream in self._upstreams.values()))
        return {
            name: upstream.health_url
            for (name, upstream), is_ready in zip(self._upstreams.items(), ready, strict=True)
            if not is_ready
        }

    async def stop(self) -> None:
        """End all tasks and close all sockets."""
        await self.background.close()
        for listener in self._listeners.values():
            await listener.close()
        for upstream in self._upstreams.values():
            await upstream.close()
        if self._session is not None:
            await self._session.close()
        await self._traces.close()

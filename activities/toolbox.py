"""The clients that activities act through. Built once by the worker; one client per peer address is shared."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from clients.canary import CanaryClient
from clients.faults import FaultClient
from clients.kept_out import kept_out_of_logs
from clients.kubernetes.connection import Cluster
from clients.kubernetes.stability import KubernetesStabilityClient
from clients.kubernetes.workloads import Workloads
from clients.load.engine import LoadGenerator
from clients.proxy import ProxyClient
from clients.secrets import Redactor, Secrets, redactor_for
from clients.stability import HttpStabilityClient, StabilityClient
from clients.store.store import Store
from workflows.contracts.execution import Execution
from workflows.contracts.load import LoadShare
from workflows.contracts.plan import Plan
from workflows.contracts.system import KubernetesStability
from workflows.logic.sharing import shared


@dataclass(frozen=True)
class Subject:
    """One execution with its plan: what an activity works on."""

    execution: Execution
    plan: Plan

    @property
    def namespace(self) -> str:
        """Where the services live."""
        return self.plan.system.namespace


@dataclass
class Toolbox:
    """Store, secrets and peers."""

    store: Store
    secrets: Secrets
    load: LoadGenerator
    canary: CanaryClient
    cluster: Cluster = field(default_factory=Cluster)
    """Not opened before a plan asks for it."""
    _proxies: dict[str, ProxyClient] = field(default_factory=dict)
    _faults: dict[str, FaultClient] = field(default_factory=dict)

    async def subject(self, execution_id: int, share: LoadShare | None = None) -> Subject:
        """The execution and its plan, from the store; with a share, the plan as a batch that has it measures it."""
        plan = shared(await self.store.plan(execution_id), share)
        subject = Subject(await self.store.execution(execution_id), plan)
        self.secrets.know(json.dumps(subject.plan.request.model_dump(mode="json", by_alias=True)))
        return subject

    def proxy(self, plan: Plan) -> ProxyClient:
        """The plan's traffic proxy."""
        shown = self.secrets.shown
        return self._proxies.setdefault(plan.system.proxy, ProxyClient(plan.system.proxy, shown=shown))

    def faults(self, plan: Plan) -> FaultClient:
        """The plan's fault service."""
        shown = self.secrets.shown
        return self._faults.setdefault(plan.system.faults, FaultClient(plan.system.faults, shown=shown))

    def stability(self, plan: Plan) -> StabilityClient:
        """How the plan tells stability."""
        spec = plan.system.stability
        if isinstance(spec, KubernetesStability):
            return KubernetesStabilityClient(self.workloads(plan), spec)
        return HttpStabilityClient(plan.system.services, spec)

    def workloads(self, plan: Plan) -> Workloads:
        """The Deployments of the plan's namespace, in the cluster that the worker's surroundings name."""
        return Workloads(self.cluster, plan.system.namespace)

    def redactor(self, plan: Plan) -> Redactor:
        """Removes secrets from whatever is about to be stored: all that are known when it does, not only by now."""
        return redactor_for(plan, self.secrets)

    async def close(self) -> None:
        """Close every connection."""
        for proxy in self._proxies.values():
            await proxy.aclose()
        for faults in self._faults.values():
            await faults.aclose()
        await self.cluster.aclose()
        await self.store.close()


@asynccontextmanager
async def opened_toolbox(store: Store, environ: Mapping[str, str]) -> AsyncIterator[Toolbox]:
    """A toolbox on this store, with secrets from this environment; closed at the end, the store as well."""
    secrets = Secrets(environ)
    store.keep_out(secrets.redact)
    # The log first: it is the last to be closed, and has what goes wrong meanwhile.
    async with AsyncExitStack() as stack:
        stack.enter_context(kept_out_of_logs(secrets))
        load = await stack.enter_async_context(LoadGenerator(secrets.learn))
        canary = await stack.enter_async_context(CanaryClient())
        tools = Toolbox(store=store, secrets=secrets, load=load, canary=canary)
        try:
            yield tools
        finally:
            await tools.close()

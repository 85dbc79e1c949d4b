"""The clients that activities use, built once by the worker."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from activities.recovery.bookkeeping import Memory, Notes
from clients.drivers.fault_driver import FaultDriver
from clients.drivers.fault_drivers import fault_driver
from clients.drivers.traffic_driver import TrafficDriver
from clients.drivers.traffic_drivers import traffic_driver
from clients.kubernetes.connection import Cluster
from clients.kubernetes.stability import KubernetesStabilityClient
from clients.kubernetes.workloads import Workloads
from clients.load.engine import LoadGenerator
from clients.load.probe import Probe, RequestProbe
from clients.peers.canary import CanaryClient
from clients.peers.stability import HttpStabilityClient, StabilityClient
from clients.secrets.kept_out import kept_out_of_logs
from clients.secrets.values import Redactor, Secrets, redactor_for
from clients.store.store import Store
from clients.telemetry.metrics import Metrics
from domain.executions.execution import Execution
from domain.guardrails.model import Guardrails
from domain.measuring.load import LoadShare
from domain.measuring.sharing import shared
from domain.plans.plan import Plan
from domain.plans.system import KubernetesStability
from domain.timing import Timing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """One execution and its plan, which an activity works on."""

    execution: Execution
    plan: Plan

    @property
    def namespace(self) -> str:
        """The namespace of the plan's services."""
        return self.plan.system.namespace


NOTHING_ALLOWED = Guardrails(namespaces=[], hosts=[])
PRODUCTION = Timing()


@dataclass
class Toolbox:
    """Access to the store, the secrets and the peers."""

    store: Store
    secrets: Secrets
    load: LoadGenerator
    canary: CanaryClient
    rails: Guardrails = NOTHING_ALLOWED
    """What this worker allows plans to touch.

    By default that is nothing: such a toolbox can only close.
    """
    store_retry: timedelta = PRODUCTION.store_retry
    """Pause before another attempt of an activity that failed because the store was away."""
    cluster: Cluster = field(default_factory=Cluster)
    """Opened only when a plan needs it."""
    metrics: Metrics = field(default_factory=Metrics)
    notes: Notes = field(init=False)
    """Log lines of closing activities, which a failing store must not delay."""
    _known: Memory[Subject] = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.notes = Notes(self.store)

    def count(self, metrics: Metrics) -> None:
        """Count from now on what activities do, and what changes in the store."""
        self.metrics = metrics
        self.store.report_changes(metrics.changed)

    async def subject(self, execution_id: int, share: LoadShare | None = None) -> Subject:
        """Read the execution and its plan from the store.

        With a share, the plan is scaled to the part of the load that a batch with this share sends.
        """
        plan = shared(await self.store.executions.plan(execution_id), share)
        subject = Subject(await self.store.executions.get(execution_id), plan)
        self.secrets.know(json.dumps(subject.plan.request.model_dump(mode="json", by_alias=True)))
        return subject if share else self._known.keep(execution_id, subject)

    async def subject_for_closing(self, execution_id: int) -> Subject:
        """Read the execution, and its plan as far as it is readable.

        Unreadable data must not keep anything switched on. A damaged plan is read in part. If the store cannot be read
        now, the last values it gave for this run are used.

        Raises:
            HoldfastError: as `subject`, when nothing is known of the run.
        """
        return await self._known.or_known(execution_id, self._read_for_closing(execution_id))

    async def _read_for_closing(self, execution_id: int) -> Subject:
        lenient = await self.store.executions.plan_for_closing(execution_id)
        if lenient.trouble:
            logger.warning("the plan of execution %d can be read only in part: %s", execution_id, lenient.trouble)
        subject = Subject(await self.store.executions.get(execution_id), lenient.plan)
        self.secrets.know(json.dumps(subject.plan.request.model_dump(mode="json", by_alias=True)))
        return subject if lenient.trouble else self._known.keep(execution_id, subject)

    def proxy(self, plan: Plan) -> TrafficDriver:
        """Return the driver of the plan's traffic."""
        return traffic_driver(plan.system.proxy, shown=self.secrets.shown)

    def faults(self, plan: Plan) -> FaultDriver:
        """Return the driver of the plan's faults."""
        return fault_driver(plan.system.faults, shown=self.secrets.shown)

    def probe(self, plan: Plan) -> Probe:
        """Return what the plan wants to be sent."""
        return RequestProbe(plan.request, self.secrets, self.load)

    def stability(self, plan: Plan) -> StabilityClient:
        """Return the client for the plan's kind of stability check."""
        spec = plan.system.stability
        if isinstance(spec, KubernetesStability):
            return KubernetesStabilityClient(self.workloads(plan), spec)
        return HttpStabilityClient(plan.system.services, spec)

    def workloads(self, plan: Plan) -> Workloads:
        """Return a client of the Deployments in the plan's namespace.

        The worker's environment decides which cluster that is.
        """
        return Workloads(self.cluster, plan.system.namespace)

    def redactor(self, plan: Plan) -> Redactor:
        """Return what removes secrets from data about to be stored.

        It removes every secret known at the time of use, not only those known now.
        """
        return redactor_for(plan, self.secrets)

    async def close(self) -> None:
        """Close all connections."""
        await self.cluster.aclose()
        await self.store.close()


@asynccontextmanager
async def opened_toolbox(
    store: Store, environ: Mapping[str, str], rails: Guardrails = NOTHING_ALLOWED, timing: Timing = PRODUCTION
) -> AsyncIterator[Toolbox]:
    """Open a toolbox on this store, with secrets from this environment.

    At the end the toolbox is closed, and the store with it.
    """
    secrets = Secrets(environ)
    store.keep_out(secrets.redact)
    # The log's redaction is entered first and so left last: errors while closing are logged too.
    async with AsyncExitStack() as stack:
        stack.enter_context(kept_out_of_logs(secrets))
        load = await stack.enter_async_context(LoadGenerator(secrets.learn))
        tools = Toolbox(
            store=store,
            secrets=secrets,
            load=load,
            canary=CanaryClient(),
            rails=rails,
            store_retry=timing.store_retry,
        )
        try:
            yield tools
        finally:
            await tools.close()

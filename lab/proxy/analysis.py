"""Analyses: record a user's request as request patterns.

They record its traffic through the services.
"""

import asyncio
import secrets
import time

import aiohttp

from lab.misbehaviour.misbehave import Mischief
from lab.proxy.patterns import AnalysisTask, Analyze, Pattern, RequestDefinition, ServicePatterns, TaskStatus
from lab.proxy.sessions import Session, Sessions, local_now
from lab.services.cluster import Cluster, UnknownServiceError
from lab.services.sidecar import Exchange, RecordRule

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


class Analyses:
    """Runs analyses and keeps their patterns by execution and service."""

    def __init__(self, cluster: Cluster, sessions: Sessions, mischief: Mischief) -> None:
        self.tasks: dict[str, AnalysisTask] = {}
        self.patterns: dict[tuple[int, str], list[Pattern]] = {}
        self.definitions: dict[int, RequestDefinition] = {}
        self._cluster = cluster
        self._sessions = sessions
        self._mischief = mischief
        self._recordings: dict[str, list[Session]] = {}
        self._flows: list[asyncio.Task[None]] = []
        self._recent: dict[tuple[int, str, tuple[str, ...]], tuple[float, str]] = {}

    def begin(self, wanted: Analyze) -> AnalysisTask:
        """Start an analysis, or return the task of a recent equal call.

        The recent call may be another caller's.
        """
        key = (wanted.req_def_id, wanted.namespace, tuple(sorted(wanted.service_list)))
        now = time.monotonic()
        started, task_id = self._recent.get(key, (0.0, ""))
        if task_id and now - started < self._cluster.settings.dedupe_seconds:
            return self.tasks[task_id]
        task = AnalysisTask(
            task_id=f"task_{int(time.time() * 1000)}_{secrets.token_hex(4)}",
            status=TaskStatus.INITIALIZING,
            message="Task created",
            req_def_id=wanted.req_def_id,
            namespace=wanted.namespace,
            service_list=wanted.service_list,
            start_time=f"{local_now():%Y-%m-%d %H:%M:%S}",
            execution_id=wanted.execution_id,
        )
        self.tasks[task.task_id] = task
        self._recent[key] = (now, task.task_id)
        self._flows = [flow for flow in self._flows if not flow.done()]
        self._flows.append(self._cluster.background.spawn(self._run(task, wanted)))
        return task

    def abandon(self) -> None:
        """Behave like a restart of the peer.

        Unfinished tasks stay in their last state for ever.
        """
        for flow in self._flows:
            flow.cancel()
        self._recent.clear()

    async def stop(self, task: AnalysisTask) -> None:
        """Declare the task completed at once, as the peer does.

        Only its first recording ends, and the flow goes on.
        """
        task.status, task.message = TaskStatus.COMPLETED, "Task stopped"
        for session in self._recordings.get(task.task_id, [])[:1]:
            await self._sessions.stop_recording(session.id, "analysis stopped by call")

    async def trigger(self, req_def_id: int, count: int) -> None:
        """Send the defined request to the entry.

        A failure is only a warning to the peer.
        """
        definition = self.definitions.get(req_def_id)
        if definition is None:
            return
        url = self._cluster.address_of(self._cluster.topology.entry) + definition.path
        for _ in range(count):
            try:
                async with self._cluster.session.request(
                    definition.method, url, headers=definition.headers, data=definition.body
                ) as response:
                    await response.read()
            except aiohttp.ClientError:
                continue

    async def _run(self, task: AnalysisTask, wanted: Analyze) -> None:
        settings = self._cluster.settings
        await asyncio.sleep(settings.initializing)
        task.status, task.message = TaskStatus.APPLYING_RULES, "Applying recording rules"
        await asyncio.sleep(settings.initializing)
        recordings = await self._record(wanted)
        self._recordings[task.task_id] = recordings
        if not recordings:
            self._end(task, TaskStatus.FAILED, "Failed to start recording for any service")
            return
        task.recording_id = recordings[0].id
        task.status, task.message = TaskStatus.ROLLING_UPDATE, "Waiting for the rolling update"
        await asyncio.sleep(settings.rollout + settings.initializing)
        task.status = TaskStatus.APPLYING_RULES
        await asyncio.sleep(settings.initializing)
        if wanted.auto_trigger_request:
            task.status, task.message = TaskStatus.TRIGGERING_REQUESTS, "Triggering requests"
            await self.trigger(wanted.req_def_id, wanted.request_count)
        task.status, task.message = TaskStatus.COLLECTING_DATA, "Collecting traffic"
        await self._collect(recordings)
        if self._mischief.current.analysis_fails is not None:
            self._end(task, TaskStatus.FAILED, self._mischief.current.analysis_fails)
            return
        task.status, task.message = TaskStatus.ANALYZING_PATTERNS, "Analyzing request patterns"
        for session in recordings:
            await self._sessions.stop_recording(session.id, "analysis over")
        self._keep(task, wanted.execution_id, recordings)
        self._end(task, TaskStatus.COMPLETED, "Analysis completed")

    async def _record(self, wanted: Analyze) -> list[Session]:
        real = {service.name for service in self._cluster.topology.services if service.upstream is not None}
        recordings = []
        for service in wanted.service_list:
            # The peer records paths that begin with /api. Real services may have paths of any kind.
            prefix = "/" if service in real else "/api"
            rules = [RecordRule(path=prefix, method=method) for method in _METHODS]
            try:
                recordings.append(await self._sessions.record(wanted.namespace, service, rules, wanted.duration_sec))
            except UnknownServiceError:
                continue  # The peer skips a service whose recording fails, without reporting it.
        return recordings

    async def _collect(self, recordings: list[Session]) -> None:
        settings = self._cluster.settings
        deadline = time.monotonic() + settings.collect
        recorders = [session.recorder for session in recordings if session.recorder is not None]
        while self._mischief.current.analysis_stalls or time.monotonic() < deadline:
            await asyncio.sleep(0.01)
            seen = [recorder.last_at for recorder in recorders if recorder.last_at is not None]
            quiet = bool(seen) and time.monotonic() - max(seen) >= settings.collect_quiet
            if quiet and not self._mischief.current.analysis_stalls:
                return

    def _keep(self, task: AnalysisTask, execution_id: int, recordings: list[Session]) -> None:
        hidden = self._mischief.current.analysis_no_patterns_for
        recorded = []
        total = 0
        for session in recordings:
            exchanges = session.recorder.exchanges if session.recorder and session.service not in hidden else []
            total += len(exchanges)
            patterns = self._distinct(session.service, exchanges)
            recorded.append(ServicePatterns(service_name=session.service, request_mode=patterns))
            self.patterns[execution_id, session.service] = patterns
        task.request_patterns = recorded
        task.total_recorded_requests, task.analyzed_services = total, len(recorded)

    def _distinct(self, service: str, exchanges: list[Exchange]) -> list[Pattern]:
        port = self._cluster.hosts[service].port
        patterns: dict[tuple[str, str], Pattern] = {}
        for exchange in exchanges:
            url = f"http://{service}:{port}{exchange.target}"
            patterns.setdefault((exchange.method, url), _pattern(url, exchange))
        return [patterns[key] for key in sorted(patterns)]

    def _end(self, task: AnalysisTask, status: TaskStatus, message: str) -> None:
        task.status, task.message = status, message
        task.end_time = f"{local_now():%Y-%m-%d %H:%M:%S}"


def _pattern(url: str, exchange: Exchange) -> Pattern:
    return Pattern(
        method=exchange.method,
        url=url,
        request_headers=exchange.request_headers,
        request_body=exchange.request_body,
        response_headers=exchange.response_headers,
        response_body=exchange.response_body,
        response_status=exchange.status,
        response_time=round(exchange.seconds * 1000, 3),
    )

"""The proxy's HTTP API.

It has all routes, and the controllers of `/api/request-patterns`.
"""

from aiohttp import web

from lab.envelope import catch_all, failure, read_model, success
from lab.misbehaviour.misbehave import Mischief
from lab.misbehaviour.names import Endpoint
from lab.proxy.analysis import Analyses
from lab.proxy.fixtures import FixtureApi
from lab.proxy.patterns import AnalysisTask, Analyze, Replay, TaskStatus
from lab.proxy.recordings import RecordingApi
from lab.proxy.replay import Replayer
from lab.proxy.sessions import Sessions
from lab.services.cluster import Cluster, UnknownServiceError


class Proxy:
    """The traffic proxy of one lab."""

    def __init__(self, cluster: Cluster, mischief: Mischief) -> None:
        self.sessions = Sessions(cluster)
        self.analyses = Analyses(cluster, self.sessions, mischief)
        self._cluster = cluster
        self._mischief = mischief
        self._replayer = Replayer(cluster)

    def build_app(self) -> web.Application:
        """Build the web application."""
        app = web.Application(middlewares=[catch_all("500"), self._mischief.middleware], client_max_size=64 * 1024**2)
        patterns = "/api/request-patterns"
        app.add_routes(
            [
                web.post(f"{patterns}/analyze", self._analyze, name=Endpoint.ANALYZE),
                web.get(f"{patterns}/tasks/{{id}}", self._task, name=Endpoint.ANALYZE_STATUS),
                web.get(f"{patterns}/tasks/{{id}}/details", self._task),
                web.post(f"{patterns}/tasks/{{id}}/stop", self._stop, name=Endpoint.ANALYZE_STOP),
                web.post(f"{patterns}/tasks/{{id}}/trigger", self._trigger, name=Endpoint.ANALYZE_TRIGGER),
                web.post(f"{patterns}/replay", self._replay, name=Endpoint.REPLAY),
                web.get(f"{patterns}/health", self._health),
                web.get(f"{patterns}/redis-stats", self._redis_stats),
            ]
        )
        self._add_fixtures(app, FixtureApi(self._cluster, self.sessions))
        self._add_sessions(app, RecordingApi(self._cluster, self.sessions))
        return app

    def restart(self) -> None:
        """Lose what the peer keeps only in memory: timers and running analyses."""
        self.sessions.forget_timers()
        self.analyses.abandon()

    def _add_fixtures(self, app: web.Application, api: FixtureApi) -> None:
        app.add_routes(
            [
                web.post("/api/fixtures/upsert", api.upsert, name=Endpoint.UPSERT),
                web.get("/api/fixtures/record/{id}/status", api.status, name=Endpoint.FIXTURE_STATUS),
                web.delete("/api/fixtures/record/{id}", api.delete, name=Endpoint.FIXTURE_DELETE),
                web.get("/api/fixtures/health", api.health),
            ]
        )

    def _add_sessions(self, app: web.Application, api: RecordingApi) -> None:
        app.add_routes(
            [
                web.post("/api/recordings/start", api.start, name=Endpoint.RECORDING_START),
                web.post("/api/recordings/{id}/stop", api.stop, name=Endpoint.RECORDING_STOP),
                web.get("/api/recordings/{id}", api.get, name=Endpoint.RECORDING_GET),
                web.get("/api/recordings/{id}/entries", api.entries, name=Endpoint.RECORDING_ENTRIES),
                web.get("/api/direct-tap/recordings/active", api.active_ids),
                web.get(
                    "/api/direct-tap/recordings/active/details", api.active_details, name=Endpoint.RECORDINGS_ACTIVE
                ),
                web.get("/api/interceptions/check/{namespace}/{service}", api.check, name=Endpoint.CHECK),
                web.get("/api/interceptions/active", api.interceptions, name=Endpoint.INTERCEPTIONS_ACTIVE),
            ]
        )

    async def _analyze(self, request: web.Request) -> web.Response:
        return success(self.analyses.begin(await read_model(request, Analyze)))

    async def _task(self, request: web.Request) -> web.Response:
        task_id = request.match_info["id"]
        unknown = AnalysisTask(task_id=task_id, status=TaskStatus.NOT_FOUND, message="Task not found")
        return success(self.analyses.tasks.get(task_id, unknown))

    async def _stop(self, request: web.Request) -> web.Response:
        task = self.analyses.tasks.get(request.match_info["id"])
        if task is None or task.over:
            return failure("400", "Task not found or already finished")
        await self.analyses.stop(task)
        return success("Task stopped successfully")

    async def _trigger(self, request: web.Request) -> web.Response:
        task = self.analyses.tasks.get(request.match_info["id"])
        if task is None or task.over or task.req_def_id is None:
            return failure("400", "Task not found or already finished")
        await self.analyses.trigger(task.req_def_id, 1)
        return success("Request triggered successfully")

    async def _replay(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, Replay)
        self._cluster.journal.counters.replays[wanted.service_name] += 1
        patterns = self.analyses.patterns.get((wanted.execution_id, wanted.service_name), [])
        if not patterns:
            return success([])
        try:
            self._cluster.host(wanted.service_name, wanted.namespace)
        except UnknownServiceError as error:
            return failure("500", f"Failed to replay: Replay failed: {error}")
        return success(await self._replayer.replay(wanted.service_name, patterns))

    async def _health(self, _request: web.Request) -> web.Response:
        return success({"status": "UP", "redis": "UP"})

    async def _redis_stats(self, _request: web.Request) -> web.Response:
        return success({"tasks": len(self.analyses.tasks), "sessions": len(self.sessions.active())})

"""A stand-in for the Kubernetes API, and the troubles that it can make.

It serves a few objects over real HTTP on 127.0.0.1, and a test changes them while a client looks. Each trouble comes
with the words expected in its message.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from domain.errors import ErrorCode

Object = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

TOKEN = "s3cret-of-the-worker"  # noqa: S105 - opens nothing
_PATH = re.compile(r"/(apis/apps/v1|api/v1)/namespaces/shop/(?P<kind>deployments|replicasets|pods)(/(?P<name>[^/]+))?")


class StandIn:
    """Serves the objects in its lists, which may be changed at any time."""

    def __init__(self) -> None:
        self.url = ""
        self.deployments: dict[str, Object] = {}
        self.replica_sets: list[Object] = []
        self.pods: list[Object] = []
        self.tokens = {TOKEN}
        """Bearer tokens that are known."""
        self.seen: list[tuple[str, str]] = []
        """Path with query, and token, of every request."""
        self.looks = 0
        """Reads of a single Deployment so far, including the current read."""
        self.before_look: Callable[[int], None] = lambda _: None
        """Called with the number of the look, before it is answered."""
        self.instead: Handler | None = None
        """Answers in place of the API unless it returns None."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("authorization", "").partition(" ")[2]
        self.seen.append((request.path_qs, token))
        if token not in self.tokens:
            return status(401, "Unauthorized", "Unauthorized")
        found = await self.instead(request) if self.instead else None
        return found or self._found(request)

    def _found(self, request: web.Request) -> web.StreamResponse:
        found = _PATH.fullmatch(request.path)
        if found is None:
            return web.Response(status=404, text="404 page not found")
        kind, name = found["kind"], found["name"]
        selector = request.query.get("labelSelector", "")
        if name:
            self.looks += 1
            self.before_look(self.looks)
            item = self.deployments.get(name)
            return web.json_response(item) if item else status(404, "NotFound", f'deployments.apps "{name}" not found')
        lists = {"deployments": [*self.deployments.values()], "replicasets": self.replica_sets, "pods": self.pods}
        items = [item for item in lists[kind] if _selected(item, selector)]
        return web.json_response({"kind": "List", "metadata": {"resourceVersion": "7"}, "items": items or None})

    def roll_out(self, name: str, replicas: int = 2, **labels: str) -> Object:
        """Add a Deployment that is rolled out, with its ReplicaSet and pods."""
        made = copy.deepcopy(_deployment(name, replicas, labels or {"app": name}))
        self.deployments[name] = made
        self.replica_sets.append(owned(f"{name}-1", made))
        self.pods += [pod(f"{name}-1-{number}", self.replica_sets[-1]) for number in range(replicas)]
        return made

    def kubeconfig(self, folder: Path, **user: Any) -> Path:
        """Write a kubeconfig that leads here.

        `user` is how to log in, by default with a token.
        """
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "worker"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "worker", "user": user or {"token": TOKEN}}],
        }
        path.write_text(json.dumps(config))
        return path


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    """Run a stand-in inside the block."""
    api = StandIn()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


def status(code: int, reason: str, message: str) -> web.Response:
    """Build an error as the API sends it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
    return web.json_response(body | {"code": code}, status=code)


def owned(name: str, owner: Object) -> Object:
    """Build an object with the owner's labels, controlled by the owner."""
    kind = {"d": "Deployment", "r": "ReplicaSet"}[owner["metadata"]["uid"][0]]
    reference = {"kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}
    labels = dict(owner["metadata"]["labels"])
    return {"metadata": {"name": name, "uid": f"r-{name}", "labels": labels, "ownerReferences": [reference]}}


def pod(name: str, replica_set: Object) -> Object:
    """Build a pod that is ready."""
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T12:00:00Z"}]
    containers = [{"name": "app", "restartCount": 0, "ready": True, "state": {"running": {}}}]
    return owned(name, replica_set) | {
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": containers}
    }


def _deployment(name: str, replicas: int, labels: dict[str, str]) -> Object:
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {
        "metadata": {"name": name, "uid": f"d-{name}", "generation": 1, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}},
        # The API never sends zeros.
        "status": {"observedGeneration": 1} | (dict.fromkeys(counts, replicas) if replicas else {}),
    }


def _selected(item: Object, selector: str) -> bool:
    labels = item["metadata"]["labels"]
    return all(labels.get(term.partition("=")[0]) == term.partition("=")[2] for term in selector.split(",") if term)


async def lost(request: web.Request) -> web.StreamResponse:
    """Break off the connection."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def silent(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


def saying(code: int, body: str) -> Any:
    """Answer something that no such API would send."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=body)

    return answer


def refusing(code: int, reason: str) -> Any:
    """Refuse as the API does."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return status(code, reason, f"{reason}: the cluster says so")

    return answer


TROUBLES = {
    "forbidden": (refusing(403, "Forbidden"), ErrorCode.PEER_REJECTED, "docs/kubernetes.md"),
    "unauthorized": (refusing(401, "Unauthorized"), ErrorCode.PEER_REJECTED, "credentials"),
    "gone": (refusing(410, "Expired"), ErrorCode.PEER_ERROR, "Expired"),
    "too many": (refusing(429, "TooManyRequests"), ErrorCode.PEER_ERROR, "TooManyRequests"),
    "server": (refusing(503, "ServiceUnavailable"), ErrorCode.PEER_ERROR, "status 503"),
    "no such api": (saying(404, "404 page not found"), ErrorCode.PEER_REJECTED, "is there a Kubernetes API"),
    "another server": (saying(200, "<html>hello"), ErrorCode.PEER_GARBAGE, "not JSON"),
    "another object": (saying(200, '{"metadata": {"name": 7}}'), ErrorCode.PEER_GARBAGE, "metadata"),
    "lost": (lost, ErrorCode.PEER_GARBAGE, "cut off"),
}

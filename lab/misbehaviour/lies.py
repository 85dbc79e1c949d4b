"""Answers that claim success although nothing was done."""

import json
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web
from pydantic import JsonValue

from lab.envelope import plain, success
from lab.misbehaviour.names import Endpoint

Body = dict[str, JsonValue]


async def lie(endpoint: Endpoint, request: web.Request) -> web.Response:
    """Claim success."""
    try:
        parsed = json.loads(await request.read() or b"{}")
    except ValueError:
        parsed = {}
    answer = _LIES.get(endpoint)
    return success() if answer is None else answer(request, parsed if isinstance(parsed, dict) else {})


def _analyze(_request: web.Request, body: Body) -> web.Response:
    execution_id = body.get("execution_id", body.get("excution_id"))
    task_id = f"task_{int(time.time() * 1000)}_{secrets.token_hex(4)}"
    return success({"taskId": task_id, "status": "INITIALIZING", "execution_id": execution_id})


def _upsert(_request: web.Request, body: Body) -> web.Response:
    items = body.get("items")
    expires = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return plain({"upserted": len(items) if isinstance(items, list) else 0, "expiresAt": expires})


def _fixture_status(request: web.Request, _body: Body) -> web.Response:
    return plain({"recordId": request.match_info["id"], "exists": True, "status": "RECORDING"})


def _fixture_delete(request: web.Request, _body: Body) -> web.Response:
    return plain({"deleted": True, "recordId": request.match_info["id"]})


def _not_recording(request: web.Request, _body: Body) -> web.Response:
    return success({"namespace": request.match_info["namespace"], "isRecording": False})


def _recording(_request: web.Request, _body: Body) -> web.Response:
    recording_id = f"rec-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    return success({"recordingId": recording_id, "status": "RUNNING", "message": "Recording started successfully"})


def _stopped(request: web.Request, _body: Body) -> web.Response:
    return success({"recordingId": request.match_info["id"], "status": "STOPPED"})


def _execute(request: web.Request, _body: Body) -> web.Response:
    name = request.query.get("name") or f"blade-{secrets.token_hex(6)}"
    return success({"faultId": secrets.token_hex(16), "bladeName": name})


def _running(request: web.Request, _body: Body) -> web.Response:
    status: Body = {"phase": "Running", "expStatuses": [{"success": True, "state": "Success", "resStatuses": []}]}
    name = request.match_info["name"]
    return success({"bladeName": name, "phase": "Running", "status": status, "events": [], "eventsCount": 0})


def _fault_deleted(request: web.Request, _body: Body) -> web.Response:
    return success(f"Fault stopped successfully: {request.match_info['name']}")


_LIES: dict[Endpoint, Callable[[web.Request, Body], web.Response]] = {
    Endpoint.ANALYZE: _analyze,
    Endpoint.REPLAY: lambda _request, _body: success([]),
    Endpoint.UPSERT: _upsert,
    Endpoint.FIXTURE_STATUS: _fixture_status,
    Endpoint.FIXTURE_DELETE: _fixture_delete,
    Endpoint.CHECK: _not_recording,
    Endpoint.INTERCEPTIONS_ACTIVE: lambda _request, _body: success([]),
    Endpoint.RECORDINGS_ACTIVE: lambda _request, _body: success([]),
    Endpoint.RECORDING_START: _recording,
    Endpoint.RECORDING_ENTRIES: lambda _request, _body: success([]),
    Endpoint.RECORDING_STOP: _stopped,
    Endpoint.EXECUTE: _execute,
    Endpoint.FAULT_STATUS: _running,
    Endpoint.FAULT_DELETE: _fault_deleted,
    Endpoint.FAULT_LIST: lambda _request, _body: success([]),
    Endpoint.FAULT_EXISTS: lambda _request, _body: success(False),
}

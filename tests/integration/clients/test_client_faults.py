"""The fault service's wire contract, from the client's side."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from clients.peers.faults import FaultClient
from domain.errors import ErrorCode, HoldfastError
from domain.faults.chaosblade.experiment import Experiment
from domain.faults.driving import FaultExists, FaultIntent
from tests.support.clients.fixtures import Peer

EXPERIMENT = Experiment(
    scope="pod", target="cpu", action="load", matchers={"cpu-percent": ["80"], "namespace": ["shop"]}
)


def failed(status: int, code: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"success": False, "error": {"code": code, "message": message}}


async def execute(peer: Peer, answer: Any) -> None:
    peer.answers["POST /api/faults/execute"] = answer
    async with FaultClient(peer.url) as faults:
        await faults.execute("hf-1-a-1", 300, EXPERIMENT)


async def test_execute_always_has_a_name_and_a_time_to_live(peer: Peer) -> None:
    """A fault without our name could not be found again. A fault without a time limit could stay for ever."""
    await execute(peer, {"success": True, "data": {"faultId": "f", "bladeName": "hf-1-a-1"}})
    method, path, _, body = peer.seen[0]
    assert (method, path) == ("POST", "/api/faults/execute?name=hf-1-a-1&durationSec=300")
    assert json.loads(body) == {
        "spec": {
            "experiments": [
                {
                    "scope": "pod",
                    "target": "cpu",
                    "action": "load",
                    "matchers": [{"name": "cpu-percent", "value": ["80"]}, {"name": "namespace", "value": ["shop"]}],
                }
            ]
        }
    }


@pytest.mark.parametrize(("recorded", "containers"), [(False, ["reviews"]), (True, ["reviews", "envoy"])])
async def test_a_plans_fault_becomes_an_experiment(peer: Peer, recorded: bool, containers: list[str]) -> None:
    """Aimed at its service. Where it is recorded, the sidecar goes too: it would answer for what was removed."""
    peer.answers["POST /api/faults/execute"] = {"success": True, "data": {"bladeName": "hf-1-a-1"}}
    intent = FaultIntent(fault="remove", service="reviews", namespace="shop", beside_recording=recorded)
    async with FaultClient(peer.url) as faults:
        await faults.inject("hf-1-a-1", timedelta(minutes=5), intent)
    _, path, _, body = peer.seen[0]
    assert path == "/api/faults/execute?name=hf-1-a-1&durationSec=300"
    matchers = {found["name"]: found["value"] for found in json.loads(body)["spec"]["experiments"][0]["matchers"]}
    assert matchers["container-names"] == containers
    assert (matchers["namespace"], matchers["labels"]) == (["shop"], ["app=reviews"])


@pytest.mark.parametrize("status", [500, 400])
async def test_a_name_conflict_is_recognised_by_its_message(peer: Peer, status: int) -> None:
    """Documented as 400, but sent as 500."""
    answer = failed(status, "RUNTIME_ERROR", "Failed to execute fault: Fault with name already exists: hf-1-a-1")
    with pytest.raises(FaultExists):
        await execute(peer, answer)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (
            failed(500, "RUNTIME_ERROR", "Failed to execute fault: Invalid fault specification"),
            ErrorCode.FAULT_REJECTED,
        ),
        (failed(400, "CONSTRAINT_VIOLATION", "durationSec"), ErrorCode.FAULT_REJECTED),
        (failed(500, "RUNTIME_ERROR", "Failed to create ChaosBlade resource: x"), ErrorCode.PEER_ERROR),
        ((502, "bad gateway"), ErrorCode.PEER_ERROR),
        ("garbage", ErrorCode.PEER_GARBAGE),
    ],
)
async def test_permanent_and_transient_errors_get_different_codes(peer: Peer, answer: Any, code: ErrorCode) -> None:
    """Both come as 500: only the message shows whether a retry can help, or whether a fault may exist."""
    with pytest.raises(HoldfastError) as raised:
        await execute(peer, answer)
    assert raised.value.code is code


def status(phase: str, *successes: bool, targets: list[bool] | None = None) -> dict[str, Any]:
    experiments: list[dict[str, Any]] = [{"success": success} for success in successes]
    if targets is not None:
        experiments[0]["resStatuses"] = [{"success": target, "error": "no such pod"} for target in targets]
    return {"success": True, "data": {"phase": phase, "status": {"phase": phase, "expStatuses": experiments}}}


@pytest.mark.parametrize(
    ("answer", "running", "is_failed"),
    [
        (status("Running", True), True, False),
        (status("Running", True, False), False, False),
        (status("Running", True, targets=[True, False]), False, False),
        (status("Running", True, targets=[True, True]), True, False),
        (status("Running"), False, False),
        (status("Initialized", True), False, False),
        (status("Error", False), False, True),
        (status("Brand new"), False, False),
        ({"success": True, "data": {"phase": "Unknown", "status": None}}, False, False),
        ({"success": True, "data": {"phase": None, "status": "odd"}}, False, False),
    ],
)
async def test_a_fault_is_running_only_if_it_runs_in_every_target(
    peer: Peer, answer: Any, running: bool, is_failed: bool
) -> None:
    """The phase Running means only that one experiment succeeded; a partial fault proves nothing."""
    peer.answers["GET /api/faults/f/status"] = answer
    async with FaultClient(peer.url) as faults:
        found = await faults.status("f")
    assert found is not None
    assert (found.running, found.failed) == (running, is_failed)


async def test_an_absent_fault_is_distinguished_from_an_unknown_state(peer: Peer) -> None:
    """Only 404 RESOURCE_NOT_FOUND means absence; a gateway's 404 or a 500 does not."""
    async with FaultClient(peer.url) as faults:
        peer.answers["GET /api/faults/f/status"] = failed(404, "RESOURCE_NOT_FOUND", "Fault not found: f")
        assert await faults.status("f") is None
        for answer in ((404, "404 page not found"), failed(500, "RUNTIME_ERROR", "cluster away")):
            peer.answers["GET /api/faults/f/status"] = answer
            with pytest.raises(HoldfastError):
                await faults.status("f")


async def test_deleting_an_absent_fault_succeeds(peer: Peer) -> None:
    """A 404 is success. A 500 is not, although the fault may have been deleted."""
    async with FaultClient(peer.url) as faults:
        peer.answers["DELETE /api/faults/f"] = failed(404, "RESOURCE_NOT_FOUND", "Fault not found: f")
        await faults.delete("f")
        peer.answers["DELETE /api/faults/f"] = failed(500, "RUNTIME_ERROR", "redis")
        with pytest.raises(HoldfastError) as raised:
            await faults.delete("f")
    assert raised.value.kind.retryable


async def test_names_are_filtered_by_prefix(peer: Peer) -> None:
    """Other people's faults are not ours to look at."""
    peer.answers["GET /api/faults"] = {"success": True, "data": ["other", "hf-2", "hf-1"]}
    async with FaultClient(peer.url) as faults:
        assert await faults.names("hf-") == ["hf-1", "hf-2"]


def aimed(*matchers: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "data": {"spec": {"experiments": [{"matchers": [matcher]} for matcher in matchers]}}}


@pytest.mark.parametrize(
    ("answer", "namespaces"),
    [
        (aimed({"name": "namespace", "value": ["shop"]}, {"name": "namespace", "value": ["books"]}), {"shop", "books"}),
        (aimed({"name": "namespace", "value": "shop"}), {"shop"}),
        (aimed({"name": "labels", "value": ["app=a"]}), set()),
        ({"success": True, "data": {"spec": {"experiments": None}}}, set()),
        ({"success": True, "data": {"spec": None}}, None),
        ({"success": True, "data": "odd"}, None),
        (failed(404, "RESOURCE_NOT_FOUND", "Fault not found: f"), None),
    ],
)
async def test_the_namespaces_of_a_fault_come_from_its_experiments(
    peer: Peer, answer: Any, namespaces: set[str] | None
) -> None:
    """Silence about the experiments is not the same as no namespace."""
    peer.answers["GET /api/faults/f"] = answer
    async with FaultClient(peer.url) as faults:
        assert await faults.namespaces("f") == namespaces

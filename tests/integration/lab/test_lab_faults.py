"""The fault service keeps the contract of section 2, quirks included."""

import asyncio

import aiohttp
import pytest

from tests.support.lab.driver import Driver, until


async def test_a_fault_passes_through_the_phases_of_its_lifecycle(driver: Driver) -> None:
    """From Unknown through Initialized to Running, and after its deletion through Destroying to 404."""
    await driver.execute("f1", driver.experiment("reviews"))
    seen = [await driver.phase("f1")]

    async def step(final: str) -> bool:
        phase = await driver.phase("f1")
        if phase != seen[-1]:
            seen.append(phase)
        return phase == final

    await until(lambda: step("Running"), "Running", interval=0.001)
    status = (await driver.faults("GET", "/f1/status")).json["data"]
    assert status["status"]["expStatuses"][0]["success"] is True
    assert status["status"]["expStatuses"][0]["resStatuses"][0]["success"] is True
    assert (await driver.faults("DELETE", "/f1")).json == {"success": True, "data": "Fault stopped successfully: f1"}
    await until(lambda: step("gone"), "gone", interval=0.001)
    assert seen[:3] == ["Unknown", "Initialized", "Running"]
    assert seen[3] == "Destroying"
    gone = await driver.faults("GET", "/f1/status")
    assert (gone.status, gone.json["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert (await driver.faults("DELETE", "/f1")).status == 404


async def test_a_second_deletion_is_accepted_while_the_fault_terminates(driver: Driver) -> None:
    await driver.inject("f1", "reviews")
    assert (await driver.faults("DELETE", "/f1")).status == 200
    assert (await driver.faults("DELETE", "/f1")).status == 200


async def test_a_fault_is_listed_with_its_details_until_it_is_deleted(driver: Driver) -> None:
    """The details show the experiments that reached the cluster."""
    experiment = {**driver.experiment("reviews"), "flags": {"dropped": "silently"}}
    await driver.execute("f1", experiment)
    assert (await driver.faults("GET", "")).json["data"] == ["f1"]
    details = (await driver.faults("GET", "/f1")).json["data"]
    assert details["spec"] == {"experiments": [driver.experiment("reviews")]}
    assert (details["ttlSec"], details["metadata"]["labels"]["owner"]) == ("0", "faults-api")
    assert (await driver.faults("GET", "/f1/exists")).json["data"] is True
    await driver.recover("f1")
    assert (await driver.faults("GET", "")).json["data"] == []


async def test_a_name_is_invented_when_none_is_given(driver: Driver) -> None:
    """A client that loses the answer never learns this name."""
    body = {"spec": {"experiments": [driver.experiment("reviews")]}}
    answer = await driver.faults("POST", "/execute", body, params={"name": " "})
    assert answer.json["data"]["bladeName"].startswith("blade-")
    assert len(answer.json["data"]["faultId"]) == 32


async def test_experiments_that_are_not_an_array_stay_in_phase_unknown(driver: Driver) -> None:
    """The fault service accepts them, and the fault stays until it is deleted."""
    answer = await driver.faults("POST", "/execute", {"spec": {"experiments": {"scope": "pod"}}}, params={"name": "f1"})
    assert answer.status == 200
    await asyncio.sleep(0.1)
    assert await driver.phase("f1") == "Unknown"
    await driver.recover("f1")


async def test_a_fault_deleted_while_it_starts_leaves_nothing_active(driver: Driver) -> None:
    """Whatever the start has already done is undone."""
    await driver.execute("f1", driver.experiment("reviews"))
    await driver.recover("f1")
    await driver.ready()
    assert (await driver.state()).clean


async def test_removed_container_refuses_connections(driver: Driver) -> None:
    """A removed app really closes its socket, including kept-alive connections, and returns on the same port."""
    assert (await driver.service("reviews", "/health")).status == 200
    await driver.inject("f1", "reviews")
    for _ in range(3):
        with pytest.raises(aiohttp.ClientConnectorError):
            await driver.service("reviews", "/health")
    await driver.recover("f1")
    await driver.ready()
    assert (await driver.service("reviews", "/health")).status == 200


async def test_recovered_container_is_not_ready_at_once(driver: Driver) -> None:
    """Putting back a removed container takes a rollout, during which /health answers 503."""
    await driver.inject("f1", "reviews")
    await driver.recover("f1")
    assert (await driver.service("reviews", "/health")).status == 503
    assert (await driver.service("reviews", "/api/reviews")).status == 200
    await driver.ready()


async def test_a_network_delay_applies_to_health_too(driver: Driver) -> None:
    """The delay is added to every answer of the service."""
    await driver.inject("f1", "reviews", "pod network delay", time="200")
    answer = await driver.service("reviews", "/health")
    assert answer.status == 200
    assert answer.seconds >= 0.2
    await driver.recover("f1")
    assert (await driver.service("reviews", "/health")).seconds < 0.2


async def test_loss_hangs_until_the_caller_gives_up(driver: Driver) -> None:
    """With every packet lost, the caller gets only its own timeout."""
    await driver.inject("f1", "reviews", "container network drop")
    with pytest.raises(TimeoutError):
        await driver.service("reviews", "/api/reviews", timeout=aiohttp.ClientTimeout(total=0.2))


async def test_thrown_exception_leaves_health_alone(driver: Driver) -> None:
    """The exception appears as Spring's 500 on business routes only."""
    await driver.inject("f1", "reviews", "container jvm throwCustomException")
    answer = await driver.service("reviews", "/api/reviews")
    assert answer.status == 500
    assert set(answer.json) == {"timestamp", "status", "error", "path"}
    assert (await driver.service("reviews", "/health")).status == 200


@pytest.mark.parametrize("kind", ["pod pod delete", "container process kill"])
async def test_restarted_pod_heals_although_its_fault_runs(driver: Driver, kind: str) -> None:
    """What Kubernetes restarts is healthy again, while the phase of the fault stays Running."""
    await driver.inject("f1", "reviews", kind)
    with pytest.raises(aiohttp.ClientConnectorError):
        await driver.service("reviews", "/health")
    await driver.ready()
    assert (await driver.service("reviews", "/api/reviews")).status == 200
    assert await driver.phase("f1") == "Running"


async def test_executing_under_an_existing_name_is_a_500_and_changes_nothing(driver: Driver) -> None:
    """The answer is an envelope with code RUNTIME_ERROR."""
    await driver.inject("f1", "reviews")
    answer = await driver.execute("f1", driver.experiment("shipping"))
    assert answer.status == 500
    message = "Failed to execute fault: Fault with name already exists: f1"
    assert answer.json == {"success": False, "error": {"code": "RUNTIME_ERROR", "message": message}}
    assert (await driver.service("shipping", "/api/shipping/estimate")).status == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Failed to execute fault: Input data cannot be null or empty"),
        ({"specs": 1}, "Failed to execute fault: Failed to normalize input data"),
        ({"spec": {"experiments": []}}, "Failed to execute fault: Invalid fault specification"),
        ({"spec": {"experiments": [{"scope": "pod"}]}}, "Failed to execute fault: Invalid fault specification"),
    ],
)
async def test_bad_bodies_are_500(driver: Driver, body: object, message: str) -> None:
    """All have the code RUNTIME_ERROR, and differ only in their messages."""
    answer = await driver.faults("POST", "/execute", body, params={"name": "f1"})
    assert (answer.status, answer.json["error"]) == (500, {"code": "RUNTIME_ERROR", "message": message})
    assert await driver.phase("f1") == "gone"


@pytest.mark.parametrize(("duration", "code"), [("0", "CONSTRAINT_VIOLATION"), ("ten", "TYPE_MISMATCH")])
async def test_bad_durations_are_400(driver: Driver, duration: str, code: str) -> None:
    """A duration that is not a positive integer is refused before anything happens."""
    answer = await driver.faults("POST", "/execute", {"spec": {}}, params={"name": "f1", "durationSec": duration})
    assert (answer.status, answer.json["error"]["code"]) == (400, code)


async def test_matcher_values_must_be_arrays_of_strings(driver: Driver) -> None:
    """A number in a matcher is a 500. A scalar value is dropped, and the operator then finds no target."""
    experiment = driver.experiment("reviews")
    experiment["matchers"][1] = {"name": "labels", "value": [1]}
    assert (await driver.execute("f1", experiment)).status == 500
    experiment["matchers"][1] = {"name": "labels", "value": "app=reviews"}
    assert (await driver.execute("f2", experiment)).status == 200
    await driver.reaches("f2", "Error")


@pytest.mark.parametrize(
    "matchers",
    [
        {"namespace": "elsewhere"},
        {"labels": "app=nobody"},
        {"container_names": "envoy"},
    ],
)
async def test_wrong_targets_end_in_error(driver: Driver, matchers: dict[str, str]) -> None:
    """A fault that selects nothing ends in phase Error with a reason. It exists, and must be deleted."""
    experiment = driver.experiment("reviews")
    for matcher in experiment["matchers"]:
        value = matchers.get(matcher["name"].replace("-", "_"))
        matcher["value"] = [value] if value else matcher["value"]
    await driver.execute("f1", experiment)
    await driver.reaches("f1", "Error")
    status = (await driver.faults("GET", "/f1/status")).json["data"]["status"]["expStatuses"][0]
    assert status["success"] is False
    assert status["error"]
    assert (await driver.service("reviews", "/api/reviews")).status == 200
    await driver.recover("f1")


async def test_unknown_actions_end_in_error(driver: Driver) -> None:
    """The lab cannot carry out such an experiment."""
    await driver.execute("f1", driver.experiment("reviews", "pod cpu load"))
    await driver.reaches("f1", "Error")


async def test_one_successful_experiment_makes_a_fault_running(driver: Driver) -> None:
    """Running may be partial: only `expStatuses` shows that the second experiment failed."""
    await driver.execute("f1", driver.experiment("reviews"), driver.experiment("shipping", "pod cpu load"))
    await driver.reaches("f1", "Running")
    statuses = (await driver.faults("GET", "/f1/status")).json["data"]["status"]["expStatuses"]
    assert [status["success"] for status in statuses] == [True, False]


async def test_pods_are_found_by_name(driver: Driver) -> None:
    """A pod name selects the service that it begins with."""
    experiment = driver.experiment("reviews")
    experiment["matchers"][1] = {"name": "names", "value": ["reviews-6f9c-abcde"]}
    await driver.execute("f1", experiment)
    await driver.reaches("f1", "Running")
    assert (await driver.state()).services["reviews"].app_up is False


async def test_the_ttl_deletes_a_fault_but_leaves_it_in_the_list(driver: Driver) -> None:
    """The index is stale."""
    await driver.execute("f1", driver.experiment("reviews"), ttl=1)
    await driver.reaches("f1", "Running")
    assert (await driver.faults("GET", "/f1")).json["data"]["ttlSec"] == "1"
    await driver.reaches("f1", "gone")
    assert (await driver.faults("GET", "")).json["data"] == ["f1"]
    assert (await driver.faults("GET", "/f1/exists")).json["data"] is False
    log = (await driver.admin("GET", "/log")).json
    assert [(e["kind"], e["service"], e["name"], e["reason"]) for e in log] == [("fault", "reviews", "f1", "ttl")]


async def test_old_timer_hits_a_new_fault_of_the_same_name(driver: Driver) -> None:
    """A manual deletion does not cancel the timer, which deletes whatever has the name when it fires."""
    await driver.execute("f1", driver.experiment("reviews"), ttl=1)
    await driver.recover("f1")
    await driver.inject("f1", "reviews")
    await driver.reaches("f1", "gone")


async def test_restart_of_the_fault_service_loses_timers(driver: Driver) -> None:
    """After a restart a fault outlives its TTL."""
    await driver.execute("f1", driver.experiment("reviews"), ttl=1)
    await driver.admin("POST", "/restart/faults")
    await driver.reaches("f1", "Running")
    await asyncio.sleep(1.2)
    assert await driver.phase("f1") == "Running"


async def test_unknown_path_and_wrong_method_are_500(driver: Driver) -> None:
    """A path that does not exist never gives a 404 or 405."""
    for answer in (await driver.faults("PUT", "/execute"), await driver.ask("GET", driver.at.faults + "/nowhere")):
        assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL_ERROR")

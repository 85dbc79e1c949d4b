"""The fault service keeps the contract of section 2, quirks included."""

import asyncio

import aiohttp
import pytest

from tests.support.lab.driver import Driver, until


async def test_lifecycle_of_a_fault(driver: Driver) -> None:
    """A fault goes from Unknown through Initialized to Running, and after its deletion through Destroying to 404."""
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


async def test_deleting_twice_is_accepted_while_it_terminates(driver: Driver) -> None:
    """A repeated DELETE answers 200 as long as the fault is being destroyed."""
    await driver.inject("f1", "reviews")
    assert (await driver.faults("DELETE", "/f1")).status == 200
    assert (await driver.faults("DELETE", "/f1")).status == 200


async def test_a_fault_is_listed_and_told(driver: Driver) -> None:
    """A fault is listed until it is deleted by hand; its details carry what reached the cluster."""
    experiment = {**driver.experiment("reviews"), "flags": {"dropped": "silently"}}
    await driver.execute("f1", experiment)
    assert (await driver.faults("GET", "")).json["data"] == ["f1"]
    told = (await driver.faults("GET", "/f1")).json["data"]
    assert told["spec"] == {"experiments": [driver.experiment("reviews")]}
    assert (told["ttlSec"], told["metadata"]["labels"]["owner"]) == ("0", "faults-api")
    assert (await driver.faults("GET", "/f1/exists")).json["data"] is True
    await driver.recover("f1")
    assert (await driver.faults("GET", "")).json["data"] == []


async def test_names_are_made_up_where_none_is_given(driver: Driver) -> None:
    """Without a name the fault service invents one, which nobody knows who loses the answer."""
    body = {"spec": {"experiments": [driver.experiment("reviews")]}}
    answer = await driver.faults("POST", "/execute", body, params={"name": " "})
    assert answer.json["data"]["bladeName"].startswith("blade-")
    assert len(answer.json["data"]["faultId"]) == 32


async def test_experiments_that_are_no_array_never_get_a_phase(driver: Driver) -> None:
    """A spec that only looks like one passes, and stays Unknown until it is deleted."""
    answer = await driver.faults("POST", "/execute", {"spec": {"experiments": {"scope": "pod"}}}, params={"name": "f1"})
    assert answer.status == 200
    await asyncio.sleep(0.1)
    assert await driver.phase("f1") == "Unknown"
    await driver.recover("f1")


async def test_deleting_a_fault_that_only_starts(driver: Driver) -> None:
    """A deletion in the middle of the start leaves nothing on, whatever the start had done already."""
    await driver.execute("f1", driver.experiment("reviews"))
    await driver.recover("f1")
    await driver.ready()
    assert (await driver.state()).clean


async def test_removed_container_refuses_connections(driver: Driver) -> None:
    """A removed app really closes its socket, kept-alive connections included, and is back on the same port."""
    assert (await driver.service("reviews", "/health")).status == 200
    await driver.inject("f1", "reviews")
    for _ in range(3):
        with pytest.raises(aiohttp.ClientConnectorError):
            await driver.service("reviews", "/health")
    await driver.recover("f1")
    await driver.ready()
    assert (await driver.service("reviews", "/health")).status == 200


async def test_recovered_container_is_not_ready_at_once(driver: Driver) -> None:
    """After a removed container is put back there is a rollout, during which /health says so."""
    await driver.inject("f1", "reviews")
    await driver.recover("f1")
    assert (await driver.service("reviews", "/health")).status == 503
    assert (await driver.service("reviews", "/api/reviews")).status == 200
    await driver.ready()


async def test_delay_delays_health_too(driver: Driver) -> None:
    """A network delay is added to whatever the service answers."""
    await driver.inject("f1", "reviews", "pod network delay", time="200")
    answer = await driver.service("reviews", "/health")
    assert answer.status == 200
    assert answer.seconds >= 0.2
    await driver.recover("f1")
    assert (await driver.service("reviews", "/health")).seconds < 0.2


async def test_loss_hangs_until_the_caller_gives_up(driver: Driver) -> None:
    """With every packet lost the caller gets nothing but its own timeout."""
    await driver.inject("f1", "reviews", "container network drop")
    with pytest.raises(TimeoutError):
        await driver.service("reviews", "/api/reviews", timeout=aiohttp.ClientTimeout(total=0.2))


async def test_thrown_exception_leaves_health_alone(driver: Driver) -> None:
    """A thrown exception shows as Spring's 500 on business routes only."""
    await driver.inject("f1", "reviews", "container jvm throwCustomException")
    answer = await driver.service("reviews", "/api/reviews")
    assert answer.status == 500
    assert set(answer.json) == {"timestamp", "status", "error", "path"}
    assert (await driver.service("reviews", "/health")).status == 200


@pytest.mark.parametrize("kind", ["pod pod delete", "container process kill"])
async def test_restarted_pod_heals_although_its_fault_runs(driver: Driver, kind: str) -> None:
    """What Kubernetes starts again is healthy again, while the fault's phase stays Running."""
    await driver.inject("f1", "reviews", kind)
    with pytest.raises(aiohttp.ClientConnectorError):
        await driver.service("reviews", "/health")
    await driver.ready()
    assert (await driver.service("reviews", "/api/reviews")).status == 200
    assert await driver.phase("f1") == "Running"


async def test_name_that_exists_is_a_wrapped_500(driver: Driver) -> None:
    """A second execute under one name is HTTP 500 RUNTIME_ERROR, and changes nothing."""
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
    """Every bad body is a RUNTIME_ERROR that tells itself apart by its message only."""
    answer = await driver.faults("POST", "/execute", body, params={"name": "f1"})
    assert (answer.status, answer.json["error"]) == (500, {"code": "RUNTIME_ERROR", "message": message})
    assert await driver.phase("f1") == "gone"


@pytest.mark.parametrize(("duration", "code"), [("0", "CONSTRAINT_VIOLATION"), ("ten", "TYPE_MISMATCH")])
async def test_bad_durations_are_400(driver: Driver, duration: str, code: str) -> None:
    """A duration that is not a positive integer is refused before anything happens."""
    answer = await driver.faults("POST", "/execute", {"spec": {}}, params={"name": "f1", "durationSec": duration})
    assert (answer.status, answer.json["error"]["code"]) == (400, code)


async def test_matcher_values_must_be_arrays_of_strings(driver: Driver) -> None:
    """A number in a matcher is a 500; a scalar value is dropped, so that the operator finds nothing to hit."""
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
    """A fault that selects nothing ends in phase Error with a reason, exists, and must be deleted."""
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
    """An experiment that the lab cannot carry out says so and is not Running."""
    await driver.execute("f1", driver.experiment("reviews", "pod cpu load"))
    await driver.reaches("f1", "Error")


async def test_one_good_experiment_makes_it_running(driver: Driver) -> None:
    """Running may be partial: only expStatuses tell that another experiment failed."""
    await driver.execute("f1", driver.experiment("reviews"), driver.experiment("shipping", "pod cpu load"))
    await driver.reaches("f1", "Running")
    statuses = (await driver.faults("GET", "/f1/status")).json["data"]["status"]["expStatuses"]
    assert [status["success"] for status in statuses] == [True, False]


async def test_pods_are_found_by_name(driver: Driver) -> None:
    """Pod names select the service that they begin with."""
    experiment = driver.experiment("reviews")
    experiment["matchers"][1] = {"name": "names", "value": ["reviews-6f9c-abcde"]}
    await driver.execute("f1", experiment)
    await driver.reaches("f1", "Running")
    assert (await driver.state()).services["reviews"].app_up is False


async def test_ttl_removes_a_fault(driver: Driver) -> None:
    """A fault with a duration is deleted by itself, but stays in the list: the index is stale."""
    await driver.execute("f1", driver.experiment("reviews"), ttl=1)
    await driver.reaches("f1", "Running")
    assert (await driver.faults("GET", "/f1")).json["data"]["ttlSec"] == "1"
    await driver.reaches("f1", "gone")
    assert (await driver.faults("GET", "")).json["data"] == ["f1"]
    assert (await driver.faults("GET", "/f1/exists")).json["data"] is False
    log = (await driver.admin("GET", "/log")).json
    assert [(e["kind"], e["service"], e["name"], e["reason"]) for e in log] == [("fault", "reviews", "f1", "ttl")]


async def test_old_timer_hits_a_new_fault_of_the_same_name(driver: Driver) -> None:
    """A manual deletion does not cancel the timer: it deletes whatever has the name when it fires."""
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
    """Nobody gets a 404 or 405 for a path that does not exist."""
    for answer in (await driver.faults("PUT", "/execute"), await driver.ask("GET", driver.at.faults + "/nowhere")):
        assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL_ERROR")

"""Analysis, replay and recordings keep the contract of section 3, quirks included."""

import asyncio

import aiohttp
import pytest

from lab import Lab, LabSettings, PortChoice, Topology
from tests.lab.driver import Driver, rule, until


async def test_analysis_records_the_whole_request(driver: Driver) -> None:
    """One request sent during COLLECTING_DATA gives one pattern per service, with all headers it was sent with."""
    headers = {"baggage": "holdfast=probe", "authorization": "Bearer x"}

    async def request() -> None:
        await driver.ask("GET", driver.at.entry + "/api/home?a=1", headers=headers)

    task = await driver.analyzed(request)
    assert task["status"] == "COMPLETED"
    assert (task["totalRecordedRequests"], task["analyzedServices"], task["execution_id"]) == (6, 6, 42)
    modes = {found["serviceName"]: found["requestMode"] for found in task["requestPatterns"]}
    assert {name: len(mode) for name, mode in modes.items()} == dict.fromkeys(driver.at.services, 1)
    entry, stock = modes["storefront"][0], modes["inventory"][0]
    assert entry["url"].startswith("http://storefront:")
    assert entry["url"].endswith("/api/home?a=1")
    assert entry["requestHeaders"]["authorization"] == "Bearer x"
    assert stock["requestHeaders"]["baggage"] == "holdfast=probe"
    assert (stock["responseStatus"], stock["responseBody"]) == (200, '{"stock": 17}')
    assert (await driver.state()).clean


async def test_states_come_in_order(driver: Driver) -> None:
    """A watched analysis passes through the contract's states, APPLYING_RULES twice."""
    task_id = (await driver.analyze(serviceList=["reviews"]))["taskId"]
    seen = ["INITIALIZING"]

    async def watch() -> bool:
        status = (await driver.task(task_id))["status"]
        if status != seen[-1]:
            seen.append(status)
            if status == "COLLECTING_DATA":
                await driver.home()
        return status == "COMPLETED"

    await until(watch, "COMPLETED", interval=0.001)
    assert seen == [
        "INITIALIZING",
        "APPLYING_RULES",
        "ROLLING_UPDATE",
        "APPLYING_RULES",
        "COLLECTING_DATA",
        "ANALYZING_PATTERNS",
        "COMPLETED",
    ]


async def test_patterns_are_distinct_and_sorted(driver: Driver) -> None:
    """Repeated requests give one pattern; patterns are sorted by method, then URL; other paths are not recorded."""

    async def request() -> None:
        for path in ("/api/reviews?b=2", "/api/reviews?a=1", "/api/reviews?a=1", "/other"):
            await driver.service("reviews", path)
        await driver.ask("DELETE", driver.at.services["reviews"] + "/api/reviews")

    task = await driver.analyzed(request, serviceList=["reviews"])
    patterns = task["requestPatterns"][0]["requestMode"]
    assert [(p["method"], p["url"].partition("/api")[2]) for p in patterns] == [
        ("DELETE", "/reviews"),
        ("GET", "/reviews?a=1"),
        ("GET", "/reviews?b=2"),
    ]


async def test_completed_does_not_mean_that_data_exists(driver: Driver) -> None:
    """A service that cannot be recorded is left out silently; one without traffic has no patterns."""

    async def nothing() -> None:
        return None

    task = await driver.analyzed(nothing, serviceList=["reviews", "nobody"])
    assert task["status"] == "COMPLETED"
    assert task["requestPatterns"] == [{"serviceName": "reviews", "requestMode": []}]


async def test_equal_analyze_calls_share_a_task(driver: Driver) -> None:
    """Within the dedupe time an equal call gets the first call's task, even for another execution."""
    first = await driver.analyze(serviceList=["reviews", "shipping"], execution_id=1)
    second = await driver.analyze(serviceList=["shipping", "reviews"], execution_id=2)
    other = await driver.analyze(serviceList=["inventory"], execution_id=2)
    assert second["taskId"] == first["taskId"]
    assert second["execution_id"] == 1
    assert other["taskId"] != first["taskId"]


@pytest.mark.parametrize("alias", ["execution_id", "excution_id", "record_id", "detection_task_id"])
async def test_execution_id_has_aliases(driver: Driver, alias: str) -> None:
    """The execution's id is accepted under each of its names and answered under the right one."""
    body = {"reqDefId": 1, "namespace": "shop", "serviceList": ["reviews"], alias: 7}
    answer = await driver.proxy("POST", "/api/request-patterns/analyze", body)
    assert answer.json["data"]["execution_id"] == 7


@pytest.mark.parametrize(
    "change",
    [{"serviceList": []}, {"namespace": " "}, {"surprise": 1}, {"reqDefId": None}, {"execution_id": None}],
)
async def test_invalid_analyze_is_a_400_envelope(driver: Driver, change: dict[str, object]) -> None:
    """Missing, empty and unknown properties are refused with HTTP 400 and code "400"."""
    body = {"reqDefId": 1, "namespace": "shop", "serviceList": ["reviews"], "execution_id": 1, **change}
    answer = await driver.proxy("POST", "/api/request-patterns/analyze", body)
    assert (answer.status, answer.json["success"], answer.json["error"]["code"]) == (400, False, "400")
    assert "data" not in answer.json


async def test_unknown_task_is_a_success(driver: Driver) -> None:
    """An unknown task id answers success with status NOT_FOUND; nulls are sent inside data."""
    answer = await driver.proxy("GET", "/api/request-patterns/tasks/task_1_x/details")
    assert (answer.status, answer.json["success"], answer.json["data"]["status"]) == (200, True, "NOT_FOUND")
    assert answer.json["data"]["requestPatterns"] is None
    assert "error" not in answer.json


async def test_stopping_a_task_stops_only_the_first_recording(driver: Driver) -> None:
    """Stop claims COMPLETED at once, leaves all recordings but one on, and is refused once the task is over."""
    await driver.misbehave(analysis_stalls=True)
    task_id = (await driver.analyze(serviceList=["reviews", "shipping"]))["taskId"]
    await driver.task_in(task_id, "COLLECTING_DATA")
    assert (await driver.proxy("POST", f"/api/request-patterns/tasks/{task_id}/stop")).json["success"] is True
    assert (await driver.task(task_id))["status"] == "COMPLETED"
    assert len((await driver.state()).recordings) == 1
    again = await driver.proxy("POST", f"/api/request-patterns/tasks/{task_id}/stop")
    assert (again.status, again.json["error"]["code"]) == (200, "400")


async def test_auto_trigger_sends_the_defined_request(driver: Driver) -> None:
    """With autoTriggerRequest the proxy itself sends the request that the lab was given under that id."""
    await driver.admin("PUT", "/request-definitions/9", {"path": "/api/home", "headers": {"baggage": "auto=1"}})
    task_id = (await driver.analyze(reqDefId=9, autoTriggerRequest=True))["taskId"]
    task = await driver.task_in(task_id, "COMPLETED")
    assert task["totalRecordedRequests"] == 6


async def test_recordings_stop_by_themselves(driver: Driver) -> None:
    """The duration of an analysis ends its recordings even where the analysis never does."""
    await driver.misbehave(analysis_stalls=True)
    task_id = (await driver.analyze(durationSec=1, serviceList=["reviews"]))["taskId"]
    await driver.task_in(task_id, "COLLECTING_DATA")

    async def clean() -> bool:
        return (await driver.state()).clean

    await until(clean, "the recording's end")
    assert (await driver.task(task_id))["status"] == "COLLECTING_DATA"


async def test_replay_of_a_healthy_service(driver: Driver) -> None:
    """A replay really sends the recorded request, headers included, and shows a random local port."""
    await driver.analyzed(lambda: driver.home("marker=1"))
    await driver.admin("POST", "/reset-counters")
    (replayed,) = await driver.replay("storefront")
    assert replayed["url"].startswith("http://localhost:")
    assert replayed["url"].endswith("/api/home")
    assert (replayed["statusCode"], replayed["errorMessage"]) == (200, None)
    assert replayed["responseHeaders"]["Content-Type"] == ["application/json"]
    assert (await driver.admin("GET", "/counters")).json["entry_baggage"] == {"marker=1": 1}


async def test_replay_hides_failures(driver: Driver) -> None:
    """4xx, 5xx, refused connections and timeouts all have status 0; only the message tells them apart."""
    await driver.analyzed(driver.home)
    await driver.inject("f1", "reviews")
    await driver.inject("f2", "shipping", "container jvm throwCustomException")
    (refused,), (thrown,) = await driver.replay("reviews"), await driver.replay("shipping")
    for replayed in (refused, thrown):
        assert (replayed["statusCode"], replayed["responseHeaders"], replayed["responseBody"]) == (0, {}, "")
    assert refused["errorMessage"] == f'I/O error on GET request for "{refused["url"]}": Connection refused'
    assert thrown["errorMessage"].startswith("500 Internal Server Error: ")


async def test_replay_times_out(shop: Topology) -> None:
    """A silent service is given up after the replay timeout."""
    settings = LabSettings(rollout=0.02, fault_start=0.02, fault_stop=0.02, collect_quiet=0.1, replay_timeout=0.2)
    async with Lab(shop, settings=settings, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        await driver.analyzed(driver.home)
        await driver.inject("f1", "reviews", "pod network loss", percent="100")
        (replayed,) = await driver.replay("reviews")
        assert replayed["errorMessage"] == f'I/O error on GET request for "{replayed["url"]}": Read timed out'


async def test_replay_encodes_paths_twice(driver: Driver) -> None:
    """A recorded percent-encoded path is encoded again, so that its replay fails where the original did not."""

    async def request() -> None:
        await driver.service("reviews", "/api/by%20name?q=%20")

    await driver.analyzed(request, serviceList=["reviews"])
    (replayed,) = await driver.replay("reviews")
    assert replayed["url"].endswith("/api/by%2520name?q=%20")
    assert replayed["errorMessage"].startswith("404 Not Found: ")


async def test_replay_without_patterns_is_an_empty_success(driver: Driver) -> None:
    """Nothing recorded for this execution: an empty array, not an error."""
    assert await driver.replay("reviews", execution_id=99) == []


async def test_replay_in_the_wrong_namespace_fails_with_200(driver: Driver) -> None:
    """A set-up error of a replay is HTTP 200, success false, code "500"."""
    await driver.analyzed(driver.home)
    body = {"execution_id": 42, "namespace": "elsewhere", "service_name": "reviews"}
    answer = await driver.proxy("POST", "/api/request-patterns/replay", body)
    assert (answer.status, answer.json["success"], answer.json["error"]["code"]) == (200, False, "500")
    assert answer.json["error"]["message"].startswith("Failed to replay: Replay failed: ")


async def test_sidecar_of_a_removed_app_answers_503(driver: Driver) -> None:
    """With a sidecar in place a removed container shows as upstream connect error, not as a closed socket."""
    body = {"namespace": "shop", "serviceName": "reviews", "rules": [{"path": "/api", "method": "GET"}]}
    recording = (await driver.proxy("POST", "/api/recordings/start", body)).json["data"]["recordingId"]
    await driver.inject("f1", "reviews")
    answer = await driver.service("reviews", "/api/reviews")
    assert answer.status == 503
    assert answer.text.startswith("upstream connect error")

    async def collected() -> list[int]:
        entries = (await driver.proxy("GET", f"/api/recordings/{recording}/entries")).json["data"]
        return [entry["status"] for entry in entries]

    assert await until(collected, "the entry") == [503]


async def test_a_recording_is_seen_and_stopped(driver: Driver) -> None:
    """Check and the details list show an active recording; starting and stopping each cost a rollout."""
    body = {"namespace": "shop", "serviceName": "reviews", "rules": [{"path": "/api", "method": "GET"}]}
    started = asyncio.ensure_future(driver.proxy("POST", "/api/recordings/start", body))

    async def rolling() -> bool:
        return not (await driver.state()).services["reviews"].ready

    await until(rolling, "a rollout")
    recording = (await started).json["data"]["recordingId"]
    state = (await driver.state()).services["reviews"]
    assert (state.target_port, state.sidecar) == (15006, True)
    check = await driver.proxy("GET", "/api/interceptions/check/shop/reviews")
    assert (check.json["data"]["isRecording"], check.json["data"]["recordingId"]) == (True, recording)
    (active,) = (await driver.proxy("GET", "/api/direct-tap/recordings/active/details")).json["data"]
    assert (active["status"], active["appPortOriginal"], active["envoyPort"]) == ("RECORDING", 8080, 15006)
    stopped = await driver.proxy("POST", f"/api/recordings/{recording}/stop")
    assert stopped.json["data"]["status"] == "STOPPED"
    assert (await driver.proxy("GET", f"/api/recordings/{recording}")).json["data"]["status"] == "STOPPED"
    check = await driver.proxy("GET", "/api/interceptions/check/shop/reviews")
    assert check.json["data"]["isRecording"] is False
    assert (await driver.state()).clean


async def test_recording_behind_rules_takes_15006_for_the_app(driver: Driver) -> None:
    """Analysis of a service with rules on forwards to itself: it breaks the service until somebody repairs it."""
    await driver.rules_on("r1x", rule("reviews"))
    task_id = (await driver.analyze(serviceList=["reviews"]))["taskId"]
    await driver.task_in(task_id, "COLLECTING_DATA")
    assert (await driver.service("reviews", "/api/reviews")).status == 503
    await driver.task_in(task_id, "COMPLETED")
    assert (await driver.state()).services["reviews"].target_port == 15006


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/nowhere"), ("PUT", "/api/request-patterns/analyze"), ("GET", "/api/fixtures/upsert")],
)
async def test_unknown_paths_are_500(driver: Driver, method: str, path: str) -> None:
    """An unknown path or a wrong method is HTTP 500 with code "500"."""
    answer = await driver.proxy(method, path)
    assert (answer.status, answer.json["error"]["code"]) == (500, "500")


async def test_health_endpoints(driver: Driver) -> None:
    """Every peer says that it is up."""
    assert (await driver.proxy("GET", "/api/request-patterns/health")).json["data"]["redis"] == "UP"
    assert (await driver.proxy("GET", "/api/fixtures/health")).json["status"] == "UP"
    assert (await driver.faults("GET", "/health")).json["data"]["status"] == "UP"


async def test_unreadable_json(driver: Driver) -> None:
    """The proxy tells unreadable JSON with a 400 envelope, the fault service with a 500."""
    for path in ("/api/request-patterns/analyze", "/api/request-patterns/replay", "/api/fixtures/upsert"):
        answer = await driver.proxy("POST", path, data="{", headers={"content-type": "application/json"})
        assert (answer.status, answer.json["error"]["code"]) == (400, "400")
    answer = await driver.faults("POST", "/execute", data="{", headers={"content-type": "application/json"})
    assert (answer.status, answer.json["error"]) == (500, {"code": "RUNTIME_ERROR", "message": "Internal server error"})

"""Fixtures act on real traffic as in the contract's section 3.3, quirks included."""

import asyncio

import aiohttp
import pytest

from tests.support.lab.driver import Driver, Json, rule, until

CONSTANT = '{"status":0,"msg":"Service temporarily unavailable due to interception rule","data":null}'


async def reviews(driver: Driver, baggage: str | None, path: str = "/api/reviews") -> int:
    return (await driver.service("reviews", path, baggage)).status


async def test_upsert_answers_bare_json_with_local_time_marked_as_utc(driver: Driver) -> None:
    """The answer has no envelope, and counts items, not services."""
    answer = await driver.upsert("r1x", rule("reviews"), rule("reviews", method="POST"))
    assert set(answer.json) == {"upserted", "expiresAt"}
    assert answer.json["upserted"] == 2
    assert answer.json["expiresAt"].endswith("Z")


async def test_rules_act_after_the_rollout(driver: Driver) -> None:
    """During the rollout the service is not ready and its old pods answer; afterwards the rule answers."""
    await driver.upsert("r1x", rule("reviews"))
    assert (await driver.service("reviews", "/health")).status == 503
    assert await reviews(driver, "chaos.reviews=1") == 200
    await driver.ready()
    assert await reviews(driver, "chaos.reviews=1") == 503


@pytest.mark.parametrize(
    ("baggage", "path", "hit"),
    [
        ("chaos.reviews=1", "/api/reviews", True),
        ("a=b,chaos.reviews=1,c=d", "/api/reviews?limit=3", True),
        ("chaos.reviews=12", "/api/reviews", True),
        (None, "/api/reviews", False),
        ("chaos.shipping=1", "/api/reviews", False),
        ("chaos.reviews=1", "/api/reviews/", False),
    ],
)
async def test_a_single_token_matches_as_a_substring_of_the_header(
    driver: Driver, baggage: str | None, path: str, hit: bool
) -> None:
    """The path must be equal, without its query."""
    await driver.rules_on("r1x", rule("reviews"))
    assert (await reviews(driver, baggage, path) == 503) is hit


@pytest.mark.parametrize(
    ("baggage", "hit"), [("t.a=1", True), ("t.b=1", True), ("t.a=1,t.b=1", False), ("tXa=1", False)]
)
async def test_several_tokens_match_only_a_header_equal_to_one_of_them(driver: Driver, baggage: str, hit: bool) -> None:
    await driver.rules_on("r1x", rule("reviews", baggageTokens=["t.a=1", "t.b=1"]))
    assert (await reviews(driver, baggage) == 503) is hit


async def test_paths_are_compared_as_on_the_wire(driver: Driver) -> None:
    """An encoded path matches an encoded path; a decoded path in a rule never matches."""
    encoded = rule("reviews", path="/api/by%20name", baggageTokens=["enc=1"])
    decoded = rule("reviews", path="/api/by name", baggageTokens=["dec=1"])
    await driver.rules_on("r1x", encoded, decoded, rule("reviews", path="/api/a=b", baggageTokens=["esc=1"]))
    assert await reviews(driver, "enc=1", "/api/by%20name") == 503
    assert await reviews(driver, "dec=1", "/api/by%20name") == 404
    assert await reviews(driver, "esc=1", "/api/a=b") == 404  # HTML-escaped when rendered


async def test_method_must_match_and_the_first_rule_wins(driver: Driver) -> None:
    """Rules are tried in the order of the list, and each only for its own method."""
    await driver.rules_on(
        "r1x",
        rule("reviews", method="POST", respStatus=501),
        rule("reviews", method="get", respStatus=502),
        rule("reviews", respStatus=504),
    )
    assert await reviews(driver, "chaos.reviews=1") == 502


@pytest.mark.parametrize(("sent", "seen"), [(0, 500), (101, 500), (200, 200), (418, 418), (599, 599), (600, 500)])
async def test_status_outside_200_to_599_becomes_500(driver: Driver, sent: int, seen: int) -> None:
    """A status that Envoy would not send is replaced by 500."""
    await driver.rules_on("r1x", rule("reviews", respStatus=sent))
    assert await reviews(driver, "chaos.reviews=1") == seen


async def test_empty_body_becomes_the_constant_and_headers_are_dropped(driver: Driver) -> None:
    """Among headers only content-type is honoured; an empty body is replaced."""
    await driver.rules_on(
        "r1x",
        rule("reviews", respBody="  ", respHeaders={"X-Extra": ["1"]}),
        rule(
            "shipping",
            respBody=" sorry ",
            respHeaders={"Content-Type": ["text/plain", "text/html"], "retry-after": ["1"]},
        ),
    )
    empty = await driver.service("reviews", "/api/reviews", "chaos.reviews=1")
    assert (empty.text, empty.headers["content-type"]) == (CONSTANT, "application/json;charset=UTF-8")
    assert "x-extra" not in empty.headers
    text = await driver.service("shipping", "/api/shipping/estimate", "chaos.shipping=1")
    assert (text.text, text.headers["content-type"]) == ("sorry", "text/plain")
    assert "retry-after" not in text.headers


async def test_newline_in_a_body_breaks_the_service(driver: Driver) -> None:
    """A body of two lines breaks the sidecar's configuration: all traffic is 503 until the rules are removed."""
    await driver.upsert("r1x", rule("reviews", respBody="{\n}"))

    async def broken() -> bool:
        return await reviews(driver, None) == 503

    await until(broken, "a broken service")
    assert (await driver.service("reviews", "/health")).status == 503
    await driver.proxy("DELETE", "/api/fixtures/record/r1x")
    await driver.ready()
    assert await reviews(driver, None) == 200


async def test_upsert_over_rules_makes_a_self_loop(driver: Driver) -> None:
    """A second upsert takes 15006 for the app: other traffic is 503, and after a deletion the Service leads nowhere."""
    await driver.rules_on("r1x", rule("reviews"))
    await driver.rules_on("r2x", rule("reviews", respStatus=418))
    assert await reviews(driver, "chaos.reviews=1") == 418
    assert await reviews(driver, None) == 503
    assert (await driver.service("reviews", "/health")).status == 503
    await driver.proxy("DELETE", "/api/fixtures/record/r2x")
    assert (await driver.state()).services["reviews"].target_port == 15006
    with pytest.raises(aiohttp.ClientConnectorError):
        await reviews(driver, None)
    assert (await driver.state()).clean is False
    await driver.proxy("DELETE", "/api/fixtures/record/r1x")
    assert await reviews(driver, None) == 200


async def test_the_status_is_found_by_exact_id_or_by_prefix(driver: Driver) -> None:
    """An exact session id describes one session. Anything else is a plain string prefix: 1 finds 10."""
    await driver.upsert("10", rule("reviews"), rule("shipping"))
    exact = (await driver.proxy("GET", "/api/fixtures/record/10-reviews/status")).json
    assert (exact["exists"], exact["serviceName"], exact["status"]) == (True, "reviews", "RECORDING")
    assert exact["configMap"] == "envoy-fi-reviews"
    prefix = (await driver.proxy("GET", "/api/fixtures/record/1/status")).json
    assert [match["id"] for match in prefix["matches"]] == ["10-reviews", "10-shipping"]
    absent = (await driver.proxy("GET", "/api/fixtures/record/2/status")).json
    assert absent == {"recordId": "2", "exists": False, "matches": []}


async def test_delete_always_claims_success(driver: Driver) -> None:
    """DELETE answers deleted:true for a record that never existed, and a prefix deletes more than intended."""
    answer = await driver.proxy("DELETE", "/api/fixtures/record/7")
    assert (answer.status, answer.json) == (200, {"deleted": True, "recordId": "7"})
    await driver.upsert("12", rule("reviews"))
    await driver.proxy("DELETE", "/api/fixtures/record/1")
    assert (await driver.state()).rules == []
    await driver.ready()
    assert (await driver.state()).clean


async def test_ttl_ends_rules_at_the_first_deadline(driver: Driver) -> None:
    """Rules end by themselves, and an upsert under the same id does not extend their time."""
    await driver.rules_on("r1x", rule("reviews"), ttl=3)
    await driver.upsert("r1x", rule("reviews"), ttl=60)

    async def ended() -> bool:
        log = (await driver.admin("GET", "/log")).json
        return [entry["reason"] for entry in log] == ["ttl", "ttl"]

    await until(ended, "the end of the rules", deadline=30)
    assert not (await driver.state()).rules


async def test_restart_of_the_proxy_loses_timers(driver: Driver) -> None:
    """After a restart rules outlive their TTL, but can still be deleted."""
    await driver.upsert("r1x", rule("reviews"), ttl=1)
    await driver.admin("POST", "/restart/proxy")
    await asyncio.sleep(1.2)
    assert (await driver.state()).rules == ["r1x-reviews"]
    await driver.proxy("DELETE", "/api/fixtures/record/r1x")
    assert (await driver.state()).rules == []


async def test_failing_upsert_leaves_earlier_services_intercepted(driver: Driver) -> None:
    """An unknown service is a 500 with an empty body; services before it keep their rules."""
    answer = await driver.upsert("r1x", rule("reviews"), rule("reviews", serviceName="nobody"), rule("shipping"))
    assert (answer.status, answer.text) == (500, "")
    assert (await driver.state()).rules == ["r1x-reviews"]


@pytest.mark.parametrize(
    ("change", "status", "empty"),
    [
        ({"namespace": ""}, 400, True),
        ({"items": []}, 400, False),
        ({"ttlSec": 0}, 400, False),
        ({"surprise": 1}, 400, False),
        ({"items": [{**rule("reviews"), "respBody": None}]}, 400, False),
        ({"items": [{**rule("reviews"), "baggageTokens": []}]}, 400, False),
    ],
)
async def test_invalid_upserts_are_400(driver: Driver, change: Json, status: int, empty: bool) -> None:
    """Validation errors have an envelope; a blank namespace is a 400 with an empty body."""
    body = {"namespace": "shop", "recordId": "r1x", "ttlSec": 60, "items": [rule("reviews")], **change}
    answer = await driver.proxy("POST", "/api/fixtures/upsert", body)
    assert answer.status == status
    assert (answer.text == "") is empty
    if not empty:
        assert answer.json["error"]["code"] == "400"


async def test_rules_show_in_every_probe(driver: Driver) -> None:
    """The check, the list of interceptions and the recordings all show active rules."""
    await driver.upsert("r1x", rule("reviews"))
    check = (await driver.proxy("GET", "/api/interceptions/check/shop/reviews")).json["data"]
    assert (check["isRecording"], check["recordingId"]) == (True, "r1x-reviews")
    (active,) = (await driver.proxy("GET", "/api/interceptions/active")).json["data"]
    assert (active["sessionId"], active["serviceName"]) == ("r1x-reviews", "reviews")
    (details,) = (await driver.proxy("GET", "/api/direct-tap/recordings/active/details")).json["data"]
    assert details["recordingId"] == "r1x-reviews"

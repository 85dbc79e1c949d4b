"""The peers misbehave exactly as instructed, and then behave again."""

import aiohttp
import pytest

from lab.misbehaviour.broken_answers import FLOOD
from tests.support.lab.driver import Driver, rule, until

QUICK = aiohttp.ClientTimeout(total=0.2)


async def test_act_then_drop_acts(driver: Driver) -> None:
    """The fault is created although the answer is lost, and the next call is normal."""
    await driver.misbehave({"endpoint": "execute", "nth": 1, "action": "act_then_drop"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await driver.execute("f1", driver.experiment("reviews"))
    await driver.reaches("f1", "Running")
    assert (await driver.execute("f2", driver.experiment("shipping"))).status == 200


async def test_act_then_500_acts_and_refuse_500_does_not(driver: Driver) -> None:
    """The answers are equal, the effects are not. A fixture endpoint's 500 has an empty body."""
    await driver.misbehave(
        {"endpoint": "upsert", "nth": 1, "action": "act_then_500"},
        {"endpoint": "upsert", "nth": 2, "action": "refuse_500"},
    )
    for record_id, service in (("a", "reviews"), ("b", "shipping")):
        answer = await driver.upsert(record_id, rule(service))
        assert (answer.status, answer.text) == (500, "")
    assert (await driver.state()).rules == ["a-reviews"]


async def test_lying_creations_create_nothing(driver: Driver) -> None:
    """The answer has the endpoint's own shape, and nothing is active."""
    await driver.misbehave({"endpoint": "upsert", "action": "lie"}, {"endpoint": "execute", "action": "lie"})
    assert (await driver.upsert("r1x", rule("reviews"))).json["upserted"] == 1
    assert (await driver.execute("f1", driver.experiment("reviews"))).json["data"]["bladeName"] == "f1"
    assert (await driver.state()).clean


async def test_lying_deletions_leave_faults_and_rules_active(driver: Driver) -> None:
    """The answer looks like that of a real deletion."""
    await driver.inject("f1", "shipping")
    await driver.upsert("r1x", rule("reviews"))
    await driver.misbehave(
        {"endpoint": "fault_delete", "action": "lie"}, {"endpoint": "fixture_delete", "action": "lie"}
    )
    assert (await driver.faults("DELETE", "/f1")).json["data"] == "Fault stopped successfully: f1"
    assert (await driver.proxy("DELETE", "/api/fixtures/record/r1x")).json["deleted"] is True
    state = await driver.state()
    assert (state.faults, state.rules) == ({"f1": "Running"}, ["r1x-reviews"])


async def test_hanging_calls_time_out_and_dropped_calls_lose_their_connection(driver: Driver) -> None:
    """A hanging endpoint sends nothing until the client gives up; a dropped connection closes at once."""
    await driver.misbehave({"endpoint": "replay", "action": "hang"}, {"endpoint": "check", "action": "drop"})
    body = {"execution_id": 1, "namespace": "shop", "service_name": "reviews"}
    with pytest.raises(TimeoutError):
        await driver.proxy("POST", "/api/request-patterns/replay", body, timeout=QUICK)
    with pytest.raises(aiohttp.ClientConnectionError):
        await driver.proxy("GET", "/api/interceptions/check/shop/reviews")


async def test_an_answer_can_be_garbage_slow_or_replaced(driver: Driver) -> None:
    replaced = {"success": False, "error": {"code": "500", "message": "no"}}
    await driver.misbehave(
        {"endpoint": "fault_status", "action": "garbage"},
        {"endpoint": "fault_list", "action": "slow", "seconds": 0.2},
        {"endpoint": "analyze_status", "action": "replace", "status": 200, "body": replaced},
    )
    garbage = await driver.faults("GET", "/f1/status")
    assert (garbage.status, garbage.json) == (200, None)
    assert (await driver.faults("GET", "")).seconds >= 0.2
    assert (await driver.proxy("GET", "/api/request-patterns/tasks/x")).json == replaced


async def test_calls_with_truncated_or_endless_answers_take_effect(driver: Driver) -> None:
    """The answer breaks off in the middle, or goes on for longer than anybody listens."""
    await driver.misbehave(
        {"endpoint": "execute", "action": "act_then_truncate"}, {"endpoint": "upsert", "action": "act_then_flood"}
    )
    with pytest.raises(aiohttp.ClientPayloadError):
        await driver.execute("f1", driver.experiment("reviews"))
    flood = await driver.upsert("r1x", rule("shipping"))
    assert len(flood.text) == FLOOD
    state = await driver.state()
    assert (list(state.faults), state.rules) == (["f1"], ["r1x-shipping"])


async def test_contains_narrows_an_instruction(driver: Driver) -> None:
    """An instruction can apply to one service only, and counts only the calls that it applies to."""
    await driver.misbehave({"endpoint": "execute", "action": "refuse_500", "nth": 1, "contains": "reviews"})
    assert (await driver.execute("f1", driver.experiment("shipping"))).status == 200
    assert (await driver.execute("f2", driver.experiment("reviews"))).status == 500
    assert (await driver.execute("f2", driver.experiment("reviews"))).status == 200


async def test_analysis_can_fail(driver: Driver) -> None:
    """It ends FAILED with the given message, and leaves its recordings active."""
    await driver.misbehave(analysis_fails="no luck")
    task = await driver.analyzed(driver.home)
    assert (task["status"], task["message"]) == ("FAILED", "no luck")
    assert len((await driver.state()).recordings) == 6


async def test_analysis_can_find_nothing_in_a_service(driver: Driver) -> None:
    """It ends COMPLETED, with nothing for a service that had traffic."""
    await driver.misbehave(analysis_no_patterns_for=["reviews"])
    task = await driver.analyzed(driver.home)
    empty = [found["serviceName"] for found in task["requestPatterns"] if not found["requestMode"]]
    assert (task["status"], empty) == ("COMPLETED", ["reviews"])
    assert await driver.replay("reviews") == []


async def test_deleting_the_instructions_ends_all_misbehaviour(driver: Driver) -> None:
    """Unknown instructions are refused."""
    await driver.misbehave({"endpoint": "execute", "action": "refuse_500"})
    assert (await driver.execute("f1", driver.experiment("reviews"))).status == 500
    await driver.admin("DELETE", "/misbehave")
    assert (await driver.execute("f1", driver.experiment("reviews"))).status == 200
    bad = await driver.admin("POST", "/misbehave", {"instructions": [{"endpoint": "nothing", "action": "lie"}]})
    assert bad.status == 400


async def test_the_log_keeps_everything_that_was_active(driver: Driver) -> None:
    """Each entry has both times and the reason of its end."""
    await driver.inject("f1", "reviews")
    await driver.recover("f1")
    await driver.upsert("r1x", rule("shipping"))

    async def entries() -> list[dict[str, object]]:
        return (await driver.admin("GET", "/log")).json

    fault, rules = await until(entries, "log entries")
    assert (fault["kind"], fault["name"], fault["reason"]) == ("fault", "f1", "deleted by call")
    assert fault["off_at"]["monotonic"] > fault["on_at"]["monotonic"]
    assert (rules["kind"], rules["service"], rules["off_at"]) == ("rules", "shipping", None)

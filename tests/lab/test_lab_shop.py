"""The shop answers, survives any one failure, and has its planted weaknesses."""

import asyncio
import itertools

import pytest

from tests.lab.driver import PATHS, Driver, rule

SERVICES = sorted(PATHS)


async def test_home_is_composed_of_all_services(driver: Driver) -> None:
    """Healthy, the entry's answer carries what each service behind it said, and no fallback."""
    answer = await driver.home()
    assert answer.status == 200
    assert set(answer.json) == {"page", "title", "recommendations", "bestsellers", "reviews", "shipping"}
    assert answer.json["recommendations"]["inventory"] == {"stock": 17}
    assert "fallback" not in answer.text


@pytest.mark.parametrize("service", SERVICES)
async def test_no_single_rule_breaks_the_entry(driver: Driver, service: str) -> None:
    """With any one service answering by rule, the entry still answers 200, with a fallback in place."""
    await driver.rules_on("r1x", *(rule(name) for name in SERVICES))
    answer = await driver.home(f"chaos.{service}=1")
    assert answer.status == 200
    assert '"source": "fallback"' in answer.text


async def test_error_pair_by_rules(driver: Driver) -> None:
    """By rules of healthy traffic only these two together make the entry fail, and the error names them."""
    await driver.rules_on("r1x", *(rule(name) for name in SERVICES))
    pairs = list(itertools.combinations(SERVICES, 2))
    answers = await asyncio.gather(*(driver.home(",".join(f"chaos.{name}=1" for name in pair)) for pair in pairs))
    broken = {pair: answer.json for pair, answer in zip(pairs, answers, strict=True) if answer.status != 200}
    assert list(broken) == [("bestsellers", "recommendations")]
    assert broken["bestsellers", "recommendations"]["dependency"] == "recommendations|bestsellers"


async def test_latency_pair_by_rules(driver: Driver) -> None:
    """Reviews and shipping each cost one backoff of 300 ms; together they cost two."""
    await driver.rules_on("r1x", rule("reviews"), rule("shipping"))
    healthy = (await driver.home()).seconds
    reviews = (await driver.home("chaos.reviews=1")).seconds
    shipping = (await driver.home("chaos.shipping=1")).seconds
    both = await driver.home("chaos.reviews=1,chaos.shipping=1")
    assert both.status == 200
    assert healthy < 0.3
    assert 0.3 <= reviews < 0.6
    assert 0.3 <= shipping < 0.6
    assert both.seconds >= 0.6


async def test_error_pair_by_real_faults(driver: Driver) -> None:
    """Removing both containers breaks the entry, removing one does not, and recovery heals it."""
    await driver.inject("f1", "recommendations")
    assert (await driver.home()).status == 200
    await driver.inject("f2", "bestsellers")
    assert (await driver.home()).status == 503
    await driver.recover("f1")
    await driver.recover("f2")
    answer = await driver.home()
    assert answer.status == 200
    assert "fallback" not in answer.text


async def test_latency_pair_by_real_faults(driver: Driver) -> None:
    """Removed containers cost the same backoffs as rules do, which is what makes rules a stand-in."""
    await driver.inject("f1", "reviews")
    assert 0.3 <= (await driver.home()).seconds < 0.6
    await driver.inject("f2", "shipping")
    assert (await driver.home()).seconds >= 0.6


@pytest.mark.parametrize("service", SERVICES)
async def test_no_single_silent_service_breaks_the_entry(driver: Driver, service: str) -> None:
    """A service that loses every packet runs into its callers' timeouts, which the entry survives."""
    await driver.inject("f1", service, "pod network loss", percent="100")
    assert (await driver.home()).status == 200


async def test_counters_tell_who_was_asked(driver: Driver) -> None:
    """Counters separate what an app received from what its sidecar answered, and count baggage at the entry."""
    await driver.rules_on("r1x", rule("reviews"))
    await driver.admin("POST", "/reset-counters")
    await driver.home("chaos.reviews=1")
    await driver.home()
    counters = (await driver.admin("GET", "/counters")).json
    assert counters["services"]["reviews"] == {"requests": {"GET /api/reviews": 1}, "intercepted": 2}
    assert counters["services"]["storefront"]["requests"] == {"GET /api/home": 2}
    assert counters["entry_baggage"] == {"chaos.reviews=1": 1, "": 1}

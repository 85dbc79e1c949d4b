"""The second system has train-ticket's names and edges, and its description shows which cases must fail."""

from __future__ import annotations

import json
from itertools import combinations

import aiohttp
import pytest
import yaml

from lab import Lab, LabSettings, PortChoice, Topology, load_topology
from tests.support.lab.driver import Driver
from tests.support.lab.forecast import Forecast
from tests.support.lab.planted import ERROR_PAIRS, FATAL, PAIRS, SLOW_PAIRS, failing_cases
from tests.support.paths import EXAMPLES, SHARED

GRAPH = SHARED / "train-ticket" / "service-dependency-graph.json"
OURS = ("ts-food-service", "ts-delivery-service")
"""A message over a queue in the original, a call here."""
PATIENCE = 0.9
"""Seconds that a request can afford to wait: the plan's p95 of 1 s less the time of the healthy system."""


@pytest.fixture(scope="module")
def topology() -> Topology:
    return load_topology(EXAMPLES / "train-ticket-topology.yaml")


@pytest.fixture(scope="module")
def services(topology: Topology) -> list[str]:
    return [service.name for service in topology.services if service.name != topology.entry]


@pytest.mark.skipif(not GRAPH.exists(), reason="the original's graph is not beside this checkout")
def test_names_and_edges_are_those_of_train_ticket(topology: Topology) -> None:
    """Nineteen services call each other as in the recorded graph. One further edge is a queue in the original."""
    graph = json.loads(GRAPH.read_text(encoding="utf-8"))
    edges = {(service.name, call.service) for service in topology.services for call in service.calls}
    assert {service.name for service in topology.services} == {node["service"] for node in graph["nodes"]}
    assert edges == {(edge["source"], edge["target"]) for edge in graph["edges"]} | {OURS}
    assert len(edges) == 27


def test_fallbacks_add_no_edge(topology: Topology) -> None:
    """A fallback service is called on the same path anyway, and hence its failure is captured there too."""
    for service in topology.services:
        called = {(call.service, call.method, call.path) for call in service.calls}
        for call in service.calls:
            if call.fallback_service is not None:
                assert (call.fallback_service, call.method, call.fallback_path) in called


def test_the_plan_fits_the_topology(topology: Topology, services: list[str]) -> None:
    """All services but the entry are under test, at the addresses that the lab prefers."""
    plan = yaml.safe_load((EXAMPLES / "train-ticket.yaml").read_text(encoding="utf-8"))
    addresses = {service.name: f"http://127.0.0.1:{service.port}" for service in topology.services}
    assert plan["system"]["services"] == addresses
    assert plan["system"]["namespace"] == topology.namespace
    assert [planned["name"] for planned in plan["services"]] == services
    assert plan["request"]["url"].startswith(addresses[topology.entry] + "/")
    assert {str(planned["fault"]) for planned in plan["services"]} == {"remove", "error", "{'delay': '5s'}"}


def test_the_description_predicts_exactly_the_planted_failures(topology: Topology, services: list[str]) -> None:
    """Of 172 cases 27 must fail, because one service and nine pairs are fatal."""
    forecast = Forecast(topology)
    failing = forecast.failing_cases(services, PATIENCE)
    assert forecast.outcome(()) == (True, 0)
    assert failing == failing_cases(services, FATAL, PAIRS)
    assert forecast.weak_pairs(services, PATIENCE) == PAIRS
    assert len(failing) == 27
    errors = {pair for pair in combinations(sorted(services), 2) if not forecast.outcome(pair).ok}
    assert {pair for pair in errors if not FATAL.intersection(pair)} == ERROR_PAIRS
    assert all(forecast.outcome(pair) == (True, 1.2) for pair in SLOW_PAIRS)


async def test_one_request_reaches_every_service(topology: Topology, settings: LabSettings) -> None:
    """Its baggage arrives in every service, which an analysis needs."""
    async with Lab(topology, settings=settings, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        url = f"{lab.addresses.entry}/api/v1/preserveservice/preserve"
        task = await driver.analyzed(lambda: driver.ask("POST", url, {"seat": 2}, headers={"baggage": "mark=1"}))
    recorded = {entry["serviceName"]: entry["requestMode"] for entry in task["requestPatterns"]}
    assert set(recorded) == {service.name for service in topology.services}
    for service, patterns in recorded.items():
        assert patterns, service
        assert {pattern["requestHeaders"]["baggage"] for pattern in patterns} == {"mark=1"}
        assert {pattern["responseStatus"] for pattern in patterns} == {200}

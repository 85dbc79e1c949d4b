"""Generated systems match the request whatever the seed, and are exactly as weak as they report."""

from __future__ import annotations

import resource
from itertools import combinations

import aiohttp
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lab import Lab, LabSettings, PortChoice, Topology
from lab.generated.generate import FEWEST, MOST, Generated, generate_topology, parse_shape
from lab.generated.graphs import Shape
from lab.generated.planting import Weakness
from tests.support.lab.driver import Driver
from tests.support.lab.forecast import Forecast

SHAPES = st.sampled_from(list(Shape))
SEEDS = st.integers(0, 2**64)


def calls_of(topology: Topology) -> list[tuple[str, str, bool]]:
    """Every call: its caller, its callee, and whether the callee answers without further calls."""
    leaf = {(service.name, route.path): route.leaf for service in topology.services for route in service.routes}
    return [
        (service.name, call.service, leaf[call.service, call.path])
        for service in topology.services
        for call in service.calls
    ]


@hypothesis_settings(max_examples=60, deadline=None)
@given(shape=SHAPES, services=st.integers(FEWEST, MOST), seed=SEEDS)
def test_every_generated_system_is_sound(shape: Shape, services: int, seed: int) -> None:
    """It has as many services as requested. The entry reaches each of them, and none calls itself through others."""
    topology = generate_topology(shape, services, seed).topology
    names = [service.name for service in topology.services]
    calls = calls_of(topology)
    assert len(names) == services
    reached = {topology.entry}
    for caller, called, _ in calls:  # Callers come before their callees, which also excludes cycles.
        assert caller in reached
        assert names.index(caller) < names.index(called)
        reached.add(called)
    assert reached == set(names)
    assert len({(caller, called) for caller, called, _ in calls}) == len(calls)


@hypothesis_settings(max_examples=60, deadline=None)
@given(shape=SHAPES, services=st.integers(FEWEST, MOST), seed=SEEDS)
def test_a_request_asks_each_service_for_its_whole_answer_once(shape: Shape, services: int, seed: int) -> None:
    """However many layers there are, a request must not multiply: it would take minutes, not milliseconds."""
    whole = [called for _, called, leaf in calls_of(generate_topology(shape, services, seed).topology) if not leaf]
    assert len(whole) == len(set(whole)) == services - 1


@hypothesis_settings(max_examples=20, deadline=None)
@given(shape=SHAPES, services=st.integers(FEWEST, MOST), seed=SEEDS, weaknesses=st.integers(0, 6))
def test_the_same_seed_gives_the_same_system(shape: Shape, services: int, seed: int, weaknesses: int) -> None:
    """A system depends on nothing but these arguments."""
    first = generate_topology(shape, services, seed, weaknesses=weaknesses)
    assert first == generate_topology(shape, services, seed, weaknesses=weaknesses)


@hypothesis_settings(max_examples=60, deadline=None)
@given(shape=SHAPES, services=st.integers(FEWEST, 40), seed=SEEDS, weaknesses=st.integers(0, 6))
def test_a_system_has_no_weaknesses_but_the_planted_ones(
    shape: Shape, services: int, seed: int, weaknesses: int
) -> None:
    """The report names each pair and single service whose failure the entry does not survive, and nothing else."""
    generated = generate_topology(shape, services, seed, weaknesses=weaknesses)
    assert len(generated.planted) <= weaknesses
    names = [service.name for service in generated.topology.services[1:]]
    assert Forecast(generated.topology).failing_cases(names, patience(generated)) == failing(generated, names)


@pytest.mark.parametrize("shape", [Shape.TREE, Shape.STAR, Shape.LAYERED])
def test_twenty_services_have_room_for_each_weakness_of_a_pair(shape: Shape) -> None:
    """Three weaknesses are planted by default, each with a different cause."""
    kinds = [planted.kind for planted in generate_topology(shape, 20, seed=7).planted]
    assert sorted(kinds) == sorted([Weakness.NEITHER, Weakness.SLOW, Weakness.FALLBACK])


def test_a_chain_has_no_weak_pairs() -> None:
    """Nothing is called behind a service that fails, so a chain can only have weaknesses of single services."""
    assert [planted.kind for planted in generate_topology(Shape.CHAIN, 20, seed=7).planted] == [Weakness.FATAL]


def test_different_seeds_give_different_systems() -> None:
    assert generate_topology(Shape.TREE, 30, 1) != generate_topology(Shape.TREE, 30, 2)


@pytest.mark.parametrize("services", [-1, 0, 4, 201])
def test_impossible_sizes_are_refused(services: int) -> None:
    """The message gives the sizes that are possible."""
    with pytest.raises(ValueError, match="has 5 to 200"):
        generate_topology(Shape.STAR, services, 1)


@pytest.mark.parametrize("text", ["", "layered", "layered:", "ring:5", "tree:x", "tree:-5", ":5", "Tree:5", "tree:5:7"])
def test_a_malformed_shape_is_refused(text: str) -> None:
    """The message gives an example and the names of the shapes."""
    with pytest.raises(ValueError, match="like layered:20; the shapes are chain, tree, star, layered"):
        parse_shape(text)
    assert parse_shape("tree:17") == (Shape.TREE, 17)


@pytest.mark.parametrize("shape", list(Shape))
async def test_a_single_request_reaches_all_two_hundred_services(shape: Shape, settings: LabSettings) -> None:
    """In the largest system, started on free ports."""
    topology = generate_topology(shape, MOST, seed=7).topology
    async with Lab(topology, settings=settings, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        answer = await driver.service("entry", "/api/entry", "m=1", timeout=aiohttp.ClientTimeout(total=60))
        counters = (await driver.admin("GET", "/counters")).json["services"]
    assert answer.status == 200
    assert "fallback" not in answer.text
    assert all(counters[service.name]["requests"] for service in topology.services)


async def test_the_largest_system_starts_despite_a_low_limit_of_open_files(settings: LabSettings) -> None:
    """Many machines begin with a limit of 1,024 open files or less, too few for two hundred services."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        async with Lab(
            generate_topology(Shape.STAR, MOST, 7).topology, settings=settings, ports=PortChoice.FREE
        ) as lab:
            assert all(service.ready for service in lab.state().services.values())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def patience(generated: Generated) -> float:
    """Return a time limit between one pause and two."""
    pauses = [call.backoff for service in generated.topology.services for call in service.calls]
    return 1.5 * max(pauses, default=0.0)


def failing(generated: Generated, names: list[str]) -> set[str]:
    """Return every case that fails according to the report. A fatal service takes all its pairs with it."""
    cases = {case for planted in generated.planted for case in planted.cases}
    fatal = {case[0] for case in cases if len(case) == 1}
    return {"+".join(case) for case in cases} | {"+".join(pair) for pair in combinations(names, 2) if fatal & {*pair}}

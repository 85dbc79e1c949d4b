"""Weaknesses in calls that healthy traffic never makes: planted as reported, and real when services break."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import combinations, cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lab import Broken, Lab, LabSettings, PortChoice, load_topology
from lab.generated.generate import FEWEST, Generated, generate_topology, parse_kinds
from lab.generated.graphs import Shape
from lab.generated.planting import CLASSIC, Planted, Weakness
from lab.generated.written import topology_text
from lab.topology import FailureKind
from tests.support.lab.forecast import Forecast

SHAPES = st.sampled_from(list(Shape))
SEEDS = st.integers(0, 2**64)
RARE = sorted(set(Weakness) - CLASSIC)
SETTINGS = LabSettings(rollout=0.02, fault_start=0.02, fault_stop=0.02)
FAILURES = {Broken.REMOVE: FailureKind.NO_ANSWER, Broken.ERROR: FailureKind.STATUS}
DIGEST = "108af9044291718188c8a1c0b80cb0f2d6ee3ba1b0119486db4dbce19c3446a2"
"""Digest of forty systems as the generator of release 1.0 made them."""


def names_of(generated: Generated) -> list[str]:
    return [service.name for service in generated.topology.services[1:]]


def cases(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Each service alone, and each pair."""
    listed = sorted(names)
    return [*((name,) for name in listed), *combinations(listed, 2)]


def reported(planted: Iterable[Planted], broken: Mapping[str, Broken]) -> bool:
    """Return whether the entry fails, by the report, while these services are broken in these ways."""
    return any(
        all(name in broken and weakness.only in {FailureKind.ANY, FAILURES[broken[name]]} for name in case)
        for weakness in planted
        for case in weakness.cases
    )


def patience(generated: Generated) -> float:
    """Return a time limit between one pause and two."""
    pauses = [call.backoff for service in generated.topology.services for call in service.calls]
    return 1.5 * max(pauses, default=0.0) or 5.0


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    shape=SHAPES,
    services=st.integers(FEWEST, 40),
    seed=SEEDS,
    weaknesses=st.integers(0, 6),
    kinds=st.sets(st.sampled_from(list(Weakness)), min_size=1),
    first=st.sampled_from(list(Broken)),
)
def test_a_system_with_rare_weaknesses_has_no_others(
    shape: Shape, services: int, seed: int, weaknesses: int, kinds: set[Weakness], first: Broken
) -> None:
    """By the topology's own description, with services that give no answer and services that give an error."""
    generated = generate_topology(shape, services, seed, weaknesses=weaknesses, kinds=kinds)
    ways = dict(zip(names_of(generated), cycle([first, *set(Broken) - {first}]), strict=False))
    forecast = Forecast(generated.topology, [name for name, way in ways.items() if way is Broken.REMOVE])
    failing = forecast.failing_cases(ways, patience(generated))
    expected = {
        "+".join(case) for case in cases(ways) if reported(generated.planted, {name: ways[name] for name in case})
    }
    assert failing == expected
    assert {planted.kind for planted in generated.planted} <= kinds | {Weakness.FATAL}


def test_a_seed_gives_the_same_system_as_in_release_1_0() -> None:
    """Seeds are written into files and reports: the same seed must give the same system for ever."""
    digest = hashlib.sha256()
    for shape in Shape:
        for services in (5, 13):
            for seed in range(5):
                generated = generate_topology(shape, services, seed, weaknesses=seed)
                digest.update(topology_text(generated.topology, map(str, generated.planted)).encode())
    assert digest.hexdigest() == DIGEST


@pytest.mark.parametrize("kind", RARE)
@pytest.mark.parametrize("shape", list(Shape))
def test_every_shape_has_room_for_each_rare_weakness(shape: Shape, kind: Weakness) -> None:
    planted = generate_topology(shape, 6, 1, weaknesses=2, kinds={kind}).planted
    assert kind in {weakness.kind for weakness in planted}


@pytest.mark.parametrize("kind", RARE)
def test_healthy_traffic_never_uses_the_rare_paths(kind: Weakness) -> None:
    """Otherwise the weakness would show without discovery.

    A client that distinguishes kinds of failure needs no path.
    """
    for seed in range(20):
        topology = generate_topology(Shape.STAR, 9, seed, kinds={kind}).topology
        healthy = {(call.service, call.path) for service in topology.services for call in service.calls}
        rare = {
            (called, path)
            for service in topology.services
            for call in service.calls
            for called, path in [
                *((stand_in.service, stand_in.path) for stand_in in call.stand_ins),
                *([(call.service, call.retry_path)] if call.retry_path else []),
            ]
        }
        assert rare or kind is Weakness.EXCEPTION
        assert not rare & healthy


def test_a_fallback_chain_ends_in_every_way() -> None:
    """At either of the two services again, at a third service, and at a third service that needs the first."""
    ends = set()
    for seed in range(40):
        generated = generate_topology(Shape.STAR, 6, seed, weaknesses=1, kinds={Weakness.FALLBACK_CHAIN})
        (call,) = [call for call in generated.topology.services[0].calls if call.fallbacks]
        last, second = call.fallbacks[1].service, call.fallbacks[0].service
        where = "first" if last == call.service else "second" if last == second else "third"
        ends.add((where, bool(generated.planted[0].cases)))
    assert ends == {("first", True), ("second", True), ("third", True), ("third", False)}


async def really(generated: Generated, ways: Mapping[str, Broken]) -> tuple[list[str], list[str]]:
    """Break the cases for real. Returns those that fail, and those that should fail according to the report."""
    failing, expected = [], []
    async with Lab(generated.topology, settings=SETTINGS, ports=PortChoice.FREE) as lab:
        for case in cases(ways):
            broken = {name: ways[name] for name in case}
            outcome = await lab.truth(broken)
            if outcome.status != 200 or outcome.seconds > patience(generated):
                failing.append("+".join(case))
            if reported(generated.planted, broken):
                expected.append("+".join(case))
        assert lab.state().clean
    return failing, expected


@pytest.mark.parametrize("kind", RARE)
async def test_planted_weaknesses_are_real(kind: Weakness) -> None:
    """Every single service and every pair of a small system is really broken."""
    generated = generate_topology(Shape.STAR, 6, 4, kinds={kind})
    for first in Broken:
        ways = dict(zip(names_of(generated), cycle([first, *set(Broken) - {first}]), strict=False))
        failing, expected = await really(generated, ways)
        assert failing == expected
        assert failing


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", list(Shape))
async def test_planted_weaknesses_of_all_kinds_together_are_real(shape: Shape, seed: int) -> None:
    generated = generate_topology(shape, 6 + seed % 7, seed, weaknesses=4, kinds=set(Weakness))
    ways = dict(zip(names_of(generated), cycle(list(Broken)), strict=False))
    failing, expected = await really(generated, ways)
    assert failing == expected


def test_kinds_are_parsed_and_unknown_kinds_are_refused() -> None:
    assert parse_kinds("all") == set(Weakness)
    assert parse_kinds("fallback_path, exception") == {Weakness.FALLBACK_PATH, Weakness.EXCEPTION}
    with pytest.raises(ValueError, match="write all, or some of neither, slow, fallback"):
        parse_kinds("fallback_path,fallbacks")


def test_a_planted_weakness_names_its_condition() -> None:
    shown = [str(planted) for planted in generate_topology(Shape.CHAIN, 6, 1, kinds={Weakness.EXCEPTION}).planted]
    assert shown[0] == "fatal    s001"
    assert shown[1] in {
        "exception s002 (while it answers with an error)",
        "exception s002 (while it does not answer)",
    }


def test_a_written_system_with_rare_weaknesses_reads_back_the_same(tmp_path: Path) -> None:
    for seed in range(5):
        topology = generate_topology(Shape.TREE, 12, seed, weaknesses=5, kinds=set(Weakness)).topology
        path = tmp_path / f"{seed}.yaml"
        path.write_text(topology_text(topology), encoding="utf-8")
        assert load_topology(path) == topology

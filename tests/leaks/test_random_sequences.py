"""Random sequences of troubles, by hypothesis: whatever happens to a run, nothing stays on, and what is said is so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from temporalio.client import Client

from tests.support.leaks.aftermath import AT_ONCE
from tests.support.leaks.judged import tried
from tests.support.leaks.sequences import (
    ALWAYS,
    CALLS,
    DEADLY,
    DEATHS,
    GONE,
    KINDS,
    MEASURING,
    OUTSIDE,
    SEQUENCES,
    Sequence,
    drawn,
    repeated_by,
)
from tests.support.leaks.told import LYING, STANDING, TO_ONE_CALL
from tests.support.leaks.troubles import ACTS

EXAMPLES = len(KINDS)
"""One of each kind: as many as every change can afford. `make soak` goes on from there."""

SEED = 1
"""Of every change."""


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
async def test_whatever_happens_nothing_stays_on(temporal: Client, tmp_path: Path) -> None:
    """The same sequences every time. A failure names each sequence with the command that repeats it."""
    some = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, sequence: Sequence) -> list[str]:
        async with some:
            return (await tried(temporal, tmp_path / str(number), sequence)).wrong

    sequences = drawn(EXAMPLES, SEED, long=False)
    found = await asyncio.gather(*(one(number, sequence) for number, sequence in enumerate(sequences)))
    assert {repeated_by(one): wrong for one, wrong in zip(sequences, found, strict=True) if wrong} == {}


@given(SEQUENCES)
def test_a_sequence_can_be_written_down_and_read_again(sequence: Sequence) -> None:
    """And means something: each trouble is one that its moment has."""
    assert Sequence.read(str(sequence)) == sequence
    known = {key: {*TO_ONE_CALL, *OUTSIDE} for key in CALLS} | {key: {*DEADLY, GONE} for key in DEATHS}
    known |= {key: {*OUTSIDE} for key in MEASURING} | {ALWAYS: {*STANDING, *LYING}}
    assert all(step.trouble in known[step.moment] for step in sequence.steps)
    assert sequence.misbehaviour.model_validate_json(sequence.misbehaviour.model_dump_json()) == sequence.misbehaviour


def test_every_trouble_can_be_done() -> None:
    """None is drawn that nobody would know how to do, and none is known that is never drawn."""
    assert {one.removesuffix("-down") for one in OUTSIDE} == set(ACTS)


def test_the_same_seed_draws_the_same_sequences() -> None:
    """And another one others; enough for a soak, and with something of everything."""
    some = drawn(EXAMPLES, SEED, long=False)
    assert len(some) == EXAMPLES
    assert some == drawn(EXAMPLES, SEED, long=False) != drawn(EXAMPLES, SEED + 1, long=False)
    many = drawn(60 * EXAMPLES, SEED, long=True)
    assert {step.trouble for one in many for step in one.steps} == {*OUTSIDE, *TO_ONE_CALL, *STANDING, *LYING}

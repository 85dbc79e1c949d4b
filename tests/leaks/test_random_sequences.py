"""Random sequences of troubles, by hypothesis: whatever happens to a run, nothing stays on and its reports are true."""

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
"""One sequence of each kind, as many as every change can afford.

`make soak` goes on from there.
"""

SEED = 1
"""The seed for every change."""


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
async def test_nothing_stays_on_whatever_happens_to_a_run(temporal: Client, tmp_path: Path) -> None:
    """The same sequences every time. A failure names each sequence with the command that repeats it."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def attempt(number: int, sequence: Sequence) -> list[str]:
        async with slots:
            return (await tried(temporal, tmp_path / str(number), sequence)).wrong

    sequences = drawn(EXAMPLES, SEED, long=False)
    found = await asyncio.gather(*(attempt(number, sequence) for number, sequence in enumerate(sequences)))
    assert {repeated_by(failed): wrong for failed, wrong in zip(sequences, found, strict=True) if wrong} == {}


@given(SEQUENCES)
def test_a_sequence_can_be_written_down_and_read_again(sequence: Sequence) -> None:
    """It also makes sense: each trouble is possible at its moment."""
    assert Sequence.read(str(sequence)) == sequence
    known = {key: {*TO_ONE_CALL, *OUTSIDE} for key in CALLS} | {key: {*DEADLY, GONE} for key in DEATHS}
    known |= {key: {*OUTSIDE} for key in MEASURING} | {ALWAYS: {*STANDING, *LYING}}
    assert all(step.trouble in known[step.moment] for step in sequence.steps)
    assert sequence.misbehaviour.model_validate_json(sequence.misbehaviour.model_dump_json()) == sequence.misbehaviour


def test_every_trouble_has_an_action() -> None:
    """Nothing is drawn that nobody knows how to do, and nothing is known that is never drawn."""
    assert {trouble.removesuffix("-down") for trouble in OUTSIDE} == set(ACTS)


def test_the_same_seed_draws_the_same_sequences() -> None:
    """A different seed draws different sequences.

    There are enough for a soak, and every kind of trouble is among them.
    """
    few = drawn(EXAMPLES, SEED, long=False)
    assert len(few) == EXAMPLES
    assert few == drawn(EXAMPLES, SEED, long=False) != drawn(EXAMPLES, SEED + 1, long=False)
    many = drawn(60 * EXAMPLES, SEED, long=True)
    assert {step.trouble for sequence in many for step in sequence.steps} == {*OUTSIDE, *TO_ONE_CALL, *STANDING, *LYING}

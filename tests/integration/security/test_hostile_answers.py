"""Whatever is answered, to whichever client: a value or a code of ours, in bounded memory, while the loop goes on."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from domain.errors import ErrorCode
from tests.support.paths import ROOT
from tests.support.security.hostile_server import ANSWERS, hostile_server
from tests.support.security.prober import Probed

FIRST = "status-418"
"""Harmless: the answer before memory is limited."""

MEMORY = 500 << 20
"""Bytes that the process may have had at most; a worker without connections has 150 MB."""

HELD = 2.0
"""Seconds for which the loop may come to nothing else, while all clients read one answer; 0.6 of computing seen."""

ONE_OF_A_KIND = [
    "header-without-end",
    "interim-without-end",
    "http-0.9",
    "length-1-GB",
    "body-without-end",
    "chunks-of-one-byte",
    "trailers-without-end",
    "bomb-2-200",
    "bomb-in-chunks",
    "charset-0",
    "charset-1",
    "json-0",
    "json-3",
    "json-6",
    "json-15",
    "redirect-to-nonsense",
]
"""Those of the issue, and one of each other kind."""

CODES = {*map(str, ErrorCode)}


async def probed(names: list[str]) -> list[Probed]:
    """What became of each of these, in one process."""
    async with hostile_server() as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.security.prober",
            address,
            FIRST,
            *names,
            cwd=ROOT,
            env=os.environ | {"MALLOC_ARENA_MAX": "2"},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    found = [Probed.model_validate_json(line) for line in out.splitlines()]
    last = found[-1].name if found else "none"
    assert process.returncode == 0, f"the process died after {last}"
    assert [one.name for one in found] == [FIRST, *names]
    return found


def held(one: Probed) -> list[str]:
    """What is wrong with how one answer was taken."""
    wrong = [
        f"{one.name}: {client} gave {given}"
        for client, given in one.outcomes.items()
        if given not in CODES and not given.startswith("value ")
    ]
    if one.peak > MEMORY:
        wrong.append(f"{one.name}: {one.peak >> 20} MB")
    if one.held > HELD:
        wrong.append(f"{one.name}: nothing else went on for {one.held:.1f} s")
    return wrong


async def test_hostile_answers_of_every_kind_are_values_or_codes() -> None:
    """In a process with little memory, to every client at once."""
    found = await probed(ONE_OF_A_KIND)
    assert [wrong for one in found for wrong in held(one)] == []
    compressed = next(one for one in found if one.name == "bomb-2-200")
    assert compressed.outcomes["fault status"] == compressed.outcomes["canary"] == ErrorCode.PEER_GARBAGE
    assert compressed.outcomes["kubernetes"] == ErrorCode.PEER_GARBAGE
    assert "encoded body (gzip, gzip) of" in compressed.outcomes["ask"]


def test_there_are_enough_of_them() -> None:
    """The names of the short list are in the long one, and that does not shrink unseen."""
    assert set(ONE_OF_A_KIND) <= set(ANSWERS)
    assert len(ANSWERS) >= 160


@pytest.mark.exhaustive
async def test_all_hostile_answers_are_values_or_codes() -> None:
    """Each of them, to every client at once."""
    found = await probed([name for name in ANSWERS if name not in ONE_OF_A_KIND])
    assert [wrong for one in found for wrong in held(one)] == []

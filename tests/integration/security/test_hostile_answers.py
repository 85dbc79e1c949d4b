"""Any hostile answer to any client becomes a value or an error code, in bounded memory, while the loop goes on."""

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
"""A harmless answer, which is read before memory is limited."""

MEMORY = 500 << 20
"""Bytes that the process may have had at its peak; a worker without connections has 150 MB."""

HELD = 2.0
"""Seconds for which the loop may be held up while all clients read one answer; 0.6 s of computing were seen."""

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
"""The answers of the issue, and one of each other kind."""

CODES = {*map(str, ErrorCode)}


async def probed(names: list[str]) -> list[Probed]:
    """Return the outcome of each of these answers, all in one process."""
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
    assert [probe.name for probe in found] == [FIRST, *names]
    return found


def held(probe: Probed) -> list[str]:
    """Return what is wrong with how an answer was handled."""
    wrong = [
        f"{probe.name}: {client} gave {given}"
        for client, given in probe.outcomes.items()
        if given not in CODES and not given.startswith("value ")
    ]
    if probe.peak > MEMORY:
        wrong.append(f"{probe.name}: {probe.peak >> 20} MB")
    if probe.held > HELD:
        wrong.append(f"{probe.name}: nothing else went on for {probe.held:.1f} s")
    return wrong


async def test_hostile_answers_of_every_kind_become_values_or_codes() -> None:
    """In a process with little memory, sent to every client at once."""
    found = await probed(ONE_OF_A_KIND)
    assert [wrong for probe in found for wrong in held(probe)] == []
    compressed = next(probe for probe in found if probe.name == "bomb-2-200")
    assert compressed.outcomes["fault status"] == compressed.outcomes["canary"] == ErrorCode.PEER_GARBAGE
    assert compressed.outcomes["kubernetes"] == ErrorCode.PEER_GARBAGE
    assert "encoded body (gzip, gzip) of" in compressed.outcomes["ask"]


def test_the_list_of_hostile_answers_does_not_shrink_unseen() -> None:
    """The names of the short list are also in the long list."""
    assert set(ONE_OF_A_KIND) <= set(ANSWERS)
    assert len(ANSWERS) >= 160


@pytest.mark.exhaustive
async def test_all_hostile_answers_become_values_or_codes() -> None:
    """Each is sent to every client at once."""
    found = await probed([name for name in ANSWERS if name not in ONE_OF_A_KIND])
    assert [wrong for probe in found for wrong in held(probe)] == []

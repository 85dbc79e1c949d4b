"""The demo's child processes: in their own sessions, reported when they die, and never left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from cli.demo.bench import next_folder
from domain.errors import ErrorCode, HoldfastError
from operations.processes.children import Child
from tests.support.cli.terminal import clean_environment
from tests.support.http import http_client
from tests.support.paths import ROOT

PARENT = """
import asyncio, json, os, sys
from pathlib import Path
from operations.processes.children import Child

async def main():
    child = await Child.start("lab", "lab", "--json", "--free-ports", folder=Path(sys.argv[1]), environment=os.environ)
    print(json.dumps(await child.ready(20)), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_children_of_a_killed_parent_end_themselves(tmp_path: Path) -> None:
    """After SIGKILL nobody can clean up, and yet no server, lab or worker is left behind."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), cwd=ROOT, env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    addresses = json.loads(await asyncio.wait_for(parent.stdout.readline(), 20))
    async with http_client() as http:
        assert (await http.get(f"{addresses['admin']}/lab/state")).status_code == 200
        parent.kill()
        await parent.wait()
        async with asyncio.timeout(10):
            while await _answers(http, addresses["admin"]):
                await asyncio.sleep(0.05)


async def test_a_child_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """The bare message «did not start» would leave the user searching for the reason."""
    child = await Child.start("lab", "lab", "--json", "--topology", "nowhere.yaml", folder=tmp_path, environment=_env())
    with pytest.raises(HoldfastError, match=r"the lab did not start(.|\n)*nowhere.yaml: cannot be read") as failed:
        await child.ready(20)
    assert failed.value.code is ErrorCode.PEER_UNREACHABLE
    await child.stop()


async def test_a_child_has_its_own_session_and_ends_when_asked(tmp_path: Path) -> None:
    """Ctrl-C then reaches only the demo, which ends its children in order."""
    child = await Child.start("lab", "lab", "--json", "--free-ports", folder=tmp_path, environment=_env())
    await child.ready(20)
    pid = child._process.pid
    assert os.getsid(pid) == pid
    await child.stop()
    assert child.ended
    assert child._process.returncode == 0
    await child.stop()


async def test_a_dead_child_is_reported_with_its_signal_or_exit_code(tmp_path: Path) -> None:
    child = await Child.start("lab", "lab", "--json", "--free-ports", folder=tmp_path, environment=_env())
    await child.ready(20)
    child._process.send_signal(signal.SIGKILL)
    assert "the lab ended by itself with -9" in (await child.wait_for_unexpected_end()).message


def test_each_demo_has_its_own_numbered_folder(tmp_path: Path) -> None:
    """Anything else in the parent folder is left alone."""
    (tmp_path / "notes").mkdir()
    assert [next_folder(tmp_path).name for _ in range(3)] == ["1", "2", "3"]
    (tmp_path / "12").mkdir()
    assert next_folder(tmp_path) == tmp_path / "13"


async def _answers(http: httpx.AsyncClient, admin: str) -> bool:
    try:
        await http.get(f"{admin}/lab/state")
    except httpx.HTTPError:
        return False
    return True


def _env() -> dict[str, str]:
    return clean_environment()

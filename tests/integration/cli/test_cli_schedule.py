"""`holdfast schedule`: runs that start by themselves, as the server keeps them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.resilience.kind import KIND
from operations.runs.find import find_run
from tests.support.cli.stand_ins import WAITS
from tests.support.cli.stored import invoke
from tests.support.runs.bench import until

pytestmark = [pytest.mark.usefixtures("here")]


@pytest.fixture
async def scheduled(client: Client, plan: Callable[..., str]) -> AsyncIterator[Callable[..., str]]:
    """Write a plan whose schedule is deleted at the end."""
    names: list[str] = []

    def write(act: str = "") -> str:
        names.append(plan(act))
        return names[-1]

    yield write
    for name in names:
        with suppress(RPCError):
            await client.get_schedule_handle(KIND.workflow_id(name)).delete()


async def shown(name: str) -> dict[str, Any]:
    found = await invoke("schedule", "show", name, "--json")
    assert found.exit_code == 0, found.output
    facts: dict[str, Any] = json.loads(found.stdout)
    return facts


async def test_a_schedule_says_when_it_starts_runs(scheduled: Callable[..., str]) -> None:
    """In the words of its command, in `create`, `list` and `show`, with the coming starts in UTC."""
    name = scheduled()
    made = await invoke(
        *("schedule", "create", f"{name}.yaml"),
        *("--cron", "0 3 * * 1-5", "--cron", "30 9 * * 6", "--timezone", "Asia/Tokyo", "--jitter", "5m"),
    )
    assert made.exit_code == 0, made.output
    times = "cron 0 3 * * 1-5 Asia/Tokyo and cron 30 9 * * 6 Asia/Tokyo, up to 5m later"
    assert f"scheduled {KIND.workflow_id(name)}: {times}" in made.stdout
    facts = await shown(name)
    assert (facts["times"], facts["paused"], facts["runs"]) == (times, False, [])
    # Three in the morning in Tokyo is six in the evening before in London.
    assert {moment[11:15] for moment in facts["next_at"]} <= {"18:0", "00:3"}
    listed = await invoke("schedule", "list")
    [line] = [line for line in listed.stdout.splitlines() if line.startswith(name)]
    assert times in line
    assert line.endswith("no runs yet")


async def test_a_plan_has_one_schedule_at_a_time(scheduled: Callable[..., str], here: Path) -> None:
    """A second one is refused, or takes its place. Times that the server cannot use change nothing."""
    name = scheduled()
    create = ("schedule", "create", f"{name}.yaml")
    assert (await invoke(*create, "--every", "6h")).exit_code == 0
    again = await invoke(*create, "--every", "1h")
    assert (again.exit_code, "--replace puts this one in its place" in again.stderr) == (7, True)
    for wrong in (("--cron", "0 3 * * 99"), ("--cron", "0 3 * * 1", "--timezone", "Mars/Olympus")):
        refused = await invoke(*create, *wrong, "--replace")
        assert (refused.exit_code, "cannot use these times" in refused.stderr) == (2, True)
        assert (await shown(name))["times"] == "every 6h"
    assert (await invoke(*create, "--every", "1h", "--replace")).exit_code == 0
    assert (await shown(name))["times"] == "every 1h"
    assert (await invoke(*create)).exit_code == 2
    assert (await invoke(*create, "--every", "0s", "--replace")).exit_code == 2


@pytest.mark.usefixtures("stand_ins")
async def test_a_triggered_run_is_the_plans_newest_run(client: Client, scheduled: Callable[..., str]) -> None:
    """The plan's name finds it, a second one is left out while it is going on, and its end is shown."""
    name = scheduled(WAITS)
    assert (await invoke("schedule", "create", f"{name}.yaml", "--every", "24h")).exit_code == 0
    assert (await invoke("schedule", "trigger", name)).exit_code == 0

    async def running() -> Any:
        return (await shown(name))["runs"]

    [run] = await until(running, "a scheduled run")
    assert run["workflow_id"].startswith(f"{KIND.workflow_id(name)}-20")
    handle = await find_run(client, name)
    assert (handle.id, handle.run_id) == (run["workflow_id"], run["run_id"])

    assert (await invoke("schedule", "trigger", name)).exit_code == 0

    async def left_out() -> bool:
        return bool((await shown(name))["skipped"])

    await until(left_out, "a start that was left out")
    await handle.cancel()

    async def over() -> bool:
        return [found["status"] for found in (await shown(name))["runs"]] == ["CANCELED"]

    await until(over, "the end of the run")


async def test_a_schedule_is_paused_resumed_and_deleted(scheduled: Callable[..., str]) -> None:
    """Who paused it and why is shown. Afterwards there is none."""
    name = scheduled()
    assert (await invoke("schedule", "create", f"{name}.yaml", "--every", "24h")).exit_code == 0
    assert (await invoke("schedule", "pause", name, "--reason", "change freeze")).exit_code == 0
    # A new plan does not end the freeze.
    assert (await invoke("schedule", "create", f"{name}.yaml", "--every", "12h", "--replace")).exit_code == 0
    facts = await shown(name)
    assert (facts["times"], facts["paused"], facts["next_at"]) == ("every 12h", True, [])
    assert facts["note"].endswith(": change freeze")
    assert (await invoke("schedule", "resume", name)).exit_code == 0
    facts = await shown(name)
    assert (facts["paused"], bool(facts["next_at"])) == (False, True)
    assert (await invoke("schedule", "delete", name)).exit_code == 0
    gone = await invoke("schedule", "show", name)
    assert (gone.exit_code, f"there is no schedule of {name}" in gone.stderr) == (3, True)

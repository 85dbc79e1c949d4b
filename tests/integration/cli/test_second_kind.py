"""A kind of execution of its own, with which nothing in `cli/` had to change: the proof that the spine carries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from reports.forms.registry import FORMS
from tests.support.cli.terminal import Terminal
from tests.support.kinds import starter
from tests.support.runs.bench import until

SCRIPT = Path(starter.__file__)


class Command(Protocol):
    async def __call__(self, *arguments: str, code: int = 0) -> str: ...


@pytest.fixture
async def started(tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[Any]:
    """Start commands that know the second kind, and end them all."""
    more = {"HOLDFAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/holdfast.db", "HOLDFAST_TIMING": "fast"}
    async with AsyncExitStack() as stack:

        async def start(*arguments: str) -> Terminal:
            terminal = await Terminal.start(*arguments, folder=tmp_path, env=environment | more, script=SCRIPT)
            stack.push_async_callback(terminal.close)
            return terminal

        worker = await start("worker", "--only", "control")
        await worker.until("worker ready")
        yield start


@pytest.fixture
def command(started: Any) -> Command:
    async def run(*arguments: str, code: int = 0) -> str:
        terminal = await started(*arguments)
        found = await terminal.end()
        assert found == code, terminal.text
        return str(terminal.text)

    return run


def written(folder: Path, name: str, **more: Any) -> str:
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"countdown": name, "start": 3, **more}))
    return f"{name}.yaml"


async def test_every_command_handles_a_second_kind(command: Command, started: Any, tmp_path: Path) -> None:
    file = written(tmp_path, "launch")
    assert "ok: countdown launch from 3" in await command("validate", file)
    shown = await command("run", file)
    assert "countdown launch from 3" in shown
    assert "started countdown/launch" in shown
    assert "verdict: PASSED: countdown launch" in shown
    assert "recovery: not needed" in shown

    status = await command("status", "launch")
    assert "countdown launch, execution " in status
    assert "status completed, step DONE, verdict passed" in status
    state = json.loads((await command("status", "launch", "--json")).partition("\n(from")[0])
    assert (state["kind"], state["name"], state["progress"]) == ("countdown", "launch", 100)

    listed = await command("list", "--kind", "countdown")
    assert ("launch" in listed, "countdown" in listed) == (True, True)
    assert "launch" in await command("list")
    assert "no run" in await command("list", "--kind", "resilience-test")
    assert "step 2" in await command("logs", "launch")
    assert "PASSED" in await command("watch", "launch")

    report = await command("report", "launch")
    assert "Passed." in report
    forms = [form.name for form in FORMS]
    await command("report", "launch", *(part for form in forms for part in (f"--{form}", f"report.{form}")))
    for form in forms:
        assert "launch" in (tmp_path / f"report.{form}").read_text()


async def test_a_second_kind_is_cancelled_and_its_store_knows_it(
    command: Command, started: Any, tmp_path: Path
) -> None:
    file = written(tmp_path, "long", start=2000)
    await command("run", file, "--detach")
    watching = await started("watch", "long")
    await watching.until(" to go")
    going_on = json.loads((await command("status", "long", "--json")).partition("\n(from")[0])
    assert going_on["status"] == "running"
    assert 0 <= going_on["progress"] < 100
    assert "long" in await command("list", "--status", "running")
    assert "cancelled" in await command("cancel", "long")
    assert await watching.end() == 130
    await until(lambda: _has_ended(command), "the end in the store")
    assert "was cancelled" in await command("report", "long")


async def _has_ended(command: Command) -> bool:
    return "CANCELLED" in await command("list", "--json")


async def test_a_wrong_file_of_a_second_kind_begins_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("countdown: x\nstart: soon\n")
    assert "start" in await command("validate", "wrong.yaml", code=2)
    assert "wrong.yaml: 1 problem" in await command("run", "wrong.yaml", code=2)
    fine = written(tmp_path, "fine")
    for option in ("--clean", "--verify-pairs", "--dry-run"):
        assert "countdown" in await command("run", fine, option, code=2)
    assert "is a countdown, and this command takes only plans" in await command("preview", fine, code=2)
    assert "no run" in await command("list")

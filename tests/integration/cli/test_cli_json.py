"""With `--json`, every command that prints facts writes JSON and nothing else to standard output, also for errors."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cli.main import cli, every_subcommand
from clients.store.store import Store
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.kind import KIND
from domain.resilience.model import NewExecution
from domain.timing import Timing
from tests.support.cli.stand_ins import WAITS
from tests.support.cli.terminal import PATIENCE, clean_environment, plan_document
from tests.support.paths import ROOT
from tests.support.store.template import put_database

SHOP = str(ROOT / "examples" / "shop.yaml")
NOT_FACTS = {"demo", "run", "report", "worker", "schema", "schedule"}
NOT_FACTS |= {f"schedule {change}" for change in ("pause", "resume", "trigger", "delete")}
"""Commands without a `--json` for their facts.

A show, a run and a report (whose `--json` names a file, beside other forms), a log, what is JSON anyway, and what only
changes a schedule.
"""

AWAY = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
KEYS = f"k:{base64.b64encode(bytes(32)).decode()}"
UNTIL_ASKED = {"server", "lab", "codec-server"}
"""Commands that run until they are asked to end, which the tests do once their addresses are printed."""

PROCESSES = UNTIL_ASKED | {"status", "watch", "cancel", "halt", "recover"}
"""Commands that run as processes here.

They start or meet native code, which could write to standard output past Python, or they handle signals. For the others
the process would add nothing but the time that it takes to start.
"""

Said = tuple[int, str, str]
Ask = Callable[..., Awaitable[Said]]


@pytest.fixture
def ask(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a function that runs a command, as a process if it is one of PROCESSES.

    It returns the exit code and both streams separately.
    """
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str, **more: str) -> Said:
        if arguments[0] in PROCESSES:
            return await run_process(*arguments, **more)
        with pytest.MonkeyPatch.context() as patch:
            wanted = clean_environment() | environment | more
            for name in os.environ.keys() - wanted.keys():
                patch.delenv(name)
            for name, value in wanted.items():
                patch.setenv(name, value)
            result = await asyncio.to_thread(CliRunner().invoke, cli, list(arguments))
        return result.exit_code, result.stdout, result.stderr

    async def run_process(*arguments: str, **more: str) -> Said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "starter.py"), *arguments),
            cwd=tmp_path,
            env=clean_environment() | environment | more,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(PATIENCE * 2):
                first = b""
                if arguments[0] in UNTIL_ASKED:
                    first = await process.stdout.readline()
                    if process.returncode is None and b"error_code" not in first:
                        process.send_signal(signal.SIGTERM)
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode or 0, (first + out).decode(), err.decode()

    return run


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[str]:
    """Create a store with one run, and yield the run's id."""
    store = await Store.open(put_database(tmp_path / "holdfast.db"))
    plan = Plan.model_validate(plan_document("shop"))
    new = NewExecution(plan_json=canonical_json(plan), workflow_id=KIND.workflow_id("shop"), run_id="1")
    await store.executions.create(new, plan, Timing())
    yield KIND.workflow_id("shop")
    await store.close()


def database(folder: Path) -> dict[str, str]:
    return {"HOLDFAST_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/holdfast.db"}


def test_every_command_that_prints_facts_has_a_json_option() -> None:
    """A new command as well, unless this file excludes it."""
    with_json = {
        name
        for name, command in every_subcommand().items()
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name == "as_json"
    }
    assert with_json == set(every_subcommand()) - NOT_FACTS
    tried = {" ".join(words[:2]) if words[0] == "schedule" else words[0] for words in [*FACTS, *ERRORS]}
    assert tried | {"watch", "cancel", "status"} == with_json | {"schema"}


FACTS: list[tuple[str, ...]] = [
    ("init",),
    ("init", "--output", "new.yaml"),
    ("validate", SHOP),
    ("preview", SHOP),
    ("schema",),
    ("list",),
    ("faults",),
    ("unhalt",),
    ("status", "shop"),
    ("logs", "shop"),
    ("server", "--no-ui", "--database", "temporal.db", "--config", "server.yaml"),
    ("lab", "--free-ports"),
    ("codec-server", "--port", "0"),
]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("arguments", FACTS, ids=" ".join)
async def test_facts_are_json_and_nothing_else(ask: Ask, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The command prints one document, and its exit code is 0."""
    (tmp_path / "server.yaml").write_text("port: 0\nui_port: 0\n")
    wanted = () if arguments[0] == "schema" else ("--json",)
    keys = {"HOLDFAST_PAYLOAD_KEYS": KEYS} if arguments[0] == "codec-server" else {}
    code, out, err = await ask(*arguments, *wanted, **AWAY, **database(tmp_path), **keys)
    assert code == 0, err
    assert isinstance(json.loads(out), dict | list)


ERRORS: list[tuple[str, ...]] = [
    ("init", "--output", "there.yaml"),
    ("init", "--lab", "http://127.0.0.1:1"),
    ("list",),
    ("faults",),
    ("recover",),
    ("halt", "--reason", "a fire"),
    ("unhalt",),
    ("schedule", "create", SHOP, "--every", "6h", "--yes"),
    ("schedule", "list"),
    ("schedule", "show", "nobody"),
    ("status", "nobody"),
    ("logs", "nobody"),
    ("compare", "shop", "nobody"),
    ("watch", "nobody"),
    ("cancel", "nobody"),
    ("server", "--config", "there.yaml"),
    ("lab", "--topology", "there.yaml"),
    ("validate", "there.yaml"),
    ("preview", "there.yaml"),
    ("preview", "wrong.yaml"),
]


@pytest.mark.parametrize("arguments", ERRORS, ids=" ".join)
async def test_errors_are_json_too(ask: Ask, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The document has the exit code of the process or, for a plan, every problem."""
    (tmp_path / "there.yaml").write_text("a: [\n")
    (tmp_path / "wrong.yaml").write_text("name: shop\n")
    code, out, err = await ask(*arguments, "--json", **AWAY)
    facts = json.loads(out)
    assert code in (2, 3)
    if arguments[0] in ("validate", "preview"):
        assert facts["valid"] is False
        assert facts["problems"]
        return
    assert facts["exit_code"] == code
    assert facts["error_code"] != "UNEXPECTED"
    assert facts["message"] in err
    assert facts["hint"] in err
    assert facts["hint"]


async def test_wrong_usage_is_reported_on_standard_error_alone(ask: Ask) -> None:
    """Nothing has begun, hence there are no facts."""
    code, out, err = await ask("list", "--json", "--limt", "3")
    assert (code, out) == (2, "")
    assert "--limit" in err


@pytest.mark.usefixtures("stand_ins")
async def test_a_run_can_be_watched_and_cancelled_as_json(ask: Ask, begin: Callable[[str], Any]) -> None:
    """One line for each change, the outcome last. The command that cancels prints the same outcome."""
    run = await begin(WAITS)
    name = run.id.rpartition("/")[2]
    watching = asyncio.create_task(ask("watch", name, "--json"))
    status: dict[str, Any] = {}
    while not status.get("phases"):
        code, out, err = await ask("status", name, "--json")
        assert code == 0, err
        status = json.loads(out)
    cancelled = await ask("cancel", name, "--json", "--no-wait")
    assert json.loads(cancelled[1])["workflow_id"] == run.id
    code, out, err = await watching
    *states, outcome = [json.loads(line) for line in out.splitlines()]
    assert code == outcome["exit_code"] == 130
    assert (outcome["status"], outcome["recovery"]) == ("cancelled", "verified")
    assert all("phase" in state for state in states)
    code, out, err = await ask("cancel", name, "--json")
    assert (code, json.loads(out)) == (0, outcome)

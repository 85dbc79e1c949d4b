"""Plans as people get them wrong: every mistake is reported with its path and a hint, and no peer is contacted."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from tests.support.cli.terminal import Terminal
from tests.support.paths import ROOT

PLANS = ROOT / "tests" / "plans"
MARK = ":18999"
"""The port of every address in the plans. The port of the counting server takes its place."""

Mistake = tuple[str, str, str]
"""Path, part of the message, part of the hint."""

ONE: dict[str, Mistake] = {
    "misspelt-section": ("saftey", "unknown field", "did you mean 'safety'?"),
    "wrong-unit": ("request.timeout", "'5sec' is not a duration", "write '5s'"),
    "excluded-unknown-service": ("exclude[0]", "'paymnet' is not among the services", "did you mean 'payment'?"),
    "post-without-promise": ("request.repeatable", "a POST is sent many times", "set repeatable: true"),
    "service-twice": ("services[2].name", "'cart' is already in the plan", "see services[0]"),
    "service-without-fault": ("services[1].fault", "missing", "write remove, error, {delay: 3s}"),
    "relative-url": ("request.url", "must be an absolute http://", "write the whole address, for example http://"),
    "unknown-fault-parameter": ("services[1].fault.jitter", "unknown field", "anything more is an experiment"),
    "limit-above-timeout": ("slo.p95", "8s can never be missed: request.timeout is 5s", "raise request.timeout"),
    "status-as-pattern": ("steady_state.status[0]", "not text ('2xx')", "for example [200, 204]"),
}
TEN: list[Mistake] = [
    ("name", "'Checkout' is not valid here", "lower-case letters"),
    ("system.namespace", "'kube-system' is never tested", "your own services"),
    ("system.proxy", "must be an absolute http://", "write the whole address"),
    ("system.services.payment", "'10.1.2.3' is not in safety.allowed_hosts", "add the host there"),
    ("system.stability.kind", "'k8s' is not a way to check stability", "valid here: http, kubernetes"),
    ("request.headers.authorization", "a secret must not be in a plan", "for example Bearer ${env:SHOP_TOKEN}"),
    ("request.form", "this one already has json", "leave out form, or json"),
    ("services[1].fault.delay", "'10' needs a unit", "write '10s' or '10ms'"),
    ("exclude[0]", "the baseline is always measured", "leave it out"),
    ("timeouts.waitAnalyzeTimeoutSec", "not text ('60s')", "analyze with its unit"),
]
ALL = {**{name: [mistake] for name, mistake in ONE.items()}, "ten-mistakes": TEN}
SECRET = "sesame-open-thyself"  # noqa: S105 - stands in the plan, and must not be repeated


class Everybody:
    """Stands at every address (the Temporal server, peers, services) and counts the connections."""

    def __init__(self) -> None:
        self.visits = 0
        self.visited = asyncio.Event()
        self.port = 0

    async def meet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        self.visited.set()
        writer.close()

    async def visits_of_others(self) -> int:
        """Return how many connections there were before our own, which is the last of them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await reader.read()
        writer.close()
        return self.visits - 1


@pytest.fixture
async def everybody() -> AsyncIterator[Everybody]:
    found = Everybody()
    server = await asyncio.start_server(found.meet, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


@pytest.fixture
def environment(everybody: Everybody, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "temporal.toml").touch()
    database = f"sqlite+aiosqlite:///{tmp_path}/store/holdfast.db"
    return {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{everybody.port}",
        "TEMPORAL_CONFIG_FILE": str(tmp_path / "temporal.toml"),
        "HOLDFAST_DATABASE_URL": database,
        "CHECKOUT_TOKEN": "x",
    }


def written(name: str, folder: Path, everybody: Everybody) -> str:
    """Copy the plan into this folder, with every address replaced by the counting server's."""
    text = (PLANS / f"{name}.yaml").read_text()
    assert MARK in text
    (folder / f"{name}.yaml").write_text(text.replace(MARK, f":{everybody.port}"))
    return f"{name}.yaml"


async def said(*arguments: str, folder: Path, env: dict[str, str]) -> tuple[int, str]:
    terminal = await Terminal.start(*arguments, folder=folder, env=env)
    try:
        return await terminal.end(), terminal.text
    finally:
        await terminal.close()


async def answered(*arguments: str, folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run a command in this process. Meanwhile, connections are counted."""
    with contextlib.chdir(folder):
        result = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=env)
    return result.exit_code, result.output


@pytest.mark.parametrize("name", ALL)
async def test_every_mistake_is_reported_and_no_peer_is_contacted(
    name: str, everybody: Everybody, environment: dict[str, str], tmp_path: Path
) -> None:
    """`validate` (for people and as JSON) and `run` report the same problems: exit code 2, no connection, no store."""
    plan = written(name, tmp_path, everybody)
    commands = (("validate", plan), ("validate", "--json", plan), ("run", "--yes", plan))
    # A process takes long to start, so only the plan with every mistake is given to processes.
    answer = said if name == "ten-mistakes" else answered
    plain, as_json, run = [await answer(*command, folder=tmp_path, env=environment) for command in commands]
    assert [code for code, _ in (plain, as_json, run)] == [2, 2, 2]
    facts = json.loads(as_json[1])
    reported = {problem["path"]: (problem["message"], problem["hint"]) for problem in facts["problems"]}
    assert len(facts["problems"]) == len(ALL[name])
    assert set(reported) == {path for path, _, _ in ALL[name]}
    for path, message, hint in ALL[name]:
        assert message in reported[path][0]
        assert hint in reported[path][1]
        assert f"  {path}: {reported[path][0]} ({reported[path][1]})\n" in plain[1]
    assert run[1] == plain[1]
    assert SECRET not in plain[1] + as_json[1]
    assert await everybody.visits_of_others() == 0
    assert not (tmp_path / "store").exists()


async def test_the_plan_without_a_mistake_is_run(
    everybody: Everybody, environment: dict[str, str], tmp_path: Path
) -> None:
    """It proves that the other plans fail only for their mistakes, and that a contacted peer would be counted."""
    plan = written("good", tmp_path, everybody)
    assert (await said("validate", plan, folder=tmp_path, env=environment))[0] == 0
    terminal = await Terminal.start("run", "--yes", plan, folder=tmp_path, env=environment)
    async with asyncio.timeout(20):
        await everybody.visited.wait()
    await terminal.close()


def test_there_is_a_plan_for_each_mistake() -> None:
    """Ten with a single mistake, one with ten, one without, and the one that other plans begin with."""
    assert {path.stem for path in PLANS.glob("*.yaml")} == {*ALL, "good", "everything"}
    assert (len(ONE), len(TEN)) == (10, 10)

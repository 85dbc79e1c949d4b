"""One run as operators see it: started by the command, traced, with encrypted payloads, on a server with a database."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import WorkflowHandle

from clients.temporal.connection import connect
from clients.temporal.embedded import embedded_server
from clients.temporal.embedded_settings import DevServerSettings
from domain.names import WorkflowType
from domain.resilience.kind import KIND
from lab import Lab, PortChoice
from tests.support.cli.terminal import Terminal
from tests.support.runs.bench import PATIENCE, Bench, brisk_shop
from tests.support.runs.fixtures import QUICK
from tests.support.runs.otlp import Receiver, Seen, receiving

SECRET = "planted-in-the-environment-4711"  # noqa: S105 - what must be found nowhere
DESCRIPTION = "known words of a plan"
TEAM = "checkout-team"
SERVICES = ("reviews", "shipping")
REQUESTS = 20
SHARE = 0.1

RUN = f"RunWorkflow:{WorkflowType.RESILIENCE_TEST}"


@dataclass
class Operated:
    """A run that has ended, and what became known of it anywhere."""

    bench: Bench
    raw: bytes
    """Everything that arrived at the receiver of traces until the run had ended."""
    arrived: list[Seen]
    """The spans in it."""
    command: Terminal
    environment: dict[str, str]
    """Of commands, without the key."""
    run: WorkflowHandle[Any, Any]

    @property
    def folder(self) -> Path:
        return self.bench.folder

    @property
    def name(self) -> str:
        """Name of the plan."""
        return self.bench.name

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The worker's log, of both processes."""
        return [json.loads(line) for line in (self.folder / "worker.log").read_text().splitlines()]

    @cached_property
    def spans(self) -> list[Seen]:
        """The run's own trace."""
        (start,) = {span.trace_id for span in self.arrived if span.name.startswith("StartWorkflow:")}
        return [span for span in self.arrived if span.trace_id == start]

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def below(self, span: Seen) -> list[Seen]:
        """Return everything that a span caused, directly or not."""
        children = [child for child in self.spans if child.parent_id == span.span_id]
        return [*children, *(found for child in children for found in self.below(child))]

    def bytes_of(self, beginning: str) -> bytes:
        """Return all bytes of the files in the folder whose names begin like this, such as a database with its log."""
        found = sorted(self.folder.glob(f"{beginning}*"))
        assert found
        return b"".join(path.read_bytes() for path in found)


@asynccontextmanager
async def operated_run(folder: Path) -> AsyncIterator[Operated]:
    """Run a plan as people do.

    The worker keeps two workflows in memory, so that all others are replayed all the time.
    """
    settings = DevServerSettings(port=0, ui_port=0, database_file=str(folder / "temporal.db"))
    async with receiving() as receiver, embedded_server(settings, ui=False) as server, AsyncExitStack() as stack:
        operators = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "HOLDFAST_PAYLOAD_KEYS": f"tests:{base64.b64encode(os.urandom(32)).decode()}",
        }
        # Only while this process starts what reads them: other tests of this process must not meet them.
        with pytest.MonkeyPatch.context() as environment:
            for name, value in operators.items():
                environment.setenv(name, value)
            lab = await stack.enter_async_context(Lab(brisk_shop(), settings=QUICK, ports=PortChoice.FREE))
            client = await connect(server.address)
        bench = await stack.enter_async_context(Bench(client, lab, folder))
        yield await _run(bench, receiver, operators)


async def _run(bench: Bench, receiver: Receiver, operators: dict[str, str]) -> Operated:
    worker = operators | {
        "HOLDFAST_CACHED_WORKFLOWS": "2",
        "HOLDFAST_TRACE_LOAD": str(SHARE),
        "HOLDFAST_SECRET_KEY": SECRET,
        "HOLDFAST_LOG_FORMAT": "json",
    }
    await bench.worker(**worker)
    environment = bench.for_commands()
    arguments = ("run", str(_written_plan(bench)), "--yes", "--html", "report.html")
    command = await Terminal.start(*arguments, folder=bench.folder, env=environment | operators)
    code = await command.end(PATIENCE)
    assert code == 0, command.text
    run = bench.temporal.get_workflow_handle(KIND.workflow_id(bench.name))
    await bench.lock_ended(run)
    # Spans arrive when they end, and these end last.
    await receiver.settled(f"RunWorkflow:{WorkflowType.ENVIRONMENT_LOCK}")
    await receiver.settled(RUN)
    return Operated(bench, receiver.raw, list(receiver.spans), command, environment, run)


def _written_plan(bench: Bench) -> Path:
    load = {"requests": REQUESTS, "concurrency": 2}
    plan = bench.small_plan(*SERVICES, load=load, description=DESCRIPTION, team=TEAM)
    plan["request"]["url"] += "?key=${env:HOLDFAST_SECRET_KEY}"
    plan["request"]["headers"] |= {"x-key": "${env:HOLDFAST_SECRET_KEY}"}
    path = bench.folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    return path

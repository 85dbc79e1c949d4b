"""`holdfast worker` as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from clients.temporal.embedded import embedded_server
from clients.temporal.embedded_settings import DevServerSettings
from tests.support.cli.fixtures import Start
from tests.support.paths import ROOT


async def test_a_worker_waits_for_a_server_that_is_not_up_yet(holdfast: Start, tmp_path: Path) -> None:
    """Both may be started at once, whichever is faster."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    unusable = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    worker = await holdfast("worker", TEMPORAL_ADDRESS=f"127.0.0.1:{port}", **unusable)
    await worker.until("trying again")
    # Without a worker nothing is switched off. These variables are often set for everything that runs on a machine.
    assert "this worker is not traced: environment variable OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'" in worker.text
    settings = DevServerSettings(port=port, ui_port=0, database_file=str(tmp_path / "temporal.db"))
    async with embedded_server(settings, ui=False) as server:
        assert server.address == f"127.0.0.1:{port}"
        await worker.until("worker ready", patience=60)
        worker.signal(signal.SIGTERM)
        assert await worker.end() == 0


async def test_a_worker_that_waits_for_a_server_can_be_ended(holdfast: Start) -> None:
    """It ends at once, not only after its patience."""
    worker = await holdfast("worker", TEMPORAL_ADDRESS="127.0.0.1:9")
    await worker.until("trying again")
    worker.signal(signal.SIGINT)
    assert await worker.end() == 0


@pytest.mark.parametrize("arguments", [("worker.py",), ("starter.py", "worker")], ids=" ".join)
def test_a_worker_ends_without_the_interpreters_teardown(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """During it, threads of Temporal's core would now and then abort the process, instead of its exit code."""
    (tmp_path / "sitecustomize.py").write_text("import atexit\natexit.register(print, 'torn down')\n")
    program, *rest = arguments
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(ROOT / program), *rest],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "HOLDFAST_TIMING": "none such"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "HOLDFAST_TIMING" in ended.stderr

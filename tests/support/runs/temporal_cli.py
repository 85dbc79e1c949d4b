"""The official `temporal` command line, as a process."""

from __future__ import annotations

import asyncio

from tests.support.runs.bench import Bench
from tests.support.runs.fixtures import TEMPORAL


async def temporal(bench: Bench, *arguments: str) -> tuple[int, str]:
    """Run `temporal`. Returns its exit code and everything it printed."""
    process = await asyncio.create_subprocess_exec(
        str(TEMPORAL),
        *arguments,
        "--address",
        bench.temporal.service_client.config.target_host,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode()

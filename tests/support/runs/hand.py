"""`holdfast` as an operator uses it on a bench: a process, configured like the bench's worker."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, NamedTuple

from tests.support.cli.terminal import clean_environment
from tests.support.paths import ROOT
from tests.support.runs.bench import PATIENCE, Bench


class Said(NamedTuple):
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """Standard output, as JSON."""
        return json.loads(self.out)


async def holdfast(bench: Bench, *arguments: str, **environment: str) -> Said:
    """Run a command to its end."""
    (bench.folder / "temporal.toml").touch()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "starter.py"), *arguments),
        cwd=bench.folder,
        env=clean_environment()
        | {
            "TEMPORAL_ADDRESS": bench.temporal.service_client.config.target_host,
            "TEMPORAL_CONFIG_FILE": str(bench.folder / "temporal.toml"),
            "HOLDFAST_DATABASE_URL": bench.settings.database_url,
            "HOLDFAST_TASK_QUEUE": bench.settings.task_queue,
            "HOLDFAST_TIMING": "fast",
        }
        | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE * 1.5):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Said(process.returncode or 0, out.decode(), err.decode())

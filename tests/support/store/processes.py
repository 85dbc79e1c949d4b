"""Separate processes that open a store."""

from __future__ import annotations

import asyncio
import sys

from tests.support.paths import ROOT

OPEN = """
import asyncio, sys
from clients.store.store import Store
async def main():
    await (await Store.open(sys.argv[1])).close()
asyncio.run(main())
"""


async def opened_elsewhere(url: str, before: str = "") -> int:
    """Open the store in a separate process and return its exit code."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", before + OPEN, url, cwd=ROOT)
    return await process.wait()

"""Processes that share a store see each other's rows, however often each of them opens it."""

from __future__ import annotations

import asyncio
import sys

from clients.store.store import Store

UNHALT = """
import asyncio, sys
from clients.store.store import Store

async def main():
    store = await Store.open(sys.argv[1])
    halt = await store.halting.unhalt()
    await store.close()
    print(halt.reason if halt else "")

asyncio.run(main())
"""


async def unhalted_elsewhere(url: str) -> str:
    """Lift the halt in a separate process. Return the reason that it found."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", UNHALT, url, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().strip()


async def test_a_store_opened_twice_shares_its_rows_with_other_processes(sqlite_url: str) -> None:
    """Opening must not release SQLite's locks. Otherwise a second process would remove the log that is still in use."""
    first = await Store.open(sqlite_url)
    await first.halting.halt("a fire", "somebody")
    second = await Store.open(sqlite_url)
    try:
        for reason in ("one", "two"):
            await first.halting.halt(reason, "somebody")
            assert await unhalted_elsewhere(sqlite_url) == reason
            assert (await first.halting.halted(), await second.halting.halted()) == (None, None)
    finally:
        await first.close()
        await second.close()

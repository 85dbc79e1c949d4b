"""Answers to probes: whether a worker lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from domain.errors import ErrorCode, HoldfastError

PATIENCE = 4.0
"""Seconds for all checks together. Kubernetes' default is 1 s: set `timeoutSeconds: 5`."""

Check = Callable[[], Awaitable[None]]
"""Raises what is wrong."""


@asynccontextmanager
async def answering(address: str, checks: Mapping[str, Check]) -> AsyncIterator[None]:
    """Answer `GET /live` and `GET /ready` at `host:port` inside the block.

    `/live` is 200 as long as this process can answer. `/ready` is 200 when every check passes and else 503, with what
    is wrong, by the check's name.

    Raises:
        HoldfastError: VALIDATION_ERROR when the address cannot be used.
    """

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    looks = [_Look(check) for check in checks.values()]

    async def ready(_request: web.Request) -> web.Response:
        found = await asyncio.gather(*(look.wrong() for look in looks))
        wrong = {name: why for name, why in zip(checks, found, strict=True) if why}
        return web.json_response({"ready": not wrong, **wrong}, status=503 if wrong else 200)

    app = web.Application()
    app.add_routes([web.get("/live", live), web.get("/ready", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await _listen(runner, address)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"probes cannot be answered at {address}: {error.strerror or error}",
            hint="set HOLDFAST_HEALTH to a free port, or to host:port",
        ) from error


class _Look:
    """One check, made once at a time however many ask: probes must not use up the connections of the work itself."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._task: asyncio.Task[str] | None = None

    async def wrong(self) -> str:
        """Return what is wrong, or an empty string. Takes at most `PATIENCE`, whatever the check does."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._made())
        # Not cancelled: some of what checks call finishes whatever it has begun.
        done, _ = await asyncio.wait({self._task}, timeout=PATIENCE)
        return self._task.result() if done else f"no answer within {PATIENCE:g} s"

    async def _made(self) -> str:
        try:
            await self._check()
        except Exception as error:
            # The code alone: probes are not authenticated, and the text may quote an address or a name.
            return str(error.code) if isinstance(error, HoldfastError) else type(error).__name__
        return ""

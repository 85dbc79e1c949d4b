"""The other clients of benchmark 1 are compared only if their requests succeed."""

from __future__ import annotations

import asyncio

from benchmarks.support.client_process import run_closed_model


async def test_every_failed_request_is_counted_whatever_goes_on_beside_it() -> None:
    sent: list[int] = []

    async def send() -> int:
        sent.append(503 if len(sent) % 3 == 0 else 200)
        status = sent[-1]
        await asyncio.sleep(0)
        return status

    result = await run_closed_model(send, connections=8, seconds=0.01)
    assert result.failed == sent.count(503) > 0

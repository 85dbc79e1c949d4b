"""What a worker answers to probes."""

from __future__ import annotations

import asyncio
import socket

import pytest

from clients.telemetry import health
from clients.telemetry.health import answering
from domain.errors import ErrorCode, HoldfastError
from tests.support.http import http_client


def free_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


async def fine() -> None:
    return None


async def away() -> None:
    raise HoldfastError(ErrorCode.STORE_UNAVAILABLE, "the database at db.internal refuses user holdfast")


class Silent:
    """A check that never ends, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0

    async def __call__(self) -> None:
        self.begun += 1
        await asyncio.Event().wait()


async def test_a_worker_that_cannot_work_is_alive_and_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is named by its code, without the error's words: anybody may ask. A silent check ends in time."""
    monkeypatch.setattr(health, "PATIENCE", 0.2)
    address, silent = free_address(), Silent()
    async with answering(address, {"server": fine, "store": away, "queue": silent}), http_client() as client:
        await client.get(f"http://{address}/ready")
        ready = await client.get(f"http://{address}/ready")
        assert silent.begun == 1, "a check that hangs is not made again and again"
        assert ready.status_code == 503
        assert ready.json() == {"ready": False, "store": "STORE_UNAVAILABLE", "queue": "no answer within 0.2 s"}
        assert (await client.get(f"http://{address}/live")).status_code == 200
        assert (await client.get(f"http://{address}/")).status_code == 404


async def test_a_taken_port_is_named() -> None:
    address = free_address()
    async with answering(address, {}):
        with pytest.raises(HoldfastError, match=address) as raised:
            async with answering(address, {}):
                pass
    assert raised.value.code is ErrorCode.VALIDATION_ERROR

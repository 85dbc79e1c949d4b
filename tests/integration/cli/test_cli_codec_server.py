"""`holdfast codec-server`, as the Web UI asks it."""

from __future__ import annotations

import base64
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from temporalio.api.common.v1 import Payload

from clients.temporal.encryption import EncryptionCodec
from clients.temporal.payload_keys import PayloadKeys
from tests.support.cli.terminal import Terminal
from tests.support.http import http_client

KEY = os.urandom(32)
UI = "http://ui.internal:8080"


class Served(NamedTuple):
    address: str
    """Without the token."""
    token: str


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    # While workers only decrypt yet, it must show what others have encrypted all the same.
    environ = {"HOLDFAST_PAYLOAD_KEYS": f"plain k:{base64.b64encode(KEY).decode()}"}
    folder = tmp_path_factory.mktemp("codec")
    terminal = await Terminal.start("codec-server", "--port", "0", "--origin", UI, folder=folder, env=environ)
    try:
        await terminal.until("Ctrl-C ends it")
        found = re.search(r"codec at (http://127\.0\.0\.1:\d+)/([0-9a-f]{32})\n", terminal.text)
        assert found
        yield Served(found[1], found[2])
        terminal.signal(signal.SIGINT)
        assert await terminal.end() == 0
    finally:
        await terminal.close()


async def encrypted() -> dict[str, object]:
    codec = EncryptionCodec(PayloadKeys({"k": KEY}))
    [payload] = await codec.encode([Payload(metadata={"encoding": b"json/plain"}, data=b'"known words"')])
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"payloads": [{"metadata": metadata, "data": base64.b64encode(payload.data).decode()}]}


async def ask(url: str, body: object, **headers: str) -> httpx.Response:
    async with http_client() as client:
        return await client.post(url, json=body, headers=headers)


@pytest.mark.parametrize("where", ["path", "header"])
async def test_it_decrypts_for_those_who_have_its_token(served: Served, where: str) -> None:
    in_path = where == "path"
    url = f"{served.address}/{served.token}/decode" if in_path else f"{served.address}/decode"
    headers = {} if in_path else {"authorization": f"Bearer {served.token}"}
    answer = await ask(url, await encrypted(), origin=UI, **headers)
    assert answer.status_code == 200
    [payload] = answer.json()["payloads"]
    assert base64.b64decode(payload["data"]) == b'"known words"'
    assert base64.b64decode(payload["metadata"]["encoding"]) == b"json/plain"
    assert answer.headers["access-control-allow-origin"] == UI


async def test_it_encodes_what_the_temporal_cli_sends_as_workers_do(served: Served) -> None:
    plain = {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": base64.b64encode(b"1").decode()}]}
    encoded = await ask(f"{served.address}/{served.token}/encode", plain)
    assert encoded.json() == plain
    assert (await ask(f"{served.address}/{served.token}/decode", encoded.json())).json() == plain


@pytest.mark.parametrize("token", ["", "wrong", "wröng"])
async def test_nobody_else_gets_an_answer(served: Served, token: str) -> None:
    answer = await ask(f"{served.address}/{token or 'none'}/decode", await encrypted())
    assert answer.status_code == 401
    assert (await ask(f"{served.address}/decode", await encrypted())).status_code == 401
    assert "known" not in answer.text


@pytest.mark.parametrize("body", [[], {"payloads": [{"data": "no base64!"}]}, {"payloads": 1}, "x"])
async def test_a_body_that_is_no_payloads_is_refused(served: Served, body: object) -> None:
    answer = await ask(f"{served.address}/{served.token}/decode", body)
    assert answer.status_code == 400


async def test_only_pages_of_the_web_ui_may_ask(served: Served) -> None:
    async with http_client() as client:
        url = f"{served.address}/{served.token}/decode"
        allowed = await client.request("OPTIONS", url, headers={"origin": UI})
        other = await client.request("OPTIONS", url, headers={"origin": "http://elsewhere.example"})
    assert allowed.headers["access-control-allow-origin"] == UI
    assert "x-namespace" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "there are no keys: HOLDFAST_PAYLOAD_KEYS is not set"),
        ({"HOLDFAST_PAYLOAD_KEYS": "k:x"}, "has a key number 1 that is not base64"),
        (
            {"HOLDFAST_PAYLOAD_KEYS": f"k:{base64.b64encode(KEY).decode()}", "HOLDFAST_CODEC_TOKEN": "short"},
            "environment variable HOLDFAST_CODEC_TOKEN is not a token",
        ),
    ],
)
async def test_it_does_not_start_without_keys_or_with_a_weak_token(
    environ: dict[str, str], words: str, tmp_path: Path
) -> None:
    terminal = await Terminal.start("codec-server", "--port", "0", folder=tmp_path, env=environ)
    assert await terminal.end() == 2
    assert words in terminal.text

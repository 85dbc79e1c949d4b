"""`holdfast codec-server`: lets the Web UI show what is encrypted."""

from __future__ import annotations

import asyncio
import json
import os
import secrets

import click

from cli.commands.serve import JSON_READY
from cli.console import clear_errors, say, survives_lost_output
from clients.temporal.codec_server import LOOPBACK, codec_endpoint
from clients.temporal.embedded_settings import DevServerSettings
from clients.temporal.payload_keys import KEYS, PayloadKeys, payload_keys
from clients.temporal.payloads import encryption_codec
from domain.addresses import LOOPBACK_HOST
from domain.errors import ErrorCode, HoldfastError
from operations.processes.interrupts import Interrupts

TOKEN = "HOLDFAST_CODEC_TOKEN"  # noqa: S105 - the name of the variable
_SHORTEST_TOKEN = 16
_USUAL_ORIGINS = tuple(f"http://{host}:{DevServerSettings().ui_port}" for host in (LOOPBACK, LOOPBACK_HOST))


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8234, show_default=True, help="0 takes a free one.")
@click.option("--origin", "origins", multiple=True, metavar="URL",
              help="A Web UI that may ask; default: the embedded server's. May be repeated.")  # fmt: skip
@JSON_READY
@clear_errors
@survives_lost_output
def codec_server(port: int, origins: tuple[str, ...], *, as_json: bool) -> None:
    """Decrypt payloads for the Web UI and the temporal CLI until Ctrl-C.

    It uses the keys of HOLDFAST_PAYLOAD_KEYS and answers this machine alone, and only with its token: that of
    HOLDFAST_CODEC_TOKEN, or one that is made up at each start and printed.
    """
    keys = payload_keys(os.environ)
    if not keys.by_id:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR, f"there are no keys: {KEYS} is not set", hint="set it as it is for the worker"
        )
    asyncio.run(_serve(keys, _token(), port, origins or _USUAL_ORIGINS, as_json=as_json))


def _token() -> str:
    given = os.environ.get(TOKEN, "")
    if given and (len(given) < _SHORTEST_TOKEN or not given.isascii() or not given.isalnum()):
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"environment variable {TOKEN} is not a token",
            hint=f"write at least {_SHORTEST_TOKEN} letters and digits, such as $(openssl rand -hex 16), or unset it",
        )
    return given


async def _serve(keys: PayloadKeys, given: str, port: int, origins: tuple[str, ...], *, as_json: bool) -> None:
    token = given or secrets.token_hex(16)
    with Interrupts() as interrupts:
        async with codec_endpoint(encryption_codec(keys), token, port, origins) as open_port:
            address = f"http://{LOOPBACK}:{open_port}"
            # A token that was given is known, and is not printed: this output may go to a file.
            if as_json:
                say(json.dumps({"address": address, "token": None if given else token}))
                await interrupts.next()
                return
            say(f"codec at {address}/{f'${TOKEN}' if given else token}")
            say("put this address into the Web UI (the glasses at the top), or after `temporal ... --codec-endpoint`")
            say("Ctrl-C ends it")
            await interrupts.next()

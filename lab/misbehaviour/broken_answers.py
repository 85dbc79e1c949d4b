"""Answers that no client should accept: cut off half-way, or far too long."""

from contextlib import suppress

from aiohttp import web

from lab.services.host import drop

FLOOD = 64 * 1024**2
"""Bytes of a flooding answer. That is more than any client should hold, but too little to fill a test's memory."""

_CHUNK = b" " * 1024**2


async def send_truncated(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Send the first half of an answer, then drop the connection.

    The headers give the length of the whole answer.
    """
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    # Two bytes at least, so that an answer without a body has something to cut off.
    half = web.StreamResponse(status=answer.status, headers={"Content-Length": str(max(len(body), 2))})
    half.content_type = answer.content_type
    await half.prepare(request)
    await half.write(body[: len(body) // 2] or b"{")
    return drop(request)


async def send_flood(request: web.Request) -> web.StreamResponse:
    """Send white space until the client gives up or `FLOOD` is reached.

    JSON allows white space before a value.
    """
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    with suppress(ConnectionError):
        for _ in range(FLOOD // len(_CHUNK)):
            await answer.write(_CHUNK)
        await answer.write_eof()
    return answer

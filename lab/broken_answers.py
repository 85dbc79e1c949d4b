"""Answers whose bodies are not what HTTP promises: cut off in the middle, or without end."""

from contextlib import suppress

from aiohttp import web

from lab.host import drop

FLOOD = 64 * 1024**2
"""Bytes of an answer that floods: more than any client should hold, and not so many that a test fills the memory."""

_CHUNK = b" " * 1024**2


async def truncated(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """The first half of an answer under the length of the whole, and then the end of the connection."""
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    # An answer without a body has nothing to cut off, so it promises one.
    half = web.StreamResponse(status=answer.status, headers={"Content-Length": str(max(len(body), 2))})
    half.content_type = answer.content_type
    await half.prepare(request)
    await half.write(body[: len(body) // 2] or b"{")
    return drop(request)


async def flooded(request: web.Request) -> web.StreamResponse:
    """White space, which JSON allows before a value, until the client gives up or `FLOOD` is reached."""
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    with suppress(ConnectionError):
        for _ in range(FLOOD // len(_CHUNK)):
            await answer.write(_CHUNK)
        await answer.write_eof()
    return answer

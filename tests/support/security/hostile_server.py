"""A server that answers as no server should: `/h/<name>/...` gives the hostile answer of that name."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

PIECE = 64 * 1024
ENOUGH = 2 << 30
"""Bytes after which an endless answer ends. By then a reader without limits is dead."""


def _bomb(layers: int) -> bytes:
    """Compress zeros in layers of gzip.

    One layer holds 1 GB in a megabyte, and two layers hold it in some kilobytes.
    """
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = squeezer.compress(bytes(1 << 20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    # The checksum is wrong, which a reader finds out only after making a gigabyte of it.
    data = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + piece * 1024 + squeezer.flush() + bytes(8)
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return data


_MADE: dict[int, bytes] = {}


def bomb(layers: int) -> bytes:
    """Return the bomb with these layers, made only once."""
    if layers not in _MADE:
        _MADE[layers] = _bomb(layers)
    return _MADE[layers]


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def whole(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    return head(*lines, f"Content-Length: {len(body)}", status=status) + body


def plain(data: bytes | Callable[[], bytes]) -> Answer:
    """Send these bytes, then end the connection."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data() if callable(data) else data)
        await writer.drain()

    return answer


def endless(first: bytes, piece: bytes) -> Answer:
    """Send a beginning, then the same piece for as long as anybody reads."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        times = max(1, PIECE // len(piece))
        sent = 0
        while sent < ENOUGH:
            writer.write(piece * times)
            await writer.drain()
            sent += len(piece) * times

    return answer


def dripping(first: bytes, piece: bytes = b"x") -> Answer:
    """Send a beginning, then a little now and then."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)

    return answer


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


CHUNKED = head("Transfer-Encoding: chunked")
JSON_OK = b'{"success":true,"data":null}'


def _heads() -> dict[str, Answer]:
    lines = {
        "header-without-end": endless(b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        "header-name-without-end": endless(b"HTTP/1.1 200 OK\r\n", b"a"),
        "headers-without-end": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        "folded-without-end": endless(b"HTTP/1.1 200 OK\r\nX: y\r\n", b" y\r\n"),
        "cookies-without-end": endless(b"HTTP/1.1 200 OK\r\n", b"Set-Cookie: a=b\r\n"),
        "reason-without-end": endless(b"HTTP/1.1 200 ", b"O"),
        "status-without-end": endless(b"HTTP/1.1 ", b"2"),
        "version-without-end": endless(b"HTTP/", b"1"),
        "empty-lines-without-end": endless(b"", b"\r\n"),
        "zeros-without-end": endless(b"", b"\0"),
        "headers-100000": plain(head(*(f"X-{i}: {i}" for i in range(100_000))) + JSON_OK),
        "header-of-1-MB": plain(head("X: " + "y" * (1 << 20)) + JSON_OK),
        "header-of-100-KB": plain(whole(JSON_OK, "X: " + "y" * 100_000)),
        "head-dripping": dripping(b"HTTP/1.1 200 OK\r\nX: "),
        "nothing-dripping": dripping(b"", b"\r\n"),
        "http-0.9": plain(b"<html>hello</html>"),
        "http-9.9": plain(b"HTTP/9.9 200 OK\r\n\r\n"),
        "http-2-preface": plain(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        "ssh": plain(b"SSH-2.0-OpenSSH_9.6\r\n"),
        "tls-alert": plain(b"\x15\x03\x01\x00\x02\x02\x46"),
        "status-0": plain(whole(JSON_OK, status="0 X")),
        "status-99": plain(whole(JSON_OK, status="99 X")),
        "status-999": plain(whole(JSON_OK, status="999 X")),
        "status-9999": plain(whole(JSON_OK, status="9999 X")),
        "status-negative": plain(whole(JSON_OK, status="-200 X")),
        "status-empty": plain(b"HTTP/1.1\r\n\r\n"),
        "status-letters": plain(whole(JSON_OK, status="abc X")),
        "header-with-nul": plain(whole(JSON_OK, "X: a\0b")),
        "header-without-colon": plain(whole(JSON_OK, "nonsense")),
        "header-without-name": plain(whole(JSON_OK, ": value")),
        "header-latin": plain(whole(JSON_OK, "X: \xff\xfe\x80")),
        "bare-newlines": plain(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
        "nothing": plain(b""),
        "half-a-head": plain(b"HTTP/1.1 200 OK\r\nContent-Le"),
        "silence": silent,
        "reset": reset,
    }
    interim = {f"interim-{count}": plain(head(status="100 Continue") * count + whole(JSON_OK)) for count in (1, 99)}
    interim |= {f"interim-{count}": plain(head(status="103 X") * count + whole(JSON_OK)) for count in (101, 5_000)}
    interim["interim-without-end"] = endless(b"", head(status="100 Continue"))
    interim["hints-without-end"] = endless(b"", head("Link: </x>; rel=preload", status="103 Early Hints"))
    interim["switching"] = endless(head("Upgrade: x", "Connection: upgrade", status="101 Switching Protocols"), b"x")
    return lines | interim


def _lengths() -> dict[str, Answer]:
    sizes = ["-1", "0x10", "1e3", "+5", " ", "", "9" * 19, "9" * 21, "9" * 5_000, "5, 6", "5, 5", "5;", "\u00b2"]
    found = {f"length-{i}": plain(head(f"Content-Length: {size}") + b"hello") for i, size in enumerate(sizes)}
    return found | {
        "length-two": plain(head("Content-Length: 5", "Content-Length: 6") + b"hello!"),
        "length-and-chunked": plain(head("Content-Length: 500", "Transfer-Encoding: chunked") + chunked(JSON_OK)),
        "length-too-long": plain(head("Content-Length: 500") + b"hello"),
        "length-1-GB": endless(head(f"Content-Length: {1 << 30}"), b"x"),
        "length-too-short": plain(head("Content-Length: 5") + JSON_OK),
    }


def _bodies() -> dict[str, Answer]:
    return {
        "body-without-end": endless(head(), b"x"),
        "body-of-brackets": endless(head(), b"["),
        "body-of-spaces": endless(head(), b" "),
        "body-dripping": dripping(head()),
        "body-cut": plain(head() + b'{"success":tr'),
        "chunk-without-end": endless(CHUNKED + b"fffffffffffffff\r\n", b"x"),
        "chunks-without-end": endless(CHUNKED, b"5\r\nhello\r\n"),
        "chunks-of-one-byte": endless(CHUNKED, b"1\r\nx\r\n"),
        "chunks-dripping": dripping(CHUNKED, b"1\r\nx\r\n"),
        "chunk-extension-without-end": endless(CHUNKED + b"1;", b"x"),
        "chunk-extensions-without-end": endless(CHUNKED, b"1;" + b"y" * 60_000 + b"\r\nx\r\n"),
        "chunk-size-without-end": endless(CHUNKED, b"0"),
        "chunk-size-negative": plain(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"),
        "chunk-size-of-letters": plain(CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"),
        "chunk-size-huge": plain(CHUNKED + b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n"),
        "chunk-without-newline": plain(CHUNKED + b"5\r\nhelloworld\r\n0\r\n\r\n"),
        "trailer-without-end": endless(CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"y"),
        "trailers-without-end": endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n"),
        "chunked-twice": plain(head("Transfer-Encoding: chunked, chunked") + chunked(chunked(JSON_OK))),
        "transfer-gzip": plain(lambda: head("Transfer-Encoding: gzip, chunked") + chunked(bomb(1))),
        "transfer-unknown": plain(head("Transfer-Encoding: x") + JSON_OK),
        "body-of-204": plain(whole(b"x" * 1_000, status="204 No Content")),
        "body-of-304": plain(whole(b"x" * 1_000, status="304 Not Modified")),
        "two-answers": plain(whole(JSON_OK) + whole(b'{"success":true,"data":{"lie":1}}')),
        "answer-and-noise": endless(whole(JSON_OK), b"noise"),
    }


def _encodings() -> dict[str, Answer]:
    names = [
        "gzip",
        "x-gzip",
        "GZIP",
        "deflate",
        "br",
        "zstd",
        "compress",
        "nonsense",
        "identity, gzip",
        "gzip,,",
        "\xff",
    ]
    found = {f"encoding-{i}": plain(whole(JSON_OK, f"Content-Encoding: {name}")) for i, name in enumerate(names)}
    for layers, name in ((1, "gzip"), (2, "gzip, gzip"), (3, "gzip, gzip, gzip")):
        for status in ("200 OK", "500 Oops"):

            def body(layers: int = layers, name: str = name, status: str = status) -> bytes:
                return whole(bomb(layers), f"Content-Encoding: {name}", status=status)

            found[f"bomb-{layers}-{status[:3]}"] = plain(body)
    two = lambda: head("Content-Encoding: gzip", "Content-Encoding: gzip", "Transfer-Encoding: chunked")  # noqa: E731
    found["bomb-in-chunks"] = plain(lambda: two() + chunked(bomb(2)))
    found["encodings-200"] = plain(lambda: whole(bomb(2), "Content-Encoding: " + ", ".join(["gzip"] * 200)))
    found["encoding-identity"] = plain(whole(JSON_OK, "Content-Encoding: identity"))
    return found


def _charsets() -> dict[str, Answer]:
    names = ["zlib", "idna", "utf-7", "utf-16", "rot13", "hex", "base64", "bz2", "punycode", "unicode_escape", "mbcs"]
    names += [
        "undefined",
        "nothing",
        "",
        "x" * 10_000,
        "../../etc/passwd",
        "\xff",
        "utf-8; charset=zlib",
        '"zlib"',
        "0",
    ]
    names.append("0")
    made = zlib.compress(bytes(100_000))
    return {
        f"charset-{i}": plain(whole(made, f"Content-Type: application/json; charset={name}"))
        for i, name in enumerate(names)
    }


def _json() -> dict[str, Answer]:
    texts: list[bytes] = [
        b"[" * 200_000,
        b"[" * 90_000 + b"]" * 90_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[" + b"[]," * 1_000_000 + b"[]]",
        b"[" + b"{}," * 2_000_000 + b"{}]",
        b'{"success":true,"data":[' + b'"",' * 2_000_000 + b'""]}',
        b'{"success":true,"data":' + b"9" * 5_000 + b"}",
        b'{"success":true,"data":' + b"9" * 4_000 + b"}",
        b'{"success":true,"data":1e999}',
        b'{"success":true,"data":-1e999}',
        b'{"success":true,"data":NaN}',
        b'{"success":true,"data":[Infinity,-Infinity]}',
        b'{"success":true,"data":"\\ud800\\udfff\\ud800"}',
        b'{"success":true,"success":false,"data":1,"data":{}}',
        b'{"success":true,"data":{"taskId":{"a":[1]},"status":[],"requestPatterns":{}}}',
        b'{"success":true,"data":[{"statusCode":1' + b"0" * 300 + b"}]}",
        b'{"success":true,"data":[{"statusCode":1'
        + b"0" * 300
        + b',"responseBody":{"a":'
        + b"[" * 90
        + b"]" * 90
        + b"}}]}",
        b'{"success":true,"data":{"phase":{"a":1},"status":{"expStatuses":[[[]],1,null]}}}',
        b'{"success":true,"data":{"recordings":{"a":1}}}',
        b'{"success":true,"data":{"isRecording":"yes","recordingId":[1,2]}}',
        b'{"success":true,"data":["hf-' + b"x" * 1_000_000 + b'"]}',
        b'{"success":false,"error":{"code":{},"message":[' + b"1," * 1_000 + b"1]}}",
        b'{"success":false,"error":[1]}',
        b'{"success":1,"data":1}',
        b'"' + b"x" * 5_000_000 + b'"',
        b'"' + b"\\" * 5_000_001 + b'"',
        b'{"upserted":1' + b"0" * 400 + b"}",
        b'{"kind":"Status","reason":{"a":1},"message":["x"]}',
        b'{"kind":"DeploymentList","items":[1,null,{}]}',
        b'{"metadata":{"name":"a","uid":"u"},"spec":{"replicas":1e400,"selector":{"matchLabels":{"a":1}}}}',
        b'{"metadata":{"name":"a","uid":"u","generation":1' + b"0" * 99 + b'},"spec":{"selector":{}}}',
        "\ufeff{}".encode(),
        '{"success":true}'.encode("utf-16"),
        b"\xff\xfe\xfd",
        b"",
        b"null",
        b"{}garbage",
        b'{"access_token":"' + b"x" * 200_000 + b'"}',
        b'{"access_token":"a\\r\\nX: y"}',
        b'{"access_token":["x"]}',
    ]
    return {f"json-{i}": plain(whole(text, "Content-Type: application/json")) for i, text in enumerate(texts)}


def _others() -> dict[str, Answer]:
    found = {
        "redirect-to-itself": plain(whole(b"", "Location: /h/redirect-to-itself/", status="302 Found")),
        "redirect-to-a-file": plain(whole(b"", "Location: file:///etc/passwd", status="301 Moved")),
        "redirect-to-nonsense": plain(whole(b"", "Location: http://[::bad", status="308 X")),
        "redirect-to-metadata": plain(whole(b"", "Location: http://169.254.169.254/", status="307 X")),
        "cookie": plain(whole(JSON_OK, "Set-Cookie: a=b; Domain=.com")),
        "asks-for-credentials": plain(whole(b"{}", "WWW-Authenticate: Digest realm=x", status="401 X")),
        "retry-later": plain(whole(b"{}", "Retry-After: 999999999", status="429 X")),
    }
    return found | {
        f"status-{status}": plain(whole(b"{}", status=f"{status} X")) for status in (418, 451, 500, 503, 599)
    }


ANSWERS: dict[str, Answer] = _heads() | _lengths() | _bodies() | _encodings() | _charsets() | _json() | _others()


@asynccontextmanager
async def hostile_server() -> AsyncIterator[str]:
    """Yield the address to which `/h/<name>` is appended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            asked = await reader.readuntil(b"\r\n\r\n")
            name = asked.split(b"/")[2].split(b" ")[0].decode()
            await ANSWERS[name](writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    # Make the bombs before anybody waits for them.
    for layers in (1, 2, 3):
        bomb(layers)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()

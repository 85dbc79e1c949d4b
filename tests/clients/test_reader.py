"""The limits of what is read from outside, each at its edge: one byte, chunk or answer more is refused."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from clients.bounded_json import DEEPEST, MOST_VALUES, parse
from clients.reader import HEAD_LIMIT, Limits, NoAnswerError, Trouble, fetch
from tests.clients.raw_server import raw_server

BODY = 1_000
LIMITS = Limits(seconds=20, body=BODY)
END = b"\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" + END
CONTINUE = b"HTTP/1.1 100 Continue" + END


def sized(size: int, sent: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d" % size + END + sent


def with_head_of(size: int) -> bytes:
    rest = len(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + END)
    return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"x" * (size - rest) + END


async def trouble(answer: bytes, limits: Limits = LIMITS) -> tuple[Trouble, str] | None:
    """Why an answer is refused; None when it is read."""
    async with raw_server(answer) as server:
        try:
            await fetch("GET", server.url, limits)
        except NoAnswerError as error:
            return error.trouble, error.name
    return None


async def test_a_given_header_takes_the_place_of_ours_in_any_case() -> None:
    """A name twice is refused by many servers, and what is sent again was recorded in lower case."""
    async with raw_server(sized(0, b"")) as server:
        await fetch("GET", server.url, LIMITS, headers={"user-agent": "a browser", "accept": "text/html"})
        (head,) = server.heads
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line]
    assert len(names) == len(set(names))
    assert b"a browser" in head
    assert b"holdfast" not in head


async def test_a_head_may_be_as_long_as_its_limit_and_no_longer() -> None:
    assert await trouble(with_head_of(HEAD_LIMIT)) is None
    # Read in pieces, so the refusal may come up to one piece late.
    assert await trouble(with_head_of(HEAD_LIMIT + 8 * 1024)) == (Trouble.TOO_LONG, "LongHead")


async def test_interim_answers_are_part_of_the_head() -> None:
    few = HEAD_LIMIT // len(CONTINUE) - 100
    assert await trouble(CONTINUE * few + sized(0, b"")) is None
    assert await trouble(CONTINUE * (few + 500) + sized(0, b"")) == (Trouble.TOO_LONG, "LongHead")


async def test_a_body_may_be_as_long_as_its_limit_and_no_longer() -> None:
    assert await trouble(sized(BODY, b"x" * BODY)) is None
    chunk = b"%x\r\n" % (BODY + 1) + b"x" * (BODY + 1) + b"\r\n0" + END
    assert await trouble(CHUNKED + chunk) == (Trouble.TOO_LONG, "LongAnswer")


async def test_an_announced_length_beyond_the_limit_is_refused_unread() -> None:
    """The body never comes: only its announcement can be the reason."""
    assert await trouble(sized(BODY + 1, b"")) == (Trouble.TOO_LONG, "LongAnswer")


async def test_many_small_chunks_are_refused_whatever_their_bytes() -> None:
    assert await trouble(CHUNKED + b"1\r\nx\r\n" * 60_000 + b"0" + END, Limits(seconds=60, body=1 << 20)) == (
        Trouble.TOO_LONG,
        "LongAnswer",
    )


async def test_what_surrounds_a_body_is_counted() -> None:
    """Chunk extensions: few bytes of body, without end on the wire."""
    padded = b"1;" + b"p" * 4_000 + b"\r\nx\r\n"
    assert await trouble(CHUNKED + padded * 100 + b"0" + END) == (Trouble.TOO_LONG, "LongAnswer")


@pytest.mark.parametrize("encoding", [b"gzip", b"gzip, gzip", b"deflate", b"br", b"identity, gzip", b"GZIP"])
async def test_encoded_answers_are_refused_unread(encoding: bytes) -> None:
    body = zlib.compress(b"0" * 900)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + b"\r\nContent-Length: %d" % len(body) + END
    assert await trouble(head + body) == (Trouble.ENCODED, "EncodedAnswer")


async def test_a_silent_or_dripping_server_costs_no_more_than_the_total_time() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(sized(BODY, b""))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(drip) as server:
        with pytest.raises(NoAnswerError) as raised:
            await fetch("GET", server.url, Limits(seconds=0.5, body=BODY))
    assert raised.value.trouble is Trouble.TIMEOUT


def test_json_may_be_as_deep_as_its_limit_and_no_deeper() -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        inner = "1" if opening != "[" else ""
        assert parse(opening * DEEPEST + inner + closing * DEEPEST) is not None
        with pytest.raises(ValueError, match="too deeply"):
            parse(opening * (DEEPEST + 1) + inner + closing * (DEEPEST + 1))


def test_json_may_have_as_many_values_as_its_limit_and_no_more() -> None:
    assert len(parse("[" + "1," * (MOST_VALUES - 2) + "1]")) == MOST_VALUES - 1
    with pytest.raises(ValueError, match="too many values"):
        parse("[" + "1," * MOST_VALUES + "1]")
    # What stands in strings is no structure.
    text = "[," * MOST_VALUES
    assert parse(f'["{text}"]') == [text]


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "9" * 4_301])
def test_numbers_that_json_or_python_cannot_hold_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not JSON|bounds|digits"):
        parse(text)


async def test_no_header_is_sent_twice_whatever_its_case() -> None:
    """Recorded requests bring lower-case names of headers that we would send ourselves."""
    async with raw_server(sized(0, b"")) as server:
        await fetch("GET", server.url, LIMITS, headers={"user-agent": "a shop", "ACCEPT": "text/html"})
    lines = server.heads[0].decode().splitlines()
    names = [line.partition(":")[0].lower() for line in lines[1:] if line]
    assert len(names) == len(set(names))
    assert "user-agent: a shop" in lines
    assert "ACCEPT: text/html" in lines


async def test_the_kind_of_an_answer_is_kept_and_cut() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/html" + b"x" * 5_000 + END
    async with raw_server(head) as server:
        kind = (await fetch("GET", server.url, LIMITS)).content_type
    assert kind.startswith("text/html")
    assert len(kind) == 200

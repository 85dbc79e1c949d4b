"""A real service behind the lab's address answers as if the lab were not there."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from lab import Lab, LabSettings, PortChoice, Topology
from lab.services.sockets import LARGEST_BODY
from tests.support.lab.driver import Driver, until
from tests.support.lab.real_service import Arrived, RealService, asking, exchange, http

SETTINGS = LabSettings(rollout=0.02)
IMPATIENT = LabSettings(rollout=0.02, upstream_timeout=0.3)


def behind(upstream: str, **fields: object) -> Topology:
    service = {"name": "a", "upstream": upstream, **fields}
    return Topology.model_validate({"namespace": "test", "entry": "a", "services": [service]})


@pytest.fixture
async def real() -> AsyncIterator[RealService]:
    async with RealService() as service:
        yield service


@pytest.fixture
async def at(real: RealService) -> AsyncIterator[str]:
    async with Lab(behind(real.url), settings=SETTINGS, ports=PortChoice.FREE) as lab:
        yield lab.addresses.entry


@pytest.mark.parametrize(
    "target",
    ["/a%2fb%7E%41?q=a+b%20c&q=&=%zz", "/a/../b/./c", "//double//", "/x;y=1,2?a?b", '/"<>^`{|}', "/?" + "q" * 20_000],
    ids=["encoded", "dots", "slashes", "separators", "unwise", "long"],
)
async def test_the_target_arrives_letter_by_letter(real: RealService, at: str, target: str) -> None:
    """A path that is decoded and encoded again would ask for something else."""
    status, _, body = await exchange(at, asking(target))
    assert (status, body) == ("HTTP/1.1 200 OK", b"hello")
    assert real.arrived[0].line == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_methods_and_bodies_arrive(real: RealService, at: str, method: str) -> None:
    """Every method arrives with a binary body, and no content type is added."""
    await exchange(at, asking("/x", method=method, body=bytes(range(256))))
    assert real.arrived[0].line == f"{method} /x HTTP/1.1"
    assert real.arrived[0].body == bytes(range(256))
    assert real.arrived[0].all("content-type") == []


async def test_headers_arrive_as_often_as_they_were_sent(real: RealService, at: str) -> None:
    """In any spelling, empty or beyond ASCII. Only the headers of the connection are the lab's own."""
    sent = [
        *("X-Many: 1", "x-many: 2", "X-Empty:", "Cookie: a=1; b=2", "X-Latin: caf\xe9", "X-Long: " + "a" * 20_000),
        *("User-Agent: mine", "Accept-Encoding: br", "baggage: t=1,u=2;p=3", "Connection: X-Hop", "X-Hop: 1", "TE: x"),
    ]
    await exchange(at, asking("/x", *sent))
    arrived = real.arrived[0]
    assert arrived.all("x-many") == ["1", "2"]
    assert arrived.all("x-empty") == [""]
    assert arrived.all("x-latin") == ["caf\xe9".encode().decode("latin-1")]
    assert arrived.all("x-long") == ["a" * 20_000]
    assert [arrived.all(name) for name in ("cookie", "user-agent", "accept-encoding", "baggage")] == [
        ["a=1; b=2"], ["mine"], ["br"], ["t=1,u=2;p=3"],
    ]  # fmt: skip
    assert [arrived.all(name) for name in ("x-hop", "te")] == [[], []]
    assert arrived.all("host") == [real.url.removeprefix("http://")]
    assert arrived.all("x-forwarded-host") == ["lab"]


async def test_the_labs_library_adds_no_headers_to_a_request(real: RealService, at: str) -> None:
    """A service that answers by user agent or by accepted types sees the client, not the library."""
    await exchange(at, asking("/x"))
    assert {name.lower() for name, _ in real.arrived[0].headers} == {"host", "connection", "x-forwarded-host"}


async def test_a_chunked_body_arrives_whole(real: RealService, at: str) -> None:
    """Its length was unknown before, and is known afterwards."""
    head = asking("/x", "Transfer-Encoding: chunked", method="POST")
    await exchange(at, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert real.arrived[0].body == b"abcde"


async def test_a_compressed_body_arrives_compressed(real: RealService, at: str) -> None:
    """The header that declares the compression arrives too, hence the body must still match it."""
    packed = gzip.compress(b"text" * 99)
    await exchange(at, asking("/x", "Content-Encoding: gzip", method="POST", body=packed))
    assert (real.arrived[0].body, real.arrived[0].all("content-encoding")) == (packed, ["gzip"])


async def test_a_client_may_ask_before_it_sends_its_body(real: RealService, at: str) -> None:
    """With `Expect: 100-continue` and no answer, the client would wait before each large body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(at).port)
    writer.write(b"PUT /x HTTP/1.1\r\nHost: lab\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    assert (real.arrived[0].body, real.arrived[0].all("expect")) == (b"body", [])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_answers_come_back_byte_for_byte(real: RealService, at: str, coding: str) -> None:
    """Status, reason, repeated headers, and a body in any coding."""
    body = {"gzip": gzip.compress(b"x" * 999), "deflate": zlib.compress(b"x" * 999)}.get(coding, bytes(range(256)))
    cookies = ["Set-Cookie: a=1; Path=/; HttpOnly", "Set-Cookie: b=2; Expires=Wed, 21 Oct 2015 07:28:00 GMT"]
    more = [f"Content-Encoding: {coding}", "X-Latin: caf\xe9", "Server: mine", "Keep-Alive: timeout=5"]
    real.answer = http(body, *cookies, *more, "X-Long: " + "a" * 20_000, status="418 Short And Stout")
    status, headers, came = await exchange(at, asking("/x"))
    assert (status, came) == ("HTTP/1.1 418 Short And Stout", body)
    assert [f"Set-Cookie: {value}" for name, value in headers if name.lower() == "set-cookie"] == cookies
    values = {name.lower(): value for name, value in headers}
    assert (values["content-encoding"], values["server"]) == (coding, "mine")
    assert values["x-latin"].encode("latin-1").decode() == "caf\xe9"
    assert len(values["x-long"]) == 20_000
    assert "keep-alive" not in values


@pytest.mark.parametrize(
    ("answer", "method", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "GET", b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "GET", b"until the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "DELETE", b""),
        (b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', "GET", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n", "HEAD", b""),
    ],
    ids=["chunked", "until closed", "nothing", "not modified", "head"],
)
async def test_every_form_of_answer_comes_back(
    real: RealService, at: str, answer: bytes, method: str, body: bytes
) -> None:
    """HEAD keeps the length of the body that GET would send."""
    real.answer = answer
    status, headers, came = await exchange(at, asking("/x", method=method))
    assert (status.split()[1], came) == (answer.split()[1].decode(), body)
    length = {name.lower(): value for name, value in headers}.get("content-length")
    assert method != "HEAD" or length == "70"


async def test_redirects_lead_back_to_the_lab(real: RealService, at: str) -> None:
    """Redirects to the service itself get the client's address. Relative and foreign targets stay as they are."""
    expected = {
        f"{real.url}/next?a=%2F#b": "http://lab/next?a=%2F#b",
        real.url: "http://lab",
        real.url.removeprefix("http:") + "/next": "http://lab/next",
        real.url.upper() + "/Next": "http://lab/Next",
        "/next": "/next",
        "next?to=" + real.url: "next?to=" + real.url,
        f"{real.url}0/other": f"{real.url}0/other",
        "http://elsewhere.example/x": "http://elsewhere.example/x",
        real.url.replace("http:", "https:"): real.url.replace("http:", "https:"),
    }
    for location, wanted in expected.items():
        real.answer = http(b"", f"Location: {location}", status="302 Found")
        status, headers, _ = await exchange(at, asking("/x"))
        assert (status, dict(headers)["Location"]) == ("HTTP/1.1 302 Found", wanted)


async def test_bodies_that_are_too_large_are_refused_with_the_limit(real: RealService, at: str) -> None:
    """They are held in memory: 413 for a request's, which the service never sees, and 502 for an answer's."""
    status, _, body = await exchange(at, asking("/x", method="POST", body=bytes(LARGEST_BODY + 1)))
    assert status.split()[1] == "413"
    assert str(LARGEST_BODY).encode() in body
    assert real.arrived == []
    real.answer = http(bytes(LARGEST_BODY + 1))
    status, _, body = await exchange(at, asking("/x"))
    assert status.split()[1] == "502"
    assert f"{real.url} answers with more than {LARGEST_BODY} bytes".encode() in body


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
async def test_an_improper_answer_is_a_502(real: RealService, at: str, answer: bytes) -> None:
    """Half an answer counts as none."""
    real.answer = answer
    status, _, body = await exchange(at, asking("/x"))
    assert status.split()[1] == "502"
    assert f"{real.url} cannot be asked".encode() in body


async def test_a_service_that_takes_too_long_is_a_504(real: RealService) -> None:
    """The error names the limit and the service."""
    over = asyncio.Event()

    async def never(_: Arrived) -> bytes:
        await over.wait()
        return http()

    real.answer = never
    async with Lab(behind(real.url), settings=IMPATIENT, ports=PortChoice.FREE) as lab:
        status, _, body = await exchange(lab.addresses.entry, asking("/x"))
    over.set()
    assert status.split()[1] == "504"
    assert f"{real.url} did not answer within 0.3 s".encode() in body


async def test_a_service_that_is_down_is_a_502_and_not_ready() -> None:
    """Readiness is that of the real service: gone, failing, and back again."""
    async with RealService() as real:
        pass
    wanted = behind(real.url, upstream_health="/ready?deep=%2F")
    async with Lab(wanted, settings=SETTINGS, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        answer = await driver.service("a", "/x")
        assert (answer.status, answer.json) == (502, {"error": f"{real.url} cannot be asked: ClientConnectorError"})
        assert (await driver.service("a", "/health")).status == 503
        async with real:
            real.answer = http(status="500 Broken")
            assert (await driver.service("a", "/health")).status == 503
            real.answer = http(status="404 Not Found")
            assert (await driver.service("a", "/health")).status == 200
            assert {arrived.line for arrived in real.arrived} == {"GET /ready?deep=%2F HTTP/1.1"}

        async def gone() -> bool:
            return (await driver.service("a", "/health")).status == 503

        await until(gone, "a service that is not ready")

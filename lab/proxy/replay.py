"""Replays: recorded requests, really sent again.

They go straight to the service's pod, past its sidecar.
"""

import asyncio
from http import HTTPStatus

import aiohttp
from yarl import URL

from lab.proxy.patterns import Pattern, Replayed
from lab.services.cluster import Cluster
from lab.services.host import Host
from lab.services.sockets import Listener
from lab.settings import PortChoice

_NOT_SENT_AGAIN = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
_AT_ONCE = 8


class Replayer:
    """Sends patterns again and reports the answers, as lossily as the peer."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def replay(self, service: str, patterns: list[Pattern]) -> list[Replayed]:
        """Replay all patterns of one service."""
        gate = asyncio.Semaphore(_AT_ONCE)
        host = self._cluster.hosts[service]
        # The peer forwards a local port to a pod, which bypasses both the Service's targetPort and the sidecar.
        forwarded = Listener(host.handle_in_pod, None, PortChoice.FREE)

        async def replay(pattern: Pattern) -> Replayed:
            async with gate:
                return await self._replay(host, pattern, forwarded)

        try:
            await forwarded.settle(lambda: True)
            return list(await asyncio.gather(*(replay(pattern) for pattern in patterns)))
        finally:
            await forwarded.close()

    async def _replay(self, host: Host, pattern: Pattern, forwarded: Listener) -> Replayed:
        target = _encoded_again(pattern.url)
        shown = Replayed(url=f"http://localhost:{forwarded.port}{target}", method=pattern.method)
        if not host.app_up:
            return _io_error(shown, "Connection refused")
        headers = {k: v for k, v in pattern.request_headers.items() if k.lower() not in _NOT_SENT_AGAIN}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=self._cluster.settings.replay_timeout)
        try:
            async with self._cluster.session.request(
                pattern.method,
                URL(forwarded.url + target, encoded=True),
                headers=headers,
                data=pattern.request_body.encode() or None,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return await _http_answer(shown, response)
        except TimeoutError:
            return _io_error(shown, "Read timed out")
        except aiohttp.ClientConnectorError:
            return _io_error(shown, "Connection refused")
        except aiohttp.ClientError as error:
            return _io_error(shown, str(error) or "Connection reset")


def _encoded_again(url: str) -> str:
    """Return path and query, with the path percent-encoded once too often.

    This is the peer's mistake.
    """
    target = "/" + url.split("://", 1)[1].partition("/")[2]
    path, mark, query = target.partition("?")
    return path.replace("%", "%25") + mark + query


async def _http_answer(shown: Replayed, response: aiohttp.ClientResponse) -> Replayed:
    body = await response.text(errors="replace")
    if response.status < 400:
        headers: dict[str, list[str]] = {}
        for name, value in response.headers.items():
            headers.setdefault(name, []).append(value)
        return shown.model_copy(
            update={"status_code": response.status, "response_headers": headers, "response_body": body}
        )
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    message = f"{response.status} {phrase}: " + (f'"{body}"' if body else "[no body]")
    return shown.model_copy(update={"error_message": message})


def _io_error(shown: Replayed, cause: str) -> Replayed:
    message = f'I/O error on {shown.method} request for "{shown.url}": {cause}'
    return shown.model_copy(update={"error_message": message})

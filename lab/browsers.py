"""Keeps web pages out: the lab's own addresses answer programs on this machine, not sites that a browser visits.

A page can send requests to 127.0.0.1 (cross-site), or give its own name that address and read the answers as well
(DNS rebinding). What a browser cannot forge shows both: Host, Origin and Sec-Fetch-Site. JSON alone counts as a body,
because a page can send nothing else with a form.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from lab.envelope import Handler, failure

_HERE = ("127.0.0.1", "localhost", "::1")
_NOT_ACROSS = ("same-origin", "none")
"""What a browser says of a request that no other site has caused: by a page of ours, or by its address bar."""


@web.middleware
async def only_programs(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a web page can send; nothing has been read of it, counted or done."""
    why = _from_elsewhere(request)
    if why:
        return failure("403", f"refused: {why}", 403)
    if request.body_exists and request.content_type != "application/json":
        return failure("415", "refused: a body must be application/json", 415)
    return await handler(request)


def _from_elsewhere(request: web.Request) -> str:
    """What shows that a request was meant for, or comes from, another site; empty when nothing does."""
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or _name_in(hosts[0]) not in _HERE:
        return "Host must be this machine's own name, 127.0.0.1 or localhost"
    if any(origin != f"http://{hosts[0]}" for origin in request.headers.getall(hdrs.ORIGIN, [])):
        return "it comes from a page of another origin"
    if any(site not in _NOT_ACROSS for site in request.headers.getall("Sec-Fetch-Site", [])):
        return "it comes from a page of another site"
    return ""


def _name_in(host: str) -> str:
    """The name in a Host header, without its port; empty when it cannot be read."""
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return ""
    # What is more than a name and a port names somebody else, or nobody.
    return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""

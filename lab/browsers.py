"""Keeps web pages out of the lab.

The lab's own addresses serve programs on this machine, not sites that a browser visits. A page could send requests to
127.0.0.1 (cross-site). It could also point its own host name at that address, and then read the answers as well (DNS
rebinding). The headers Host, Origin and Sec-Fetch-Site reveal both, and a page cannot forge them. Only JSON is accepted
as a body, because a page's form cannot send it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from lab.envelope import Handler, failure

_OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
_SAME_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site for requests that no other site caused. They come from a page of ours or from the address
bar."""


@web.middleware
async def refuse_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a web page can send.

    A refused request has no effect: it is neither read nor counted.
    """
    why = _why_foreign(request)
    if why:
        return failure("403", f"refused: {why}", 403)
    if request.body_exists and request.content_type != "application/json":
        return failure("415", "refused: a body must be application/json", 415)
    return await handler(request)


def _why_foreign(request: web.Request) -> str:
    """Return why a request is refused; empty if it is not.

    It was addressed to another host, or a page of another site caused it.
    """
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or _name_in(hosts[0]) not in _OWN_HOSTS:
        return "Host must be this machine's own name, 127.0.0.1 or localhost"
    if any(origin != f"http://{hosts[0]}" for origin in request.headers.getall(hdrs.ORIGIN, [])):
        return "it comes from a page of another origin"
    if any(site not in _SAME_SITE for site in request.headers.getall("Sec-Fetch-Site", [])):
        return "it comes from a page of another site"
    return ""


def _name_in(host: str) -> str:
    """Return the name in a Host header, without its port.

    Empty if the header cannot be read.
    """
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return ""
    # Anything beyond a name and a port names another host, or none.
    return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""

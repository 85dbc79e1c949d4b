"""The Envoy container that the proxy puts in front of a service.

It answers by rule, records, or passes requests on.
"""

import re
import time
from enum import StrEnum

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from lab.journal import Moment

SIDECAR_PORT = 15006
APP_PORT = 8080

DEFAULT_CONTENT_TYPE = "application/json;charset=UTF-8"
DEFAULT_BODY = '{"status":0,"msg":"Service temporarily unavailable due to interception rule","data":null}'
_ESCAPED_IN_PATHS = re.compile("[&<>\"'=`]")


class SidecarKind(StrEnum):
    """What the proxy injected the sidecar for."""

    RULES = "rules"
    RECORDING = "recording"


class Rule(BaseModel):
    """One direct response, as rendered into the sidecar's configuration."""

    model_config = ConfigDict(frozen=True)

    method: str
    path: str
    tokens: tuple[str, ...]
    status: int
    content_type: str
    body: str

    def matches(self, method: str, path: str, baggage: str | None) -> bool:
        """Return whether Envoy would match, with the peer's configuration."""
        if baggage is None or method != self.method.upper() or path != self.path:
            return False
        if _ESCAPED_IN_PATHS.search(self.path):
            return False  # The peer HTML-escapes the path when it renders it, and no client sends `&amp;`.
        if len(self.tokens) == 1:
            return self.tokens[0] in baggage
        # Several tokens become one regex, which Envoy matches against the entire header value.
        return re.fullmatch("|".join(re.escape(token) for token in self.tokens), baggage) is not None

    def response(self) -> web.Response:
        """Build the answer that replaces the service's."""
        return web.Response(
            status=self.status, body=self.body.encode(), headers={"content-type": self.content_type, "server": "envoy"}
        )


class Exchange(BaseModel):
    """One recorded request and its answer."""

    method: str
    target: str
    """Path and query as on the wire."""
    request_headers: dict[str, str]
    request_body: str
    status: int
    response_headers: dict[str, str]
    response_body: str
    seconds: float
    at: Moment = Field(default_factory=Moment.now)
    """When the answer was complete, which is when a tap file has it."""


class RecordRule(BaseModel):
    """What to record: a path prefix and a method (`*` for all)."""

    model_config = ConfigDict(extra="forbid")

    path: str
    method: str = "*"

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request falls under this rule."""
        return path.startswith(self.path) and self.method.upper() in {"*", "ALL", method}


class Recorder:
    """What a recording sidecar has seen."""

    def __init__(self, rules: list[RecordRule]) -> None:
        self.rules = rules
        self.exchanges: list[Exchange] = []
        self.last_at: float | None = None
        self._began = time.monotonic()

    def wants(self, method: str, path: str) -> bool:
        """Return whether any rule covers this request."""
        return any(rule.matches(method, path) for rule in self.rules)

    def add(self, exchange: Exchange) -> None:
        """Keep one exchange."""
        self.exchanges.append(exchange)
        self.last_at = time.monotonic()

    def collected(self, every: float) -> list[Exchange]:
        """Return everything that the last background collection found.

        Collections take place every `every` seconds.
        """
        if not every:
            return self.exchanges
        now = time.monotonic()
        last = now - (now - self._began) % every
        return [exchange for exchange in self.exchanges if exchange.at.monotonic <= last]


class Sidecar:
    """One injected sidecar.

    Its configuration never changes: a new sidecar replaces it.
    """

    def __init__(
        self,
        kind: SidecarKind,
        config: str,
        app_port: int,
        *,
        rules: list[Rule] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.kind = kind
        self.config = config
        self.app_port = app_port
        self.rules = rules or []
        self.recorder = recorder
        # The peer pastes a body behind one indented line of YAML, so a second line ends the document there.
        self.broken = any("\n" in rule.body or "\r" in rule.body for rule in self.rules)

    def match(self, request: web.BaseRequest, path: str) -> Rule | None:
        """Find the first rule that answers this request."""
        baggage = request.headers.get("baggage")
        return next((rule for rule in self.rules if rule.matches(request.method, path, baggage)), None)

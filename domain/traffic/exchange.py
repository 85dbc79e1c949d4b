"""HTTP as it was seen: recorded requests, replayed answers, and the rules made of them."""

from __future__ import annotations

from domain.base import Contract
from domain.measuring.comparison import Comparison, Control

Headers = dict[str, str]
"""Header names as received, one value each (several are joined with a comma)."""


class RecordedExchange(Contract):
    """One request that a service received during analysis, and its healthy answer."""

    service: str
    position: int
    """Order within the service: by method, then URL."""
    method: str
    url: str
    """As recorded; host and port are the proxy's view."""
    path: str
    """Raw, percent-encoded, without query: exactly what is on the wire (`peer-contract` property 15)."""
    request_headers: Headers = {}
    request_body: str = ""
    response_status: int
    response_headers: Headers = {}
    response_body: str = ""


class ReplayedAnswer(Contract):
    """What the proxy says happened when it replayed one recorded request (`peer-contract` section 3.2)."""

    url: str
    method: str
    status: int | None
    """0 for any 4xx, 5xx or connection error; the truth is then in `error_message`. None when the proxy does not say,
    and so says nothing about how the service answered."""
    headers: dict[str, list[str]] = {}
    body: str = ""
    error_message: str = ""


class CapturedAnswer(Contract):
    """The failure of one request of a service, ready to become a rule."""

    service: str
    position: int
    method: str
    url: str
    path: str
    status: int
    """200 to 599, never 0."""
    headers: Headers = {}
    body: str = ""
    substituted: bool = False
    """No HTTP answer was seen: `status` is the plan's substitute."""
    no_effect: bool = False
    """Equal to the healthy answer."""
    error_message: str = ""


class Rule(Contract):
    """One interception rule: exactly one baggage token (`peer-contract` section 3.3)."""

    service: str
    method: str
    path: str
    token: str
    status: int
    headers: Headers = {}
    body: str = ""


class Measurement(Contract):
    """What one case measured, by both definitions."""

    p50_ms: int
    p95_ms: int
    p99_ms: int
    """The peers' definition: nearest rank over all requests, errors included, floor of milliseconds."""
    error_rate: float
    """The peers' definition: percent of requests, two decimals, half up."""
    success_p50_us: int | None
    success_p95_us: int | None
    success_p99_us: int | None
    """Successful requests only, microseconds; None without a success."""
    success_max_us: int | None = None
    requests: int
    """Requests really sent."""
    successes: int
    errors: int
    errors_by_kind: dict[str, int] = {}
    """`status 503`, `timeout`, `connect`, ...: how many of each."""
    duration_us: int = 0
    """Wall time of the case."""
    response_code: int | None = None
    """Status of the last answer."""
    response_body: str = ""
    """Body of the last answer, redacted and cut to 4 KiB."""
    late_starts: int = 0
    """Open model: requests that began after their planned time, because the generator was late."""
    planned: int | None = None
    """Requests at most; those not sent were saved. None in rows from before it was stored."""
    seed: int | None = None
    """Decides the order of the blocks of the case's group, and when requests of an open model begin."""
    control: Control | None = None
    """The baseline beside the case, where the plan compares with it."""
    comparison: Comparison | None = None
    """What that says, by `slo.regression`."""


class RequestSample(Contract):
    """One request of the load test."""

    latency_us: int
    status: int | None
    """None when there was no HTTP answer."""
    error_kind: str = ""
    """Empty for a success."""
    offset_us: int = 0
    """Planned start, since the case began. In the closed model: the actual one."""
    late_us: int = 0
    """Open model: actual minus planned start. Latency counts from the planned one."""

"""HTTP as observed: recorded requests, replayed answers, and rules made from them."""

from __future__ import annotations

from domain.base import Contract
from domain.measuring.comparison import Comparison, Control

Headers = dict[str, str]
"""Header names as received, one value each. Several values are joined with a comma."""


class RecordedExchange(Contract):
    """A request that a service received during analysis, with its healthy answer."""

    service: str
    position: int
    """Order within the service: by method, then URL."""
    method: str
    url: str
    """URL as recorded. Host and port are as the proxy sees them."""
    path: str
    """Raw path, percent-encoded, without query. Exactly as on the wire (`peer-contract` property 15)."""
    request_headers: Headers = {}
    request_body: str = ""
    response_status: int
    response_headers: Headers = {}
    response_body: str = ""


class ReplayedAnswer(Contract):
    """The proxy's report on replaying one recorded request (`peer-contract` section 3.2)."""

    url: str
    method: str
    status: int | None
    """HTTP status, as reported by the proxy. 0 for any 4xx, 5xx or connection error; what really happened is then in
    `error_message`. None if the proxy reports none: then it is unknown how the service answered."""
    headers: dict[str, list[str]] = {}
    body: str = ""
    error_message: str = ""


class CapturedAnswer(Contract):
    """A broken service's answer to one recorded request, from which a rule is made."""

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
    """Whether no HTTP answer was seen, and `status` is the plan's substitute."""
    no_effect: bool = False
    """Whether the answer equals the healthy one, so that the fault has no visible effect."""
    error_message: str = ""


class Rule(Contract):
    """An interception rule, selected by exactly one baggage token (`peer-contract` section 3.3)."""

    service: str
    method: str
    path: str
    token: str
    status: int
    headers: Headers = {}
    body: str = ""


class Measurement(Contract):
    """Measurements of a case, by the peers' definition and by ours."""

    p50_ms: int
    p95_ms: int
    p99_ms: int
    """Percentiles by the peers' definition. Nearest rank over all requests, errors included, floor of milliseconds."""
    error_rate: float
    """Error rate by the peers' definition. Percent of requests, two decimals, half up."""
    success_p50_us: int | None
    success_p95_us: int | None
    success_p99_us: int | None
    """Percentiles of successful requests only, in microseconds. None without a success."""
    success_max_us: int | None = None
    requests: int
    """Requests actually sent."""
    successes: int
    errors: int
    errors_by_kind: dict[str, int] = {}
    """Number of errors by kind: `status 503`, `timeout`, `connect`, ..."""
    duration_us: int = 0
    """Wall time of the case."""
    response_code: int | None = None
    """Status of the last answer."""
    response_body: str = ""
    """Body of the last answer, redacted and cut to 4 KiB."""
    late_starts: int = 0
    """Open model: requests that the load generator began too late (`domain.measuring.lateness`)."""
    planned: int | None = None
    """Upper bound on the requests of the case. It may end earlier. None in rows stored before this field existed."""
    seed: int | None = None
    """Seed for the order of blocks in the case's group. In an open model, also for the times of requests."""
    control: Control | None = None
    """The baseline measured beside the case. None if the plan does not compare with it."""
    comparison: Comparison | None = None
    """Comparison of the case with its control, by `slo.regression`."""


class RequestSample(Contract):
    """One request of the load test."""

    latency_us: int
    status: int | None
    """HTTP status. None if there was no HTTP answer."""
    error_kind: str = ""
    """Empty for a success."""
    offset_us: int = 0
    """Planned start, since the case began. Closed model: actual start."""
    late_us: int = 0
    """Open model: actual minus planned start. Latency counts from the planned start."""

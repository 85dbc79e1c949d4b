"""What a case's samples say, by the peers' definition and by ours (`peer-contract` section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import ceil

from domain.measuring.comparison import Control
from domain.measuring.samples import Taken
from domain.traffic.exchange import Measurement, RequestSample

_MICROSECONDS_PER_MS = 1_000


def nearest_rank(ordered: Sequence[int], percentile: float) -> int:
    """The nearest-rank percentile of sorted values: index ceil(p x n) - 1. 0 for no values, as the peers have it."""
    if not ordered:
        return 0
    # Rounded before the ceiling: 0.95 x 20 is 19.000000000000004 in binary, which would be one rank too far.
    return ordered[max(0, ceil(round(percentile * len(ordered), 9)) - 1)]


def error_rate(errors: int, requests: int) -> float:
    """Percent with two decimals, half up, over at least one request."""
    share = Decimal(errors * 100) / Decimal(max(1, requests))
    return float(share.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))


def measure(
    samples: Sequence[RequestSample], *, duration_us: int, last_status: int | None, last_body: str
) -> Measurement:
    """As `measured`, of samples that were taken in one block."""
    return measured(Taken([samples]), duration_us=duration_us, last_status=last_status, last_body=last_body)


def measured(taken: Taken, *, duration_us: int, last_status: int | None, last_body: str) -> Measurement:
    """Both definitions side by side: errors mixed into latency in whole milliseconds, and successes in microseconds."""
    peers = sorted(latency // _MICROSECONDS_PER_MS for latency in taken.latencies_us)
    ours = taken.successes()
    return Measurement(
        p50_ms=nearest_rank(peers, 0.50),
        p95_ms=nearest_rank(peers, 0.95),
        p99_ms=nearest_rank(peers, 0.99),
        error_rate=error_rate(taken.failures, taken.requests),
        success_p50_us=nearest_rank(ours, 0.50) if ours else None,
        success_p95_us=nearest_rank(ours, 0.95) if ours else None,
        success_p99_us=nearest_rank(ours, 0.99) if ours else None,
        success_max_us=ours[-1] if ours else None,
        requests=taken.requests,
        successes=len(ours),
        errors=taken.failures,
        errors_by_kind=dict(sorted(taken.kinds.items())),
        duration_us=duration_us,
        response_code=last_status,
        response_body=last_body,
        late_starts=taken.late,
    )


def control_of(taken: Taken) -> Control:
    """The baseline beside a group of cases."""
    found = taken.successes()
    return Control(
        requests=taken.requests,
        successes=len(found),
        success_p50_us=nearest_rank(found, 0.50) if found else None,
        success_p95_us=nearest_rank(found, 0.95) if found else None,
        success_p99_us=nearest_rank(found, 0.99) if found else None,
        success_max_us=found[-1] if found else None,
    )

"""Statistics of a case's samples, by the peers' definition and ours.

See `peer-contract` section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import ceil

from domain.measuring.comparison import Control
from domain.measuring.samples import Taken
from domain.traffic.exchange import Measurement, RequestSample

_MICROSECONDS_PER_MS = 1_000


def nearest_rank(ordered: Sequence[int], percentile: float) -> int:
    """Return the nearest-rank percentile of sorted values.

    That is the value at index ceil(p x n) - 1. Returns 0 for no values, as the peers do.
    """
    if not ordered:
        return 0
    # Rounded before the ceiling: a product may be slightly too large in binary (0.07 x 100 is 7.000000000000001), and
    # would be one rank too far.
    return ordered[max(0, ceil(round(percentile * len(ordered), 9)) - 1)]


def error_rate(errors: int, requests: int) -> float:
    """Return the error rate in percent, with two decimals, rounded half up.

    Never divides by less than one request.
    """
    share = Decimal(errors * 100) / Decimal(max(1, requests))
    return float(share.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))


def measure(
    samples: Sequence[RequestSample], *, duration_us: int, last_status: int | None, last_body: str
) -> Measurement:
    """Measure samples that were taken in one block; see `measured`."""
    return measured(Taken([samples]), duration_us=duration_us, last_status=last_status, last_body=last_body)


def measured(taken: Taken, *, duration_us: int, last_status: int | None, last_body: str) -> Measurement:
    """Measure an arm by both definitions, side by side.

    The peers mix errors into latency, in whole milliseconds. Ours counts only successes, in microseconds.
    """
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
    """Summarise the baseline beside a group of cases."""
    found = taken.successes()
    return Control(
        requests=taken.requests,
        successes=len(found),
        success_p50_us=nearest_rank(found, 0.50) if found else None,
        success_p95_us=nearest_rank(found, 0.95) if found else None,
        success_p99_us=nearest_rank(found, 0.99) if found else None,
        success_max_us=found[-1] if found else None,
    )

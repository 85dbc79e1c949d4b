"""What a case's samples say, by the peers' definition and by ours (`peer-contract` section 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import ceil

from workflows.contracts.exchange import Measurement, RequestSample

_MICROSECONDS_PER_MS = 1_000


def nearest_rank(ordered: Sequence[int], percentile: float) -> int:
    """The nearest-rank percentile of sorted values: index ceil(p x n) - 1. 0 for no values, as the peers have it."""
    if not ordered:
        return 0
    # Rounded before the ceiling: 0.95 x 20 is 19.000000000000004 in binary, which would be one rank too far.
    return ordered[max(0, ceil(round(percentile * len(ordered), 9)) - 1)]


def is_error(sample: RequestSample) -> bool:
    """No HTTP answer, or a status outside 200 to 399. A redirect is an answer."""
    return sample.status is None or not 200 <= sample.status < 400


def error_rate(errors: int, requests: int) -> float:
    """Percent with two decimals, half up, over at least one request."""
    share = Decimal(errors * 100) / Decimal(max(1, requests))
    return float(share.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))


def measure(
    samples: Sequence[RequestSample], *, duration_us: int, last_status: int | None, last_body: str
) -> Measurement:
    """Both definitions side by side: errors mixed into latency in whole milliseconds, and successes in microseconds."""
    peers = sorted(sample.latency_us // _MICROSECONDS_PER_MS for sample in samples)
    ours = sorted(sample.latency_us for sample in samples if not is_error(sample))
    errors = Counter(sample.error_kind or f"status {sample.status}" for sample in samples if is_error(sample))
    return Measurement(
        p50_ms=nearest_rank(peers, 0.50),
        p95_ms=nearest_rank(peers, 0.95),
        p99_ms=nearest_rank(peers, 0.99),
        error_rate=error_rate(errors.total(), len(samples)),
        success_p50_us=nearest_rank(ours, 0.50) if ours else None,
        success_p95_us=nearest_rank(ours, 0.95) if ours else None,
        success_p99_us=nearest_rank(ours, 0.99) if ours else None,
        success_max_us=ours[-1] if ours else None,
        requests=len(samples),
        successes=len(ours),
        errors=errors.total(),
        errors_by_kind=dict(sorted(errors.items())),
        duration_us=duration_us,
        response_code=last_status,
        response_body=last_body,
    )

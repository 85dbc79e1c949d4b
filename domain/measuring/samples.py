"""Samples of one arm, in few bytes per request.

A case may have a million requests, and seven arms are measured at once.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

from domain.measuring.lateness import late_starts
from domain.traffic.exchange import RequestSample


def is_error(sample: RequestSample) -> bool:
    """Return whether a request failed.

    It failed without an HTTP answer, or with a status outside 200 to 399. A redirect is an answer.
    """
    return sample.status is None or not 200 <= sample.status < 400


class Taken:
    """Samples of one arm, block by block, in the order they came."""

    def __init__(self, blocks: Sequence[Sequence[RequestSample]] = ()) -> None:
        """Start with these blocks."""
        # Eight bytes for each request, not a Python object.
        self.latencies_us = array("q")
        """Latency of every request."""
        self.errors = bytearray()
        """1 for each request that failed, else 0."""
        self.kinds: Counter[str] = Counter()
        """Errors by kind."""
        self.late = 0
        """Number of requests that began late."""
        self.success_blocks: list[array[int]] = []
        """Latencies of the successful requests, block by block."""
        for block in blocks:
            self.add(block)

    def add(self, block: Sequence[RequestSample]) -> None:
        """Add one block."""
        good = array("q")
        self.late += late_starts(block)
        for sample in block:
            failed = is_error(sample)
            self.latencies_us.append(sample.latency_us)
            self.errors.append(failed)
            if failed:
                self.kinds[sample.error_kind or f"status {sample.status}"] += 1
            else:
                good.append(sample.latency_us)
        self.success_blocks.append(good)

    @property
    def requests(self) -> int:
        """Number of requests."""
        return len(self.latencies_us)

    @property
    def failures(self) -> int:
        """Number of requests that failed."""
        return self.kinds.total()

    def successes(self) -> list[int]:
        """Return the latencies of the successful requests, ascending."""
        return sorted(latency for block in self.success_blocks for latency in block)

    def pairs(self) -> list[tuple[int, bool]]:
        """Return latency and failure of every request, in order."""
        return [(latency, bool(failed)) for latency, failed in zip(self.latencies_us, self.errors, strict=True)]

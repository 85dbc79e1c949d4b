"""What the requests of one arm gave, in few bytes each: a case may have a million, and seven arms run at once."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

from domain.measuring.lateness import late_starts
from domain.traffic.exchange import RequestSample


def is_error(sample: RequestSample) -> bool:
    """No HTTP answer, or a status outside 200 to 399. A redirect is an answer."""
    return sample.status is None or not 200 <= sample.status < 400


class Taken:
    """The samples of one arm, block by block, in the order in which they came."""

    def __init__(self, blocks: Sequence[Sequence[RequestSample]] = ()) -> None:
        """Begin with these blocks."""
        self.latencies_us = array("q")
        """Of every request."""
        self.errors = bytearray()
        """1 for each of them that failed, else 0."""
        self.kinds: Counter[str] = Counter()
        """Errors by their kind."""
        self.late = 0
        """Requests that began late."""
        self.success_blocks: list[array[int]] = []
        """Latencies of the successful requests, block by block."""
        for block in blocks:
            self.add(block)

    def add(self, block: Sequence[RequestSample]) -> None:
        """Note one block."""
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
        """All of them."""
        return len(self.latencies_us)

    @property
    def failures(self) -> int:
        """Those that failed."""
        return self.kinds.total()

    def successes(self) -> list[int]:
        """Latencies of the successful requests, ascending."""
        return sorted(latency for block in self.success_blocks for latency in block)

    def pairs(self) -> list[tuple[int, bool]]:
        """Latency, and whether it failed, of every request in order."""
        return [(latency, bool(failed)) for latency, failed in zip(self.latencies_us, self.errors, strict=True)]

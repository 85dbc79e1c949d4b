"""Compact encoding of raw samples, in the order they were taken.

They are kept for later questions about a case's latencies.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Sequence

MOST_RAW = 100_000
"""Most raw samples to keep per arm; the histogram has all."""

_LONGEST_US = 2**31 - 1
_WIDTH = 4


def packed(samples: Sequence[tuple[int, bool]]) -> bytes | None:
    """Pack each request's latency in microseconds and whether it was an error.

    The format is little-endian 32-bit latencies, then one byte per error flag, compressed together. A latency beyond 35
    minutes is stored as 35 minutes. Returns None for more than `MOST_RAW` samples.
    """
    if len(samples) > MOST_RAW:
        return None
    latencies = array("i", (min(latency_us, _LONGEST_US) for latency_us, _ in samples))
    if sys.byteorder == "big":
        latencies.byteswap()
    return zlib.compress(latencies.tobytes() + bytes(error for _, error in samples))


def unpacked(raw: bytes) -> list[tuple[int, bool]]:
    """Return the samples that `packed` was given.

    Raises:
        ValueError: when the bytes are not packed samples.
    """
    try:
        plain = zlib.decompress(raw)
    except zlib.error as error:
        raise ValueError("not packed samples") from error
    count, rest = divmod(len(plain), _WIDTH + 1)
    if rest:
        raise ValueError("not packed samples")
    latencies = array("i", plain[: count * _WIDTH])
    if sys.byteorder == "big":
        latencies.byteswap()
    return [(latency, bool(error)) for latency, error in zip(latencies, plain[count * _WIDTH :], strict=True)]

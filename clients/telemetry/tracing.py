"""The spans of this process, if it traces.

Until then nothing of OpenTelemetry is imported here: commands that end in an instant would pay for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.telemetry.spans import RequestSpan, Spans

TRACEPARENT = "traceparent"
"""Header by which a request names its trace and its parent (W3C Trace Context)."""
TRACESTATE = "tracestate"

PATIENCE_AT_END = 5.0
"""Seconds for sending what is left when the process ends."""

_spans: Spans | None = None


def set_spans(spans: Spans | None) -> None:
    """Use these spans from now on in this process; None for none."""
    global _spans  # noqa: PLW0603 - one a process, like its log
    _spans = spans


def current_spans() -> Spans | None:
    """Return what traces this process. None: nothing does."""
    return _spans


def end_tracing() -> None:
    """Send what is left, for at most `PATIENCE_AT_END`, and trace nothing from now on."""
    if _spans is None:
        return
    # In a thread that nobody has to wait for: the library waits up to 30 s for a receiver that does not answer.
    sending = threading.Thread(target=_spans.close, daemon=True)
    sending.start()
    sending.join(PATIENCE_AT_END)
    set_spans(None)


@dataclass
class Call:
    """One call in progress, and what it found out."""

    headers: dict[str, str] = field(default_factory=dict)
    """What the call has to send, so that the server's spans join the trace. Empty without a trace."""
    status: int | None = None
    error: str = ""
    """Kind of failure, if there is no answer."""


@contextmanager
def traced_call(method: str, url: str) -> Iterator[Call]:
    """Trace a single call. The block sends its headers, and notes its status or error."""
    call = Call()
    span = _begun(method, url)
    if span is None:
        yield call
        return
    call.headers[TRACEPARENT] = span.traceparent
    try:
        yield call
    except BaseException as error:
        call.error = call.error or type(error).__name__
        raise
    finally:
        with suppress(Exception):
            span.end(call.status, call.error)


def _begun(method: str, url: str) -> RequestSpan | None:
    # Nothing of this may fail a call: some of them switch things off.
    with suppress(Exception):
        requests = _spans.requests(method, url, {}, every=True) if _spans else None
        return requests.next() if requests else None
    return None

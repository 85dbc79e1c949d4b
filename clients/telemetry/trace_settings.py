"""Settings of traces: the standard `OTEL_*` variables, and one of our own for the load test.

Unlike the standard, traces are off until a variable names a receiver or an exporter: nobody gets data unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from domain.errors import ErrorCode, HoldfastError

DISABLED = "OTEL_SDK_DISABLED"
EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Where spans go. The first one set counts, as in the standard."""
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
USUAL_ENDPOINT = "http://localhost:4318"
"""The standard's own, used when only an exporter is named."""

LOAD_SHARE = "HOLDFAST_TRACE_LOAD"
"""Setting: share of a load test's requests that are traced, from 0 to 1."""
USUAL_LOAD_SHARE = 0.01

_PROTOCOL = "http/protobuf"
_PORTS = {"http": 80, "https": 443}


class TraceSettings(BaseModel):
    """How this process traces."""

    model_config = ConfigDict(frozen=True)

    receiver: str
    """`host:port` of the receiver."""
    load_share: float = USUAL_LOAD_SHARE
    """Share of a load test's requests that get a span, and ask the tested services to record theirs.

    The first request of each case is always among them, unless the share is 0.
    """
    patience: float | None = None
    """Seconds that one export may take, where no variable sets it."""


def trace_settings(environ: Mapping[str, str]) -> TraceSettings | None:
    """Read the settings of traces. None: traces are off.

    Raises:
        HoldfastError: VALIDATION_ERROR naming the variable.
    """
    exporter = environ.get(EXPORTER, "").strip()
    endpoint = _first(environ, ENDPOINTS)
    if environ.get(DISABLED, "").strip().lower() == "true" or exporter == "none" or not (exporter or endpoint[1]):
        return None
    if exporter not in ("", "otlp"):
        raise _wrong(EXPORTER, exporter, "write otlp or none")
    name, protocol = _first(environ, PROTOCOLS)
    if protocol not in ("", _PROTOCOL):
        raise _wrong(name, protocol, f"write {_PROTOCOL}, which collectors take at port 4318, or leave it out")
    name, headers = _first(environ, HEADERS)
    if headers and not all("=" in part for part in headers.split(",") if part.strip()):
        # Not quoted: headers hold keys.
        raise _wrong(name, None, "write name=value, separated by commas")
    return TraceSettings(
        receiver=_receiver(*endpoint),
        load_share=_share(environ),
        patience=None if _first(environ, TIMEOUTS)[1] else 3.0,
    )


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    found = ((name, environ.get(name, "").strip()) for name in names)
    return next(((name, value) for name, value in found if value), (names[-1], ""))


def _receiver(name: str, endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint or USUAL_ENDPOINT)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        parts, port = urlsplit(""), 0
    if not parts.hostname or not port:
        # Not quoted: it may hold a password.
        raise _wrong(name, None, f"write a URL such as {USUAL_ENDPOINT}")
    return f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"


def _share(environ: Mapping[str, str]) -> float:
    given = environ.get(LOAD_SHARE, "").strip()
    try:
        share = float(given) if given else USUAL_LOAD_SHARE
    except ValueError:
        share = -1.0
    # Written so that NaN is refused as well.
    if not 0 <= share <= 1:
        raise _wrong(LOAD_SHARE, given, f"write a number from 0 to 1; unset, it is {USUAL_LOAD_SHARE:g}")
    return share


def _wrong(name: str, value: str | None, hint: str) -> HoldfastError:
    what = "cannot be used" if value is None else f"is {value[:40]!r}"
    return HoldfastError(ErrorCode.VALIDATION_ERROR, f"environment variable {name} {what}", hint=hint)

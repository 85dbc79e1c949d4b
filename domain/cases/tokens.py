"""Baggage tokens: W3C baggage members that select a service's failure.

Each service has one token, and each rule has exactly one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import NamedTuple
from urllib.parse import unquote

from domain.faults.model import fault_type
from domain.plans.plan import Plan

BAGGAGE_HEADER = "baggage"


def baggage_token(service: str, fault_type: str) -> str:
    """Return `chaos.<service>.<type>=1`.

    The token is a valid `key=value` member, because propagators drop members without `=`. The proxy matches a single
    token as a substring of the header (`peer-contract` section 3.3), so no token may be part of another. Names are DNS
    labels without dots, which makes the dotted form unambiguous, and `=1` ends it.
    """
    return f"chaos.{service}.{fault_type}=1"


def token_of(plan: Plan, service: str) -> str:
    """Return the token of a service under test.

    Raises:
        KeyError: the plan has no service of this name.
    """
    return baggage_token(service, fault_type(plan.service(service).fault))


_MARKER = "holdfast.analysis="
_CALLS = "holdfast.calls"
_OURS = "holdfast."
_CASE = re.compile(r"\A(.+)\.([0-9]{1,9})\.([0-9]{1,9})\Z")


def analysis_marker(record_id: str) -> str:
    """Return the baggage member that marks the analysis request.

    It shows which services pass baggage on.
    """
    return _MARKER + record_id


def is_analysis_marker(baggage: str) -> bool:
    """Return whether a baggage header is that of the analysis request.

    False for `calls_marker`. A login is marked only if this is true: it is not among the calls that the plan's request
    causes, so in discovery it must stay unmarked.
    """
    return baggage.startswith(_MARKER)


class MarkedRequest(NamedTuple):
    """The request of the plan that caused a call."""

    case_index: int
    number: int
    """Distinguishes requests of one case. The baseline is requested several times, another case again if a worker
    died."""


def calls_marker(record_id: str, case_index: int, number: int) -> str:
    """Return the baggage member by which one request's calls are recognised.

    The request is sent while the services of the case are broken.
    """
    return f"{_CALLS}={record_id}.{case_index}.{number}"


def case_of_marker(record_id: str, baggage_header: str) -> MarkedRequest | None:
    """Find the request whose marker is in a received header.

    None if the header has no marker with this record id.
    """
    for member in baggage_header.split(","):
        # Properties follow a semicolon. A propagator may encode a value, and put spaces around anything.
        name, _, value = member.partition(";")[0].partition("=")
        found = _CASE.match(unquote(value.strip())) if name.strip() == _CALLS else None
        if found and found[1] == record_id:
            return MarkedRequest(int(found[2]), int(found[3]))
    return None


def without_markers(baggage_header: str) -> str:
    """Remove our own members, which only mark a request, from a header."""
    members = (member.strip() for member in baggage_header.split(","))
    return ",".join(entry for entry in members if entry and not entry.startswith(_OURS))


def baggage_of(services: Iterable[str], tokens: Mapping[str, str]) -> str:
    """Return the header of a case: its services' tokens, in order.

    The tokens are joined with commas, without spaces.

    Raises:
        KeyError: a service has no token. A case other than the baseline must never run without its header.
    """
    return ",".join(tokens[service] for service in services)


def overlapping(tokens: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs `(part, whole)` of tokens where one is a substring of the other.

    The proxy could confuse them, so a sound set has none.
    """
    return [(part, whole) for part, whole in permutations(tokens, 2) if part in whole]

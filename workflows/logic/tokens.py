"""Baggage tokens: W3C baggage members that select a service's failure, one per service, one per rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import NamedTuple
from urllib.parse import unquote

from workflows.contracts.plan import Plan
from workflows.logic.faults import fault_type

BAGGAGE_HEADER = "baggage"


def baggage_token(service: str, fault_type: str) -> str:
    """`chaos.<service>.<type>=1`.

    A valid `key=value` member, because propagators drop members without `=`. The proxy matches a single token as a
    substring of the header (`peer-contract` section 3.3), so no token may be part of another: names are DNS labels
    without dots, which makes the dotted form unambiguous, and `=1` ends it.
    """
    return f"chaos.{service}.{fault_type}=1"


def token_of(plan: Plan, service: str) -> str:
    """The token of a service under test. KeyError when the plan has none of this name."""
    return baggage_token(service, fault_type(plan.service(service).fault))


_MARKER = "holdfast.analysis="
_CALLS = "holdfast.calls"
_OURS = "holdfast."
_CASE = re.compile(r"\A(.+)\.([0-9]{1,9})\.([0-9]{1,9})\Z")


def marker(record_id: str) -> str:
    """The member that the analysis request carries, to see which services pass baggage on."""
    return _MARKER + record_id


def is_marker(baggage: str) -> bool:
    """Whether a header is the analysis request's.

    Not that of `calls_marker`: a login is none of the calls that the plan's request causes, so it goes unmarked.
    """
    return baggage.startswith(_MARKER)


class MarkedRequest(NamedTuple):
    """The request of the plan that caused a call."""

    case_index: int
    number: int
    """Tells requests of one case apart: the baseline is asked several times, another case again when a worker died."""


def calls_marker(record_id: str, case_index: int, number: int) -> str:
    """The member by which the calls of one request are recognised, sent while the services of a case are broken."""
    return f"{_CALLS}={record_id}.{case_index}.{number}"


def case_of_marker(record_id: str, baggage_header: str) -> MarkedRequest | None:
    """The request whose marker a received header has among its members; None without one of this record id."""
    for member in baggage_header.split(","):
        # Behind a semicolon are properties; a propagator may encode a value, and put spaces around anything.
        name, _, value = member.partition(";")[0].partition("=")
        found = _CASE.match(unquote(value.strip())) if name.strip() == _CALLS else None
        if found and found[1] == record_id:
            return MarkedRequest(int(found[2]), int(found[3]))
    return None


def without_markers(baggage_header: str) -> str:
    """A received header without members of ours that only mark a request."""
    members = (member.strip() for member in baggage_header.split(","))
    return ",".join(one for one in members if one and not one.startswith(_OURS))


def baggage_of(services: Iterable[str], tokens: Mapping[str, str]) -> str:
    """The header of a case: the tokens of its services in order, joined without spaces.

    Raises:
        KeyError: when a service has no token. A case that is not the baseline must never run without its header.
    """
    return ",".join(tokens[service] for service in services)


def overlapping(tokens: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of which the first is part of the second; empty for a sound set."""
    return [(one, other) for one, other in permutations(tokens, 2) if one in other]

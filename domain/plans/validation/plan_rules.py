"""Rules between the fields of a plan.

They work on the raw document and tolerate broken parts. Broken rules can therefore be reported together with the
problems of shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from domain.addresses import Address, address_of
from domain.errors import Problem
from domain.faults.chaosblade.rules import fault_rules
from domain.guardrails.allowed_addresses import allowed_by_plan, entry_of
from domain.guardrails.check import as_entry
from domain.guardrails.model import ALWAYS_REFUSED
from domain.plans.addresses import addresses_in
from domain.plans.exclusions import exclusion_rules
from domain.plans.plan import Plan, Safety, Timeouts
from domain.plans.validation.call_rules import call_rules
from domain.plans.validation.combination_rules import combination_rules
from domain.plans.validation.load_rules import load_rules
from domain.plans.validation.login_rules import login_rules
from domain.plans.validation.request_rules import reference_rules, request_rules
from domain.plans.validation.wording import Nearest, cut, did_you_mean, near, shown
from domain.units import format_duration, parse_duration

MOST_SERVICES = 1_000
DISTINCT_NAME_LENGTH = 36
"""Characters of a service's name that surely survive in its fault's name at the fault service (`names.fault_name`)."""

_WORK_SLACK = timedelta(seconds=30)
_LONGEST_HOST = 253
"""Longest name in DNS, in characters (RFC 1035)."""

Raw = dict[Any, Any]


def _mapping(value: Any) -> Raw:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def broken_rules(document: Raw) -> Iterator[Problem]:
    """Report every broken rule of a plan document."""
    system, request, safety = (_mapping(document.get(name)) for name in ("system", "request", "safety"))
    yield from _namespace(system, safety)
    yield from _hosts(document, safety)
    yield from _environment(system)
    yield from request_rules(request, document.get("redact"))
    yield from login_rules(request, document.get("redact"))
    yield from reference_rules(document)
    yield from _services(document, system)
    yield from load_rules(document)
    yield from _ttl(safety, _mapping(document.get("timeouts")))
    yield from _hold(_mapping(system.get("stability")), _mapping(document.get("timeouts")))
    yield from exclusion_rules(document)
    yield from combination_rules(document)


def _services(document: Raw, system: Raw) -> Iterator[Problem]:
    services = _list(document.get("services"))
    addresses = _mapping(system.get("services"))
    if len(services) > MOST_SERVICES:
        message = f"{len(services)} services; at most {MOST_SERVICES} in one plan"
        yield Problem(path="services", message=message, hint="split it into several plans")
        return
    first: dict[str, int] = {}
    nearest = Nearest(addresses)
    for position, service in enumerate(services):
        path = f"services[{position}]"
        name = _mapping(service).get("name")
        yield from fault_rules(f"{path}.fault", _mapping(service).get("fault"), system.get("namespace"), name)
        if isinstance(name, str):
            yield from _duplicate(f"{path}.name", name, first)
            if addresses and name not in addresses:
                found = nearest.of(name)
                hint = did_you_mean(found) if found else f"add {cut(name)}: http://... there"
                yield Problem(path=f"{path}.name", message=f"{shown(name)} is not in system.services", hint=hint)
            first.setdefault(name[:DISTINCT_NAME_LENGTH], position)
    yield from call_rules(services, addresses, _mapping(document.get("safety")).get("max_active_faults"))


def _duplicate(path: str, name: str, first: dict[str, int]) -> Iterator[Problem]:
    earlier = first.get(name[:DISTINCT_NAME_LENGTH])
    if earlier is not None:
        # Longer names may differ here and still be the same at the fault service.
        whole = len(name) <= DISTINCT_NAME_LENGTH
        message = (
            "is already in the plan"
            if whole
            else f"shares its first {DISTINCT_NAME_LENGTH} characters with another service"
        )
        hint = f"see services[{earlier}]" + ("; a service fails in one way per plan" if whole else "")
        yield Problem(path=path, message=f"{shown(name)} {message}", hint=hint)


def _namespace(system: Raw, safety: Raw) -> Iterator[Problem]:
    namespace = system.get("namespace")
    allowed = safety.get("allowed_namespaces")
    if not isinstance(namespace, str):
        return
    if namespace in ALWAYS_REFUSED:
        message = f"{shown(namespace)} is never tested: the cluster, Temporal or Holdfast itself lives there"
        yield Problem(path="system.namespace", message=message, hint="name the namespace of your own services")
    elif isinstance(allowed, list) and namespace not in allowed:
        found = near(namespace, [entry for entry in allowed if isinstance(entry, str)])
        yield Problem(
            path="system.namespace",
            message=f"{shown(namespace)} is not in safety.allowed_namespaces",
            hint=did_you_mean(found) if found else "add it there if this is intended",
        )


def _hosts(document: Raw, safety: Raw) -> Iterator[Problem]:
    written = safety.get("allowed_hosts", Safety().allowed_hosts)
    if not isinstance(written, list):
        return
    texts = [entry for entry in written if isinstance(entry, str)]
    for position, host in enumerate(written):
        if isinstance(host, str) and not _is_entry(host):
            yield Problem(
                path=f"safety.allowed_hosts[{position}]",
                message=f"{shown(host)} is not a host",
                hint="write the host alone or as host:port or host:low-high, without http:// or wildcard",
            )
    given = "" if "allowed_hosts" in safety else "; by default a plan reaches this machine only"
    allowed = allowed_by_plan(filter(_is_entry, texts))
    hosts = allowed_by_plan(map(_without_ports, filter(_is_entry, texts)))
    for path, url in addresses_in(document):
        address = _address(url)
        if address is None or allowed.allows(address):
            continue
        if hosts.allows(address):
            message, hint = f"{shown(as_entry(str(url)))} is not in safety.allowed_hosts", "this port"
        else:
            message, hint = f"host {shown(_host(str(url)))} is not in safety.allowed_hosts", "the host"
        yield Problem(path=path, message=message, hint=f"if this is intended, add {hint} there{given}")


def _is_entry(text: str) -> bool:
    try:
        return not entry_of(text).below and not text.startswith("*")
    except ValueError:
        return False


def _without_ports(text: str) -> str:
    host = entry_of(text).host
    return f"[{host}]" if ":" in host else host


def _host(url: str) -> str:
    """Return the host; empty if unreadable, which another rule reports."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _address(url: object) -> Address | None:
    """Return the address; None if unreadable, which another rule reports."""
    if not isinstance(url, str) or "${" in url.partition("://")[2].partition("/")[0]:
        return None
    try:
        return address_of(url)
    except ValueError:
        return None


def _environment(system: Raw) -> Iterator[Problem]:
    faults = system.get("faults")
    if isinstance(faults, str) and len(_host(faults)) > _LONGEST_HOST:
        message = f"names a host of {len(_host(faults))} characters; at most {_LONGEST_HOST} are possible"
        yield Problem(
            path="system.faults", message=message, hint="shorten it: the name is part of the lock that keeps runs apart"
        )


def _ttl(safety: Raw, timeouts: Raw) -> Iterator[Problem]:
    """Report a fault that would not outlive the work that needs it."""
    defaults = Timeouts()
    ttl = _duration(safety.get("fault_ttl", Safety().fault_ttl))
    running = _duration(timeouts.get("fault_running", defaults.fault_running))
    replay = _duration(timeouts.get("replay", defaults.replay))
    if ttl is None or running is None or replay is None:
        return
    needed = running + replay + _WORK_SLACK
    if ttl < needed:
        yield Problem(
            path="safety.fault_ttl",
            message=f"{format_duration(ttl)} is shorter than the work that the fault must outlive",
            hint=f"at least {format_duration(needed)}: timeouts.fault_running + timeouts.replay + 30s",
        )


def _hold(stability: Raw, timeouts: Raw) -> Iterator[Problem]:
    """Report a hold that does not fit into the wait for stability.

    Such a service would never be seen as stable.
    """
    hold = _duration(stability.get("hold")) if stability.get("kind") == "kubernetes" else None
    longest = _duration(timeouts.get("stability", Timeouts().stability))
    if hold is not None and longest is not None and hold >= longest:
        yield Problem(
            path="system.stability.hold",
            message=f"{format_duration(hold)} does not fit into timeouts.stability, {format_duration(longest)}",
            hint="no service would ever be stable: hold it for less, or raise timeouts.stability",
        )


def _duration(value: object) -> timedelta | None:
    try:
        return parse_duration(value)
    except ValueError:
        return None


FIELD_ORDER = list(Plan.model_fields)
"""Order in which problems are reported: the order in which a plan is written."""

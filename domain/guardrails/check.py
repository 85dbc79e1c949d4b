"""Check of a plan against what the worker allows.

It reports every problem at once, before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from domain.addresses import Address, address_in, address_of
from domain.errors import Problem
from domain.guardrails.allowed_addresses import allowed_by_worker
from domain.guardrails.load_limits import load_problems
from domain.guardrails.model import FAULTS_OF_A_PAIR, Guardrails
from domain.plans.addresses import addresses_in
from domain.plans.environments import environment_problems
from domain.plans.plan import Plan
from domain.plans.validation.wording import shown
from domain.units import format_duration, format_rate

ALLOWED_NAMESPACES = "HOLDFAST_ALLOWED_NAMESPACES"
ALLOWED_HOSTS = "HOLDFAST_ALLOWED_HOSTS"
MAX_ACTIVE_FAULTS = "HOLDFAST_MAX_ACTIVE_FAULTS"
LONGEST_FAULT = "HOLDFAST_LONGEST_FAULT"
OWN_NAMESPACES = "HOLDFAST_OWN_NAMESPACES"

_WHERE = "where the worker is started"
_MOST_SHOWN = 20
_CLUSTER_NAMES = 3
"""Fewest labels in the name of a Service in a cluster: `frontend.temporal.svc`."""


def outside(plan: Plan, rails: Guardrails) -> list[Problem]:
    """List everything in a plan that this worker does not allow.

    Each problem has its path, and a hint at the setting that would allow it unless no setting does.
    """
    environment = environment_problems(plan, rails.environments)
    addresses = _addresses(plan, rails)
    load = load_problems(plan, rails)
    return [*_namespace(plan, rails), *environment, *addresses, *_faults(plan, rails), *load]


def too_few_for_pairs(rails: Guardrails) -> list[Problem]:
    """Check that the worker allows the two faults that a pair needs.

    The plan's own `safety.max_active_faults` does not matter here. It keeps captured failures apart, and a pair
    captures none. Besides, the flag asks for two faults explicitly.
    """
    if rails.max_active_faults >= FAULTS_OF_A_PAIR:
        return []
    message = f"a pair needs {FAULTS_OF_A_PAIR} faults at once; the worker allows {rails.max_active_faults}"
    hint = f"run without it, or raise {MAX_ACTIVE_FAULTS} {_WHERE}"
    return [Problem(path="verify_pairs", message=message, hint=hint)]


def _namespace(plan: Plan, rails: Guardrails) -> Iterator[Problem]:
    namespace = plan.system.namespace
    if namespace in rails.refused:
        yield Problem(
            path="system.namespace",
            message=f"{shown(namespace)} is never tested: the cluster, Temporal or Holdfast itself lives there",
            hint="name the namespace of your own services; no setting allows this one",
        )
    elif rails.namespaces is not None and namespace not in rails.namespaces:
        yield Problem(
            path="system.namespace",
            message=f"the worker does not allow {shown(namespace)}",
            hint=f"if this is intended, add it to {ALLOWED_NAMESPACES} {_WHERE}",
        )


def _addresses(plan: Plan, rails: Guardrails) -> Iterator[Problem]:
    allowed = allowed_by_worker(tuple(rails.open_to))
    forbidden = frozenset(map(address_in, rails.closed_to))
    for path, url in addresses_in(plan.model_dump(by_alias=True)):
        try:
            address = address_of(str(url))
        except ValueError as error:
            # An address that cannot be checked is refused, whatever a client would make of it.
            hint = "write the whole address, for example http://127.0.0.1:8080"
            yield Problem(path=path, message=f"is not an address that can be checked: {error}", hint=hint)
            continue
        if address in forbidden:
            yield Problem(
                path=path,
                message=f"{as_entry(str(url))} is never reached: Temporal, its Web UI or the store is there",
                hint="name the address of your own service; no setting allows this one",
            )
        elif not allowed.allows(address):
            yield Problem(
                path=path,
                message=f"the worker does not allow {shown(as_entry(str(url)))}",
                hint=f"if this is intended, add {as_entry(str(url))} to {ALLOWED_HOSTS} {_WHERE}",
            )


def as_entry(url: str) -> str:
    """Return the entry that allows this URL and nothing else.

    For a setting or a plan: the host as it is written, and the port.

    Raises:
        ValueError: the URL names no address.
    """
    host, address = (urlsplit(url).hostname or "").lower(), address_of(url)
    # A host with a zone, or anything else unusual, is a valid entry only in its canonical spelling.
    return str(address) if "%" in host else str(Address(host, address.port))


def _faults(plan: Plan, rails: Guardrails) -> Iterator[Problem]:
    if plan.safety.max_active_faults > rails.max_active_faults:
        yield Problem(
            path="safety.max_active_faults",
            message=f"{plan.safety.max_active_faults} at once; the worker allows {rails.max_active_faults}",
            hint=f"lower it, or raise {MAX_ACTIVE_FAULTS} {_WHERE}",
        )
    if plan.safety.fault_ttl > rails.longest_fault:
        yield Problem(
            path="safety.fault_ttl",
            message=f"{format_duration(plan.safety.fault_ttl)} is longer than the worker allows a fault to be on",
            hint=f"at most {format_duration(rails.longest_fault)}, or raise {LONGEST_FAULT} {_WHERE}",
        )


def described(rails: Guardrails) -> str:
    """Describe in one line what plans may do on this worker."""
    if rails.namespaces is None:
        namespaces = f"any namespace but {', '.join(rails.refused)}"
    else:
        allowed = [name for name in rails.namespaces if name not in rails.refused]
        namespaces = f"namespaces {', '.join(allowed)}" if allowed else "no namespace"
    faults = "1 fault" if rails.max_active_faults == 1 else f"{rails.max_active_faults} faults"
    return (
        f"plans may touch {namespaces}; hosts {_abbreviated(rails.open_to)}, never {_abbreviated(rails.closed_to)}; "
        f"at most {faults} at once, none longer than {format_duration(rails.longest_fault)}; "
        f"at most {format_rate(rails.max_rate)}, {rails.max_in_flight} requests under way, "
        f"{rails.max_requests} a run, {format_duration(rails.max_load_duration)} of load"
    )


def _abbreviated(entries: list[str]) -> str:
    """Join the first entries, count the rest: a lab may have hundreds."""
    if len(entries) <= _MOST_SHOWN:
        return ", ".join(entries) or "none"
    return f"{', '.join(entries[:_MOST_SHOWN])} and {len(entries) - _MOST_SHOWN} more"


def namespace_of(address: str) -> str:
    """Return the namespace in the address of a Service in a cluster.

    For example `temporal` for `frontend.temporal.svc:7233`. Empty for other addresses.
    """
    labels = address.rpartition("://")[2].partition("/")[0].partition(":")[0].split(".")
    return labels[1] if len(labels) >= _CLUSTER_NAMES and labels[2] == "svc" else ""

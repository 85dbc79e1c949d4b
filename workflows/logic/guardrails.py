"""Is this plan within what the worker allows? Every problem at once; decided before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from workflows.contracts.errors import Problem
from workflows.contracts.guardrails import FAULTS_OF_A_PAIR, Guardrails
from workflows.contracts.plan import Plan
from workflows.contracts.units import format_duration, format_rate
from workflows.logic.addresses import Address, address_in, address_of
from workflows.logic.allowed import allowed_by_worker
from workflows.logic.environments import environment_problems
from workflows.logic.load_limits import load_problems
from workflows.logic.plan_addresses import addresses_in
from workflows.logic.wording import shown

ALLOWED_NAMESPACES = "HOLDFAST_ALLOWED_NAMESPACES"
ALLOWED_HOSTS = "HOLDFAST_ALLOWED_HOSTS"
MAX_ACTIVE_FAULTS = "HOLDFAST_MAX_ACTIVE_FAULTS"
LONGEST_FAULT = "HOLDFAST_LONGEST_FAULT"
OWN_NAMESPACES = "HOLDFAST_OWN_NAMESPACES"

_WHERE = "where the worker is started"
_MOST_SHOWN = 20
_CLUSTER_NAMES = 3
"""Labels of a Service's name in a cluster, at least: `frontend.temporal.svc`."""


def outside(plan: Plan, rails: Guardrails) -> list[Problem]:
    """Everything in a plan that this worker does not allow, with its path and the setting that would allow it."""
    environment = environment_problems(plan, rails.environments)
    addresses, load = _addresses(plan, rails), load_problems(plan, rails)
    return [*_namespace(plan, rails), *environment, *addresses, *_faults(plan, rails), *load]


def too_few_for_pairs(rails: Guardrails) -> list[Problem]:
    """A pair with two real faults needs both at once, whatever the plan's own `safety.max_active_faults` says.

    That one keeps captured failures apart, of which there are none here; and the flag asks for two by name.
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
            hint=f"when you mean it, add it to {ALLOWED_NAMESPACES} {_WHERE}",
        )


def _addresses(plan: Plan, rails: Guardrails) -> Iterator[Problem]:
    allowed, never = allowed_by_worker(tuple(rails.open_to)), frozenset(map(address_in, rails.closed_to))
    for path, url in addresses_in(plan.model_dump(by_alias=True)):
        try:
            address = address_of(str(url))
        except ValueError as error:
            # Nothing that cannot be judged is allowed, whatever a client would make of it.
            hint = "write it whole, for example http://127.0.0.1:8080"
            yield Problem(path=path, message=f"is not an address that can be checked: {error}", hint=hint)
            continue
        if address in never:
            yield Problem(
                path=path,
                message=f"{as_entry(str(url))} is never reached: Temporal, its Web UI or the store is there",
                hint="name the address of your own service; no setting allows this one",
            )
        elif not allowed.allows(address):
            yield Problem(
                path=path,
                message=f"the worker does not allow {shown(as_entry(str(url)))}",
                hint=f"when you mean it, add {as_entry(str(url))} to {ALLOWED_HOSTS} {_WHERE}",
            )


def as_entry(url: str) -> str:
    """The entry of a setting or plan that allows this URL and nothing else: host as it is written, and port.

    Raises:
        ValueError: the URL names no address.
    """
    host, address = (urlsplit(url).hostname or "").lower(), address_of(url)
    # With a zone, as with anything odd, only the canonical spelling is an entry.
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
    """What plans may do here, in one line."""
    if rails.namespaces is None:
        namespaces = f"any namespace but {', '.join(rails.refused)}"
    else:
        allowed = [name for name in rails.namespaces if name not in rails.refused]
        namespaces = f"namespaces {', '.join(allowed)}" if allowed else "no namespace"
    faults = "1 fault" if rails.max_active_faults == 1 else f"{rails.max_active_faults} faults"
    return (
        f"plans may touch {namespaces}; hosts {_few(rails.open_to)}, never {_few(rails.closed_to)}; "
        f"at most {faults} at once, none longer than {format_duration(rails.longest_fault)}; "
        f"at most {format_rate(rails.max_rate)}, {rails.max_in_flight} requests under way, "
        f"{rails.max_requests} a run, {format_duration(rails.max_load_duration)} of load"
    )


def _few(entries: list[str]) -> str:
    """Entries, or those of the beginning and how many more: a lab may have hundreds."""
    if len(entries) <= _MOST_SHOWN:
        return ", ".join(entries) or "none"
    return f"{', '.join(entries[:_MOST_SHOWN])} and {len(entries) - _MOST_SHOWN} more"


def namespace_of(address: str) -> str:
    """The namespace that a Service's address in a cluster names (`frontend.temporal.svc:7233`); empty for others."""
    labels = address.rpartition("://")[2].partition("/")[0].partition(":")[0].split(".")
    return labels[1] if len(labels) >= _CLUSTER_NAMES and labels[2] == "svc" else ""

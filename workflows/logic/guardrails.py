"""Is this plan within what the worker allows? Every problem at once; decided before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from workflows.contracts.errors import Problem
from workflows.contracts.guardrails import Guardrails
from workflows.contracts.plan import Plan
from workflows.contracts.units import format_duration
from workflows.logic.environments import environment_problems
from workflows.logic.wording import inner_path, shown

ALLOWED_NAMESPACES = "HOLDFAST_ALLOWED_NAMESPACES"
ALLOWED_HOSTS = "HOLDFAST_ALLOWED_HOSTS"
MAX_ACTIVE_FAULTS = "HOLDFAST_MAX_ACTIVE_FAULTS"
LONGEST_FAULT = "HOLDFAST_LONGEST_FAULT"
OWN_NAMESPACES = "HOLDFAST_OWN_NAMESPACES"

_WHERE = "where the worker is started"
_FAULTS_OF_A_PAIR = 2
_CLUSTER_NAMES = 3
"""Labels of a Service's name in a cluster, at least: `frontend.temporal.svc`."""


def outside(plan: Plan, rails: Guardrails) -> list[Problem]:
    """Everything in a plan that this worker does not allow, with its path and the setting that would allow it."""
    environment = environment_problems(plan, rails.environments)
    return [*_namespace(plan, rails), *environment, *_hosts(plan, rails), *_faults(plan, rails)]


def too_few_for_pairs(rails: Guardrails) -> list[Problem]:
    """A pair with two real faults needs both at once, whatever the plan's own `safety.max_active_faults` says.

    That one keeps captured failures apart, of which there are none here; and the flag asks for two by name.
    """
    if rails.max_active_faults >= _FAULTS_OF_A_PAIR:
        return []
    message = f"a pair needs {_FAULTS_OF_A_PAIR} faults at once; the worker allows {rails.max_active_faults}"
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


def _hosts(plan: Plan, rails: Guardrails) -> Iterator[Problem]:
    places = {"system.proxy": plan.system.proxy, "system.faults": plan.system.faults}
    places |= {inner_path("system.services", name): url for name, url in plan.system.services.items()}
    places["request.url"] = plan.request.url
    if plan.request.login is not None:
        places["request.login.url"] = plan.request.login.url
    if plan.stop.health.url is not None:
        places["stop.health.url"] = plan.stop.health.url
    for path, url in places.items():
        host = (urlsplit(url).hostname or "").lower()
        if not any(_is_allowed(host, one.lower()) for one in rails.hosts):
            yield Problem(
                path=path,
                message=f"the worker does not allow host {shown(host)}",
                hint=f"when you mean it, add it to {ALLOWED_HOSTS} {_WHERE}",
            )


def _is_allowed(host: str, allowed: str) -> bool:
    # With its dot, so that `*.shop.internal` does not let `evil-shop.internal` pass.
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


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
        f"plans may touch {namespaces}; hosts {', '.join(rails.hosts) or 'none'}; "
        f"at most {faults} at once, none longer than {format_duration(rails.longest_fault)}"
    )


def namespace_of(address: str) -> str:
    """The namespace that a Service's address in a cluster names (`frontend.temporal.svc:7233`); empty for others."""
    labels = address.rpartition("://")[2].partition("/")[0].partition(":")[0].split(".")
    return labels[1] if len(labels) >= _CLUSTER_NAMES and labels[2] == "svc" else ""

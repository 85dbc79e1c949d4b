"""Allow-list that limits full experiments to the plan's own service.

The fault service passes every matcher on as it is, and the operator obeys each one that it knows: `kubeconfig` leads to
another cluster, `labels: ["="]` selects every pod. A list of forbidden matchers would miss the next such matcher.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from domain.errors import Problem
from domain.plans.validation.wording import inner_path, shown, suggestion

AIMING = ("namespace", "names", "labels", "container-names", "container-ids", "container-index")
"""Matchers that select targets. Each has a rule of its own, here or in `fault_rules`."""

PARAMETERS = (
    # How many of the selected pods, and for how long at most.
    "evict-count", "timeout", "waiting-time", "force",
    # Network.
    "time", "offset", "percent", "correlation", "interface", "local-port", "remote-port", "exclude-port",
    "destination-ip", "exclude-ip", "source-ip", "source-port", "destination-port", "string-pattern", "network-traffic",
    "ignore-peer-port", "peer-ip", "domain", "ip", "gap", "reorder", "protocol",
    # Processor, memory, disk, processes.
    "cpu-percent", "cpu-count", "cpu-list", "climb-time", "mem-percent", "mode", "reserve", "rate", "burst-kind",
    "avoid-being-killed", "include-buffer-cache", "size", "path", "read", "write", "retain-handle", "process",
    "process-cmd", "signal", "count", "exclude-process", "ignore-not-found",
    # A pod's file system.
    "method", "delay", "errno", "random", "pvc-path",
    # Inside a JVM.
    "classname", "methodname", "exception", "exception-message", "effect-count", "effect-percent", "after", "value",
    "thread-count", "area", "pid", "port",
)  # fmt: skip
"""Matchers that set how a fault acts. None of them selects a pod beyond those that `AIMING` selects, and none leads out
of the cluster."""

_POD_OF = r"{service}(-\d{{1,5}}|-[a-z0-9]{{5,10}}-[a-z0-9]{{5}})?"
"""Names of a service's pods: of a StatefulSet, of a Deployment, or bare. `cart-db-0` is not a pod of `cart`."""
IDENTIFYING = (
    "app",
    "app.kubernetes.io/name",
    "app.kubernetes.io/component",
    "k8s-app",
    "component",
    "service",
    "name",
)
"""Labels that name a service by convention. Another label, such as `team`, may be shared by many services."""
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?=[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_COUNT = re.compile(r"[1-9][0-9]{0,5}")


def experiment_rules(path: str, matchers: dict[Any, Any], service: object) -> Iterator[Problem]:
    """Report matchers that are unknown or select other services' pods.

    `path` is the path of the matchers.
    """
    for name, values in matchers.items():
        if not isinstance(name, str) or not isinstance(values, list):
            continue
        place = inner_path(path, name)
        if name not in AIMING and name not in PARAMETERS:
            message = f"{shown(name)} is not a matcher that a plan may use"
            yield Problem(path=place, message=message, hint=suggestion(name, sorted([*AIMING, *PARAMETERS])))
        if not isinstance(service, str):
            continue
        for position, value in enumerate(values):
            if isinstance(value, str) and value.strip():
                yield from _value(f"{place}[{position}]", name, value, service)


def _value(path: str, name: str, value: str, service: str) -> Iterator[Problem]:
    if name == "names" and not re.fullmatch(_POD_OF.format(service=re.escape(service)), value):
        message = f"{shown(value)} is not a pod of {service}"
        yield Problem(path=path, message=message, hint=f"leave it out, or name one pod, such as {service}-0")
    if name == "labels" and not _selects_only(value, service):
        message = f"{shown(value)} may select pods of services other than {service}"
        yield Problem(path=path, message=message, hint=f"leave it out, or write app={service}")
    if name == "evict-count" and not _COUNT.fullmatch(value):
        yield Problem(path=path, message="must be a number of pods", hint='write ["1"]')


def _selects_only(selector: str, service: str) -> bool:
    # The operator treats list entries as alternatives; within an entry, all pairs joined by commas must match.
    pairs = [pair.strip() for pair in selector.split(",")]
    named = {f"{label}={service}" for label in IDENTIFYING}
    return all(_LABEL.fullmatch(pair) for pair in pairs) and not named.isdisjoint(pairs)

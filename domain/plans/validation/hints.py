"""Hints for mistakes of shape, by place in the plan."""

from __future__ import annotations

import re
from collections.abc import Sequence

from domain.faults.chaosblade import hints as chaosblade
from domain.plans.validation.wording import cut, may_be_secret

FULL_FAULT = "{type: ..., experiment: {...}}"
FAULT_HINT = (
    "write remove, error, {delay: 3s}, {remove: {containers: [name]}}, {error: {containers: [name]}} "
    f"or {FULL_FAULT}"
)

MISSING = {
    "name": "names the runs of this plan",
    "system": "gives the addresses of the system under test and its peers",
    "request": "is the user request whose resilience is tested",
    "services": "lists the services that are made to fail, and how",
    "slo": "sets what a case must meet to pass, for example {error_rate: 1%, p95: 500ms}",
    "system.namespace": "is the Kubernetes namespace under test",
    "system.proxy": "is the address of the traffic proxy",
    "system.faults": "is the address of the fault service",
    "system.services": "gives the address at which the worker reaches each service",
    "request.url": "is the absolute address that the request is sent to",
    "slo.overrides[].for": "names the cases: cart, cart+payment, cart+*",
    "services[].name": "names the service in system.services that is made to fail",
    "services[].fault": FAULT_HINT,
    "services[].fault.type": "is the kind of failure as it appears in case names and tokens, for example cpu-load",
    **chaosblade.MISSING,
    "services[].fault.remove.containers": "names the containers in the service's pods",
    "services[].fault.error.containers": "names the containers in the service's pods",
    "plan": 'is the plan document: {"plan": {...}, "if_busy": "refuse", "requested_by": "..."}',
}
"""Why a field is needed, by its path."""

MAPPING = "write {name: value}, or name: value on lines of their own, indented"
LIST = "write [first, second]"

_STATUSES = "list each one, for example [200, 204]; without it, 200 to 399 are good"
_EXAMPLES = {
    "system": "write its fields below it, indented: namespace, proxy, faults, services",
    "system.services": "write {cart: http://cart.example.internal}",
    "system.services[]": "write the whole address, for example http://127.0.0.1:8080",
    "system.stability": "write {kind: http, path: /health}, or {kind: kubernetes}",
    "request": "write {url: http://127.0.0.1:8080/api}",
    "request.headers": "write {accept: application/json}",
    "request.query": "write {limit: 3}",
    "request.form": "write {item: book}; for a body as it is, use raw",
    "services": "write a list of lines such as - {name: cart, fault: remove}",
    "services[]": "write {name: cart, fault: remove}",
    "services[].fault.remove": "write fault: remove, or {remove: {containers: [name]}}",
    "services[].fault.error": "write fault: error, or {error: {containers: [name]}}",
    "load": "write {requests: 20, concurrency: 4}",
    "load.rate": "write text such as 20/s or 90/m",
    "slo.regression": "write {percentile: p95, margin: 10%}",
    "slo.overrides[]": "write {for: cart+payment, budget: 2s}",
    "slo": "write {error_rate: 1%, p95: 500ms}",
    "exclude[]": "write cart+payment, or {case: cart+payment, reason: why}",
    "steady_state": "write {check: false} to leave it out",
    "steady_state.status": _STATUSES,
    "steady_state.status[]": _STATUSES,
    "safety": "write {fault_ttl: 10m}",
    "timeouts": "write {replay: 2m}",
}
"""What to write at a place that holds a value of the wrong kind."""

ALSO_CALLED = {
    "request": {
        "body": "json, form or raw",
        "data": "json, form or raw",
        "params": "query",
        "parameters": "query",
        "uri": "url",
        "address": "url",
        "path": "url",
        "verb": "method",
    },
    "services[].fault": {
        "latency": "delay",
        "slow": "delay",
        "kill": "remove",
        "crash": "remove",
        "down": "remove",
        "exception": "error",
        "fail": "error",
        "abort": "error",
    },
}
"""Names that other tools use for our fields and faults, by place."""

_ADDRESS = re.compile(r"system\.services\.[^.\[]+$")
_POSITION = re.compile(r"\[\d+\]")
PATTERNS = {
    "^[a-z0-9](": "lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
    "^[a-z][a-z0-9-]*$": "lower-case letters, digits and hyphens, beginning with a letter",
    "^[A-Za-z][": "letters, digits, hyphens and underscores, beginning with a letter",
    "^[A-Za-z0-9][": "letters, digits and . _ : -, beginning with a letter or digit",
    "^/": "a path begins with /",
}


def place(path: str) -> str:
    """Return a path without positions: `services[].fault`."""
    return "system.services[]" if _ADDRESS.match(path) else _POSITION.sub("[]", path)


def wrong_type_hint(path: str, value: object, hint: str) -> str:
    """Return a hint for a value of the wrong kind.

    `hint` is the general one, for places that have no better one.
    """
    if (found := _EXAMPLES.get(place(path))) is not None:
        return found
    if hint == LIST and isinstance(value, (str, int)) and not may_be_secret(path):
        return f'write ["{cut(str(value))}"]'
    return hint


def no_value(path: str) -> str:
    """Return a hint for a field without a value.

    It explains why the field needs one, or that the field can be left out.
    """
    needed = MISSING.get(place(path))
    return f"give it a value: it {needed}" if needed and " " in needed else "give it a value, or leave the field out"


def other_name(path: str, name: object) -> str | None:
    """Return our name for another tool's word, if there is one."""
    return ALSO_CALLED.get(place(path), {}).get(name) if isinstance(name, str) else None


def not_matching(pattern: str, value: object) -> str:
    """Return a hint for text that does not match its pattern."""
    words = next((words for start, words in PATTERNS.items() if pattern.startswith(start)), f"must match {pattern}")
    label = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:63] if isinstance(value, str) else ""
    return f"{words}; for example {label}" if label and pattern.startswith("^[a-z0-9](") else words


def not_one_of(value: object, allowed: Sequence[str]) -> str | None:
    """Return a hint for a number that was written as text."""
    return f"write {value}, without quotes" if isinstance(value, str) and [value] == list(allowed) else None

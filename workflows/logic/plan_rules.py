"""The rules that hold between fields of a plan.

They work on the raw document, tolerant of broken parts, so that they are reported together with the problems of shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from workflows.contracts.errors import Problem
from workflows.contracts.plan import Safety, Timeouts
from workflows.contracts.units import format_duration, parse_duration
from workflows.logic.faults import CONTAINER_SELECTORS
from workflows.logic.problems import nearest

PROTECTED_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
SECRET_HEADERS = ("authorization", "cookie", "x-api-key", "proxy-authorization")
_REFERENCE = re.compile(r"\$\{env:[A-Za-z_][A-Za-z0-9_]*\}")
_ANY_REFERENCE = re.compile(r"\$\{[^}]*\}?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WORK_SLACK = timedelta(seconds=30)


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def broken_rules(raw: dict[Any, Any]) -> Iterator[Problem]:
    """Every broken rule of a plan document."""
    system, request, safety = (_mapping(raw.get(name)) for name in ("system", "request", "safety"))
    yield from _services(raw, _mapping(system.get("services")))
    yield from _namespace(system, safety)
    yield from _hosts(system, request, safety)
    yield from _request(request)
    yield from _references(raw)
    yield from _slo(raw)
    yield from _ttl(safety, _mapping(raw.get("timeouts")))


def _services(raw: dict[Any, Any], addresses: dict[Any, Any]) -> Iterator[Problem]:
    services = _list(raw.get("services"))
    names = [_mapping(service).get("name") for service in services]
    counts = Counter(name for name in names if isinstance(name, str))
    seen: set[str] = set()
    for position, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if counts[name] > 1 and name in seen:
            yield Problem(
                path=f"services[{position}].name",
                message=f"'{name}' is in the plan twice",
                hint="one fault per service",
            )
        elif addresses and name not in addresses and name not in seen:
            known = [str(one) for one in addresses]
            yield Problem(
                path=f"services[{position}].name",
                message=f"'{name}' has no address in system.services",
                hint=nearest(name, known) or "add its address there",
            )
        seen.add(name)
        yield from _matchers(position, _mapping(_mapping(services[position]).get("fault")))


def _matchers(position: int, fault: dict[Any, Any]) -> Iterator[Problem]:
    """What the operator refuses, and what the peer's YAML cannot carry (`peer-contract` sections 2.2 and 2.6)."""
    experiment = _mapping(fault.get("experiment"))
    matchers = _mapping(experiment.get("matchers"))
    path = f"services[{position}].fault.experiment.matchers"
    if matchers and experiment.get("scope") == "container" and not any(one in matchers for one in CONTAINER_SELECTORS):
        yield Problem(
            path=path,
            message="an experiment of scope container does not say which container",
            hint="add container-names",
        )
    for name, values in matchers.items():
        for value in _list(values):
            if isinstance(value, str) and re.search(r'["\\\x00-\x1f]', value):
                yield Problem(
                    path=f"{path}.{name}",
                    message="a matcher's value must not contain quotes, backslashes or control characters",
                )


def _namespace(system: dict[Any, Any], safety: dict[Any, Any]) -> Iterator[Problem]:
    namespace, allowed = system.get("namespace"), safety.get("allowed_namespaces")
    if namespace in PROTECTED_NAMESPACES:
        yield Problem(path="system.namespace", message=f"'{namespace}' is never tested: the cluster itself lives there")
    if isinstance(allowed, list) and isinstance(namespace, str) and namespace not in allowed:
        yield Problem(
            path="system.namespace",
            message=f"'{namespace}' is not among safety.allowed_namespaces",
            hint=nearest(namespace, [str(one) for one in allowed]),
        )


def _hosts(system: dict[Any, Any], request: dict[Any, Any], safety: dict[Any, Any]) -> Iterator[Problem]:
    allowed = safety.get("allowed_hosts", Safety().allowed_hosts)
    if not isinstance(allowed, list):
        return
    places = {"system.proxy": system.get("proxy"), "system.faults": system.get("faults")}
    for name, address in _mapping(system.get("services")).items():
        places[f"system.services.{name}"] = address
    places["request.url"] = request.get("url")
    for path, url in places.items():
        host = _host(url)
        if host and host not in [str(one).lower() for one in allowed]:
            yield Problem(
                path=path,
                message=f"host '{host}' is not among safety.allowed_hosts",
                hint="by default only this machine may be tested: add the host there when you mean it",
            )


def _host(url: Any) -> str:
    try:
        return (urlsplit(url).hostname or "").lower() if isinstance(url, str) else ""
    except ValueError:
        return ""


def _request(request: dict[Any, Any]) -> Iterator[Problem]:
    method = request.get("method", "GET")
    if method not in ("GET", "HEAD") and isinstance(method, str) and request.get("repeatable") is not True:
        yield Problem(
            path="request.repeatable",
            message=f"a {method} is sent many times for real: by the analysis, the replay and the load test",
            hint="set repeatable: true when that does no harm",
        )
    for name, value in _mapping(request.get("headers")).items():
        path = f"request.headers.{name}"
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            yield Problem(path=path, message="not a header name")
        if not isinstance(value, str):
            continue
        if re.search(r"[\r\n\x00]", value):
            yield Problem(path=path, message="a header's value must be one line")
        if str(name).lower() in SECRET_HEADERS and not _REFERENCE.search(value):
            yield Problem(
                path=path,
                message="a secret must not stand in a plan, which is stored",
                hint="write ${env:NAME} and set NAME where the worker is started",
            )


def _references(raw: dict[Any, Any]) -> Iterator[Problem]:
    for path, text in _texts(raw, ""):
        for reference in _ANY_REFERENCE.findall(text):
            if not _REFERENCE.fullmatch(reference):
                yield Problem(path=path, message="a reference that is not ${env:NAME}")
            elif not path.startswith("request."):
                yield Problem(path=path, message="${env:NAME} can only stand in the request")


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for position, one in enumerate(value):
            yield from _texts(one, f"{path}[{position}]")


def _slo(raw: dict[Any, Any]) -> Iterator[Problem]:
    slo = raw.get("slo")
    if not isinstance(slo, dict):
        return
    relative = _mapping(slo.get("relative_to_baseline"))
    if not any(slo.get(name) for name in ("p50", "p95", "p99", "error_rate")) and not any(relative.values()):
        yield Problem(
            path="slo",
            message="no threshold: every case would pass",
            hint="set at least one of p50, p95, p99, error_rate, relative_to_baseline",
        )


def _ttl(safety: dict[Any, Any], timeouts: dict[Any, Any]) -> Iterator[Problem]:
    """A fault must outlive the work that needs it."""
    defaults = Timeouts()
    try:
        ttl = parse_duration(safety.get("fault_ttl", Safety().fault_ttl))
        running = parse_duration(timeouts.get("fault_running", defaults.fault_running))
        replay = parse_duration(timeouts.get("replay", defaults.replay))
    except ValueError:
        return
    needed = running + replay + _WORK_SLACK
    if ttl < needed:
        yield Problem(
            path="safety.fault_ttl",
            message=f"{format_duration(ttl)} is shorter than the work that it guards",
            hint=f"at least {format_duration(needed)}: timeouts.fault_running + timeouts.replay + 30s",
        )

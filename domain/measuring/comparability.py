"""Whether two runs can be compared.

They can be only if they sent the same requests, load and faults to the same system. Limits (`slo`) may differ, and so
may anything without effect while cases are measured: names, stop conditions, time limits of the stages. Reasons name
the places where requests differ, but not their values, because these may be secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from domain.plans.environments import environment_in
from domain.plans.plan import Plan, ServiceUnderTest

_NOTHING = "nothing"
_SHOWN = 60
"""Characters of a value that are shown."""


def differences(before: Plan, after: Plan) -> list[str]:
    """Return why runs of these plans cannot be compared, a sentence each.

    Empty if they can.
    """
    return [*_environments(before, after), *_requests(before, after), *_loads(before, after), *_services(before, after)]


def other_limits(before: Plan, after: Plan) -> bool:
    """Return whether the verdicts of the two rest on different limits.

    A change of verdict then means nothing.
    """
    return before.slo != after.slo


def other_address(before: Plan, after: Plan) -> bool:
    """Return whether the two plans' requests go to different addresses.

    For comparable runs this means that their named environment has moved.
    """
    return _origin(before.request.url) != _origin(after.request.url)


def _environments(before: Plan, after: Plan) -> Iterator[str]:
    ours, theirs = environment_in(before), environment_in(after)
    if ours != theirs:
        yield f"different environments: {ours}, then {theirs}"
    if before.system.namespace != after.system.namespace:
        yield f"different namespaces: {before.system.namespace}, then {after.system.namespace}"


def _requests(before: Plan, after: Plan) -> Iterator[str]:
    # The name of an environment identifies the system, so hosts and ports may change.
    named = before.system.environment is not None and before.system.environment == after.system.environment
    ours, theirs = (
        plan.request.model_dump(mode="json", by_alias=True, exclude={"repeatable"}) for plan in (before, after)
    )
    for request in (ours, theirs) if named else ():
        request["url"] = _without_origin(request["url"])
        if request["login"] is not None:
            request["login"]["url"] = _without_origin(request["login"]["url"])
    found = [path for path, *_ in _changes(ours, theirs, "request")]
    # The order of fields may matter to a server, so a different order is a different request.
    if not found and json.dumps(ours) != json.dumps(theirs):
        found = ["the order of its fields"]
    if found:
        yield f"different requests: {', '.join(found)}"


def _loads(before: Plan, after: Plan) -> Iterator[str]:
    ours, theirs = (plan.load.model_dump(mode="json", exclude={"warm_up"}) for plan in (before, after))
    changes = [
        f"{path} {_abbreviated(left)}, then {_abbreviated(right)}"
        for path, left, right in _changes(ours, theirs, "load")
    ]
    if before.warm_up != after.warm_up:
        changes.append(f"warm-up of {before.warm_up} requests, then {after.warm_up}")
    if before.slo.compares != after.slo.compares:
        ways = ["beside the baseline" if plan.slo.compares else "alone" for plan in (before, after)]
        changes.append(f"cases measured {ways[0]}, then {ways[1]}")
    if changes:
        yield f"different loads: {'; '.join(changes)}"


def _services(before: Plan, after: Plan) -> Iterator[str]:
    missing = sorted(set(before.service_names) ^ set(after.service_names))
    if missing:
        yield f"different services: {', '.join(missing)} only in one of them"
    for name in sorted(set(before.service_names) & set(after.service_names)):
        ours, theirs = _fault(before.service(name)), _fault(after.service(name))
        for path, left, right in _changes(ours, theirs, name):
            yield f"different faults: {path} {_abbreviated(left)}, then {_abbreviated(right)}"


def _fault(service: ServiceUnderTest) -> dict[str, Any]:
    """Return how a service fails.

    `calls` is left out: it only decides what is broken at the same time.
    """
    return service.model_dump(mode="json", include={"fault", "substitute_status"})


def _changes(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield every place where two documents differ, with both values."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in dict.fromkeys([*left, *right]):
            yield from _changes(left.get(name), right.get(name), f"{path}.{name}")
    elif left != right:
        yield path, left, right


def _abbreviated(value: Any) -> str:
    text = _NOTHING if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _without_origin(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))

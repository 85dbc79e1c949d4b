"""Rules against faults that the peer refuses or misreads.

The peer is the fault service with its operator. Problems are reported before anything is switched on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from domain.errors import Problem
from domain.faults.chaosblade.expansion import CONTAINER_SELECTORS
from domain.faults.chaosblade.matchers import experiment_rules
from domain.plans.validation.wording import inner_path, shown, suggestion

SCOPES = ("pod", "container")
"""Scopes that stay inside a namespace. The operator's other scopes (node, cluster) reach beyond it."""

_UNWRITABLE = re.compile(r"[\"\\\x00-\x1f\x7f\x85\u2028\u2029]")
"""Characters that a value must not contain. The peer writes values into double quotes, unescaped (`peer-contract`
section 2.2)."""

Raw = dict[Any, Any]


def fault_rules(path: str, fault: object, namespace: object, service: object) -> Iterator[Problem]:
    """Report every broken rule of one service's fault.

    `path` is the path of the fault.
    """
    experiment = fault.get("experiment") if isinstance(fault, dict) else None
    matchers = experiment.get("matchers") if isinstance(experiment, dict) else None
    if not isinstance(experiment, dict):
        return
    path = f"{path}.experiment"
    scope = experiment.get("scope")
    if isinstance(scope, str) and scope not in SCOPES:
        message = f"{shown(scope)} is not a scope that stays inside one namespace"
        yield Problem(path=f"{path}.scope", message=message, hint=suggestion(scope, SCOPES))
    if isinstance(matchers, dict) and matchers:
        yield from _matchers(f"{path}.matchers", matchers)
        yield from _targets(f"{path}.matchers", scope, matchers, namespace)
        yield from experiment_rules(f"{path}.matchers", matchers, service)


def _matchers(path: str, matchers: Raw) -> Iterator[Problem]:
    for name, values in matchers.items():
        if not isinstance(values, list):
            continue
        place = inner_path(path, name)
        if not values:
            yield Problem(path=place, message="must not be empty", hint="the operator ignores it, and may take any pod")
        for position, value in enumerate(values):
            if not isinstance(value, str):
                continue
            if not value.strip():
                yield Problem(path=f"{place}[{position}]", message="must not be blank", hint="give it a value")
            elif _UNWRITABLE.search(value):
                yield Problem(
                    path=f"{place}[{position}]",
                    message="must not contain double quotes, backslashes or line breaks",
                    hint="the fault service writes it into YAML as it is",
                )


def _targets(path: str, scope: object, matchers: Raw, namespace: object) -> Iterator[Problem]:
    if scope == "container" and not any(selector in matchers for selector in CONTAINER_SELECTORS):
        yield Problem(
            path=path,
            message="an experiment of scope container does not say which container",
            hint="add container-names: [name], or container-ids, or container-index",
        )
    given = matchers.get("namespace")
    if isinstance(given, list) and given and isinstance(namespace, str) and given != [namespace]:
        yield Problem(
            path=f"{path}.namespace",
            message="is not the namespace under test",
            hint=f"leave it out, or write [{shown(namespace)}]: a plan touches one namespace",
        )

"""A full experiment reaches only its own service, in the plan's own namespace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.plans.builders import FAULT, changed, experiment, problems

SERVICE = "reviews"
WIDER: list[dict[str, list[str]]] = [
    {"names": ["*"]},
    {"names": ["reviews-0", "shipping-0"]},
    {"names": ["reviewsx-0"]},
    {"names": ["reviews-0,shipping-0"]},
    {"names": ["Reviews-0"]},
    {"names": ["reviews-db-0"]},
    {"labels": ["="]},
    {"labels": ["app=reviews-db"]},
    {"labels": ["team=reviews"]},
    {"labels": ["app"]},
    {"labels": ["app=reviews", "app=shipping"]},
    {"labels": ["app!=reviews"]},
    {"labels": ["app in (reviews, shipping)"]},
    {"labels": ["app=reviews,"]},
    {"labels": ["app=*"]},
    {"kubeconfig": ["/root/.kube/config"]},
    {"evict-percent": ["100"]},
    {"evict-count": ["-1"]},
    {"namespace": ["kube-system"]},
    {"namespace": ["shop", "kube-system"]},
    {"node-names": ["node-1"]},
    {"chaosblade-download-url": ["http://example.test/"]},
    {"script-content": ["x"]},
    {"Names": ["*"]},
]


@pytest.mark.parametrize("matchers", WIDER, ids=str)
def test_a_matcher_that_selects_more_than_the_service_is_refused(matchers: dict[str, Any]) -> None:
    """Even next to a matcher that selects the service correctly."""
    for given in (matchers, {"names": ["reviews-0"]} | matchers):
        found = problems(changed(FAULT, experiment(matchers=given)))
        assert found, given
        assert all(path.startswith("services[0].fault.experiment.matchers.") for path in found)


@pytest.mark.parametrize("scope", ["node", "host", "cluster", "Pod", ""])
def test_a_scope_beyond_the_namespace_is_refused(scope: str) -> None:
    assert problems(changed(FAULT, experiment(scope=scope)))


@pytest.mark.parametrize(
    "matchers",
    [
        {"names": ["reviews-0", "reviews-7d9c5b8f6d-x2xk9"]},
        {"labels": ["app=reviews"], "evict-count": ["1"]},
        {"labels": ["app.kubernetes.io/name=reviews,tier=web"], "percent": ["50"], "interface": ["eth0"]},
        {"names": ["reviews"], "namespace": ["shop"], "cpu-percent": ["80"], "timeout": ["60"]},
    ],
    ids=str,
)
def test_matchers_that_stay_within_the_service_are_allowed(matchers: dict[str, Any]) -> None:
    assert problems(changed(FAULT, experiment(matchers=matchers))) == {}

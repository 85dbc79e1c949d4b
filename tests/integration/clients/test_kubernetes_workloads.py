"""Deployments and targets looked up in a cluster, against a stand-in for its API."""

from __future__ import annotations

from typing import Any

import pytest

from clients.kubernetes.connection import Cluster
from clients.kubernetes.workloads import Targets, Workloads, find_targets
from domain.errors import ErrorCode, HoldfastError
from tests.support.clients.cluster import TOKEN, TROUBLES, StandIn, pod, saying, silent


@pytest.mark.parametrize(("answer", "code", "said"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_every_trouble_has_its_code(
    api: StandIn, cluster: Cluster, answer: Any, code: ErrorCode, said: str
) -> None:
    """Looking targets up reports it at once. Whether it is tried again follows from the code."""
    api.roll_out("cart")
    api.instead = answer
    with pytest.raises(HoldfastError) as raised:
        await find_targets(Workloads(cluster, "shop"), ["cart"], {})
    assert raised.value.code is code
    assert said in str(raised.value)
    assert TOKEN not in str(raised.value)


async def test_a_404_of_another_server_does_not_mean_an_absent_deployment(api: StandIn, cluster: Cluster) -> None:
    """Only the API itself can report an object as absent; any web server may answer 404."""
    api.instead = saying(404, '{"reason": "NotFound"}')
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").look("cart")
    assert raised.value.code is ErrorCode.PEER_REJECTED


async def test_a_silent_cluster_is_a_timeout(api: StandIn, cluster: Cluster) -> None:
    """The library's own default is five minutes."""
    api.instead = silent
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").look("cart", within=0.05)
    assert raised.value.code is ErrorCode.PEER_TIMEOUT
    assert "get deployment cart in shop: no complete answer within 0.05 s" in str(raised.value)


async def targets(cluster: Cluster, *services: str, **mapping: str) -> Targets:
    return await find_targets(Workloads(cluster, "shop"), services, mapping)


async def test_targets_are_found_by_name_and_by_mapping(api: StandIn, cluster: Cluster) -> None:
    """The selector leads to the pods. Pods of others, and pods being deleted, do not count."""
    api.roll_out("cart", app="cart")
    api.roll_out("reviews-v2", app="reviews", version="v2")
    api.roll_out("reviews-v1", app="reviews", version="v1")
    stranger = pod("stranger", {"metadata": {"name": "x", "uid": "r-x", "labels": {"app": "cart"}}})
    leaving = pod("leaving", api.replica_sets[0])
    leaving["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:30Z"
    api.pods += [stranger, leaving]
    found = await targets(cluster, "cart", "reviews", reviews="reviews-v2")
    assert not found.problems
    assert [(target.service, target.workload, target.selector, target.pods) for target in found.found] == [
        ("cart", "cart", "app=cart", ["cart-1-0", "cart-1-1"]),
        ("reviews", "reviews-v2", "app=reviews,version=v2", ["reviews-v2-1-0", "reviews-v2-1-1"]),
    ]


async def test_every_missing_target_is_a_problem_with_the_nearest_name(api: StandIn, cluster: Cluster) -> None:
    """All problems are reported at once, with the deployments that exist."""
    api.roll_out("cart")
    api.roll_out("reviews-v2")
    found = await targets(cluster, "cart", "reviews", "xyz")
    assert [target.service for target in found.found] == ["cart"]
    assert [str(problem) for problem in found.problems] == [
        "system.stability.workloads.reviews: namespace shop has no Deployment 'reviews' (did you mean 'reviews-v2'?)",
        "system.stability.workloads.xyz: namespace shop has no Deployment 'xyz' (valid here: cart, reviews-v2)",
    ]


async def test_an_empty_namespace_is_reported_as_possibly_the_wrong_cluster(cluster: Cluster) -> None:
    assert "is it the right cluster?" in (await targets(cluster, "cart")).problems[0].hint


async def test_selectors_with_expressions_reach_the_query(api: StandIn, cluster: Cluster) -> None:
    """Set-based terms are as valid as labels in a Deployment."""
    deployment = api.roll_out("cart")
    deployment["spec"]["selector"]["matchExpressions"] = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "canary", "operator": "NotIn", "values": ["yes"]},
        {"key": "track", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    found = await targets(cluster, "cart")
    assert found.found[0].selector == "app=cart,tier in (a,b),canary notin (yes),track,!old"

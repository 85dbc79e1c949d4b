"""Stability read from a cluster, against a stand-in for its API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from clients.kubernetes.connection import Cluster
from clients.kubernetes.stability import KubernetesStabilityClient
from clients.kubernetes.workloads import Workloads
from domain.executions.windows import ServiceStability
from domain.plans.system import KubernetesStability
from tests.support.clients.cluster import TROUBLES, StandIn, pod, refusing, status

EVERY = timedelta(milliseconds=2)
PATIENCE = timedelta(seconds=20)
"""The limit for everything that must come true. Where nothing does, the limit is `SHORT`."""
SHORT = timedelta(milliseconds=60)
HOLD = timedelta(milliseconds=40)


async def wait(
    cluster: Cluster,
    service: str = "cart",
    *,
    longest: timedelta = PATIENCE,
    hold: timedelta = HOLD,
    workloads: dict[str, str] | None = None,
) -> ServiceStability:
    spec = KubernetesStability(kind="kubernetes", hold=hold, workloads=workloads or {})
    client = KubernetesStabilityClient(Workloads(cluster, "shop"), spec)
    return await client.wait_until_stable(service, longest=longest, every=EVERY)


async def test_a_rolled_out_deployment_is_stable(api: StandIn, cluster: Cluster) -> None:
    """After at least two looks: a single look has not held for any time."""
    api.roll_out("cart")
    found = await wait(cluster)
    assert found.stable, found.detail
    assert api.looks >= 2


async def test_the_deployment_is_read_before_its_pods(api: StandIn, cluster: Cluster) -> None:
    """In the reverse order, pods from before a change would be judged by counts from after it."""
    api.roll_out("cart")
    await wait(cluster)
    first = [path.partition("?")[0].rsplit("/", 2)[-1] for path, _ in api.seen[:3]]
    assert first[0] == "cart"
    assert sorted(first[1:]) == ["pods", "replicasets"]
    # Without the selector every look would fetch the whole namespace.
    assert all("labelSelector=app%3Dcart" in path for path, _ in api.seen[1:3])


async def test_a_deployment_scaled_to_zero_is_stable(api: StandIn, cluster: Cluster) -> None:
    """The API then sends no counts at all, and null for the empty list."""
    api.roll_out("cart", replicas=0)
    assert (await wait(cluster)).stable


async def test_stability_waits_until_a_change_is_taken_up(api: StandIn, cluster: Cluster) -> None:
    """All counts are perfect, but older than the change."""
    deployment = api.roll_out("cart")
    deployment["metadata"]["generation"] = 2

    def taken_up(look: int) -> None:
        if look == 4:
            deployment["status"]["observedGeneration"] = 2

    api.before_look = taken_up
    assert (await wait(cluster)).stable
    assert api.looks > 4


async def test_stability_waits_until_a_deleted_pod_is_replaced(api: StandIn, cluster: Cluster) -> None:
    """The counts do not include the deletion yet, and the pod is still ready: only its deletion timestamp shows it."""
    api.roll_out("cart")
    old = api.pods[0]
    old["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:30Z"

    def replaced(look: int) -> None:
        if look == 4:
            api.pods.append(pod("cart-1-new", api.replica_sets[0]))

    api.before_look = replaced
    assert (await wait(cluster)).stable
    assert api.looks > 4
    assert old in api.pods


@pytest.mark.parametrize("what", ["restart", "flap", "replacement"])
async def test_a_change_between_two_looks_restarts_the_hold(api: StandIn, cluster: Cluster, what: str) -> None:
    """Every look is perfect, yet pods that keep changing are never stable."""
    api.roll_out("cart")

    def change(look: int) -> None:
        first_pod = api.pods[0]
        if what == "restart":
            first_pod["status"]["containerStatuses"][0]["restartCount"] = look
        elif what == "flap":
            first_pod["status"]["conditions"][0]["lastTransitionTime"] = f"2026-11-20T12:00:{look % 60:02}Z"
        else:
            first_pod["metadata"]["uid"] = f"uid-{look}"

    api.before_look = change
    found = await wait(cluster, longest=SHORT * 2)
    assert not found.stable
    assert "unchanged only for 0.0 s of 40ms" in found.detail


async def test_a_recreated_deployment_counts_only_its_own_pods(api: StandIn, cluster: Cluster) -> None:
    """Its generations start at 1 again, and the pods of its predecessor have the same labels."""
    api.roll_out("cart")

    def made_again(look: int) -> None:
        if look == 2:
            api.deployments["cart"]["metadata"]["uid"] = "d-again"
        if look == 6:
            api.replica_sets[0]["metadata"]["ownerReferences"][0]["uid"] = "d-again"

    api.before_look = made_again
    assert (await wait(cluster, hold=timedelta(seconds=0.2))).stable
    assert api.looks > 6


async def test_a_crash_loop_is_reported_even_if_its_last_phase_is_up(api: StandIn, cluster: Cluster) -> None:
    """The reason names the last trouble seen, not only that the time was too short."""
    api.roll_out("cart")

    def crashing(look: int) -> None:
        state = {"waiting": {"reason": "CrashLoopBackOff"}} if look == 1 else {"running": {}}
        api.pods[0]["status"]["conditions"][0]["status"] = "False" if look == 1 else "True"
        api.pods[0]["status"]["containerStatuses"][0] |= {"state": state, "restartCount": look}

    api.before_look = crashing
    found = await wait(cluster, longest=SHORT)
    assert not found.stable
    assert "CrashLoopBackOff" in found.detail


async def test_a_stuck_rollout_is_reported_with_the_clusters_reason(api: StandIn, cluster: Cluster) -> None:
    """Old pods keep serving: the time runs out with the reason, not in silence."""
    deployment = api.roll_out("cart")
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    deployment["status"] |= {"replicas": 3, "updatedReplicas": 1, "unavailableReplicas": 1, "conditions": [stuck]}
    new = pod("cart-2-0", api.replica_sets[0])
    new["status"]["conditions"][0] |= {"status": "False", "reason": "ContainersNotReady"}
    api.pods.append(new)
    found = await wait(cluster, longest=SHORT)
    assert not found.stable
    assert "ProgressDeadlineExceeded" in found.detail
    assert "cart-2-0 ContainersNotReady" in found.detail


def of(name: str, **condition: str) -> dict[str, Any]:
    return {"type": name, **condition}


UNREADY = of("Ready", status="False", reason="ContainersNotReady", lastTransitionTime="2026-11-20T12:00:00Z")
BACK_OFF = {"restartCount": 4, "state": {"waiting": {"reason": "Init:CrashLoopBackOff"}}}


@pytest.mark.parametrize(
    ("pod_status", "said"),
    [
        ({"conditions": [UNREADY]}, "cart-1-0 ContainersNotReady"),
        ({"conditions": [UNREADY], "containerStatuses": None}, "cart-1-0 ContainersNotReady"),
        ({"conditions": [UNREADY], "initContainerStatuses": [BACK_OFF]}, "cart-1-0 Init:CrashLoopBackOff"),
        (
            {"conditions": [of("PodScheduled", status="False", reason="Unschedulable"), UNREADY]},
            "cart-1-0 Unschedulable",
        ),
        ({"conditions": [of("PodScheduled", status="True", reason="Fine"), UNREADY]}, "cart-1-0 ContainersNotReady"),
        ({"conditions": None}, "cart-1-0 is not ready"),
        ({"phase": "Failed"}, "2 pods wanted, 1 live"),
        ({"phase": "Succeeded"}, "2 pods wanted, 1 live"),
    ],
)
async def test_the_missing_pod_is_named_with_its_nearest_cause(
    api: StandIn, cluster: Cluster, pod_status: dict[str, Any], said: str
) -> None:
    """A person would look up next which pod it is, and why."""
    api.roll_out("cart")
    api.pods[0]["status"] |= pod_status
    found = await wait(cluster, longest=SHORT)
    assert not found.stable
    assert said in found.detail


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metadata": {"deletionTimestamp": "2026-11-20T12:00:30Z"}}, "is being deleted"),
        ({"spec": {"paused": True}, "status": {"updatedReplicas": None}}, "paused with a change pending"),
        ({"status": {"unavailableReplicas": 1}}, "1 unavailable"),
        ({"spec": {"replicas": None}}, "1 wanted, 2 there"),
        (
            {
                "status": {
                    "readyReplicas": 1,
                    "conditions": [of("ReplicaFailure", status="True", reason="FailedCreate", message="quota")],
                }
            },
            "FailedCreate: quota",
        ),
    ],
)
async def test_the_detail_names_what_the_deployment_lacks(
    api: StandIn, cluster: Cluster, change: dict[str, dict[str, Any]], said: str
) -> None:
    deployment = api.roll_out("cart")
    for part, values in change.items():
        deployment[part] |= values
    found = await wait(cluster, longest=SHORT)
    assert not found.stable
    assert said in found.detail


async def test_pods_of_another_deployment_with_the_same_labels_do_not_count(api: StandIn, cluster: Cluster) -> None:
    """Owners decide, for ReplicaSets as for pods. Being owned without being controlled does not count."""
    api.roll_out("other", app="cart")
    api.roll_out("cart")
    api.pods = api.pods[:2]
    api.replica_sets[0]["metadata"]["ownerReferences"].insert(0, {"uid": "d-cart", "controller": False})
    found = await wait(cluster, longest=SHORT)
    assert "2 pods wanted, 0 live" in found.detail


async def test_restarts_of_sidecars_restart_the_hold(api: StandIn, cluster: Cluster) -> None:
    """A proxy that a tool puts into the pods is an init container that keeps running."""
    api.roll_out("cart")
    sidecar = {"restartCount": 0, "state": {}}
    api.pods[0]["status"]["initContainerStatuses"] = [sidecar]
    api.before_look = lambda look: sidecar.update(restartCount=look)
    assert not (await wait(cluster, longest=SHORT * 2)).stable


async def test_stability_is_read_from_the_mapped_deployment(api: StandIn, cluster: Cluster) -> None:
    api.roll_out("cart-v2")
    assert (await wait(cluster, workloads={"cart": "cart-v2"})).stable


@pytest.mark.parametrize("answer", [trouble[0] for trouble in TROUBLES.values()], ids=TROUBLES.keys())
async def test_waiting_tolerates_every_trouble(api: StandIn, cluster: Cluster, answer: Any) -> None:
    """Closing has no alternative to looking again. Once the trouble has passed, the service is stable."""
    api.roll_out("cart")

    troubled = 0

    async def for_a_while(request: web.Request) -> web.StreamResponse | None:
        nonlocal troubled
        troubled += 1
        if troubled <= 3:
            found: web.StreamResponse = await answer(request)
            return found
        return None

    api.instead = for_a_while
    assert (await wait(cluster)).stable
    assert troubled > 3


async def test_lasting_trouble_is_reported_as_the_reason(api: StandIn, cluster: Cluster) -> None:
    """A wait ends with a result either way, never with an exception."""
    api.instead = refusing(403, "Forbidden")
    found = await wait(cluster, longest=SHORT)
    assert (found.stable, "Forbidden" in found.detail) == (False, True)


async def test_a_failed_look_restarts_the_hold(api: StandIn, cluster: Cluster) -> None:
    """Nothing is known about a time in which nobody could look."""
    api.roll_out("cart")

    async def every_other(request: web.Request) -> web.StreamResponse | None:
        return status(503, "ServiceUnavailable", "") if request.path.endswith("cart") and len(api.seen) % 2 else None

    api.instead = every_other
    found = await wait(cluster, longest=SHORT * 2)
    assert not found.stable


async def test_stability_waits_for_an_absent_deployment(api: StandIn, cluster: Cluster) -> None:
    def back(look: int) -> None:
        if look == 3:
            api.roll_out("cart")

    api.before_look = back
    assert (await wait(cluster)).stable
    absent = await wait(cluster, "basket", longest=SHORT)
    assert (absent.stable, absent.detail) == (False, "deployment basket: is not there in namespace shop")

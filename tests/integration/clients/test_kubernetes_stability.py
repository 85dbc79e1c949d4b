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
"""For what must come true; where nothing does, `SHORT`."""
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


async def test_a_deployment_that_is_rolled_out_is_stable(api: StandIn, cluster: Cluster) -> None:
    """After at least two looks: one alone has held for nothing."""
    api.roll_out("cart")
    found = await wait(cluster)
    assert found.stable, found.detail
    assert api.looks >= 2


async def test_the_deployment_is_read_before_its_pods(api: StandIn, cluster: Cluster) -> None:
    """The other way round, pods of before a change would be judged by counts of after it."""
    api.roll_out("cart")
    await wait(cluster)
    first = [path.partition("?")[0].rsplit("/", 2)[-1] for path, _ in api.seen[:3]]
    assert first[0] == "cart"
    assert sorted(first[1:]) == ["pods", "replicasets"]
    # Without the selector every look would fetch the whole namespace.
    assert all("labelSelector=app%3Dcart" in path for path, _ in api.seen[1:3])


async def test_scaled_to_nothing_is_stable(api: StandIn, cluster: Cluster) -> None:
    """The API then sends no counts at all, and null for the empty list."""
    api.roll_out("cart", replicas=0)
    assert (await wait(cluster)).stable


async def test_it_waits_while_a_change_is_not_taken_up(api: StandIn, cluster: Cluster) -> None:
    """All counts are perfect, and older than the change."""
    deployment = api.roll_out("cart")
    deployment["metadata"]["generation"] = 2

    def taken_up(look: int) -> None:
        if look == 4:
            deployment["status"]["observedGeneration"] = 2

    api.before_look = taken_up
    assert (await wait(cluster)).stable
    assert api.looks > 4


async def test_it_waits_for_a_pod_that_was_deleted(api: StandIn, cluster: Cluster) -> None:
    """The counts do not know of it yet, and it is still ready: only its deletion timestamp tells."""
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
async def test_what_happened_between_two_looks_begins_the_hold_anew(api: StandIn, cluster: Cluster, what: str) -> None:
    """Every look is perfect, yet pods that never stay the same are never stable."""
    api.roll_out("cart")

    def change(look: int) -> None:
        one = api.pods[0]
        if what == "restart":
            one["status"]["containerStatuses"][0]["restartCount"] = look
        elif what == "flap":
            one["status"]["conditions"][0]["lastTransitionTime"] = f"2026-11-20T12:00:{look % 60:02}Z"
        else:
            one["metadata"]["uid"] = f"uid-{look}"

    api.before_look = change
    found = await wait(cluster, longest=SHORT * 2)
    assert not found.stable
    assert "unchanged only for 0.0 s of 40ms" in found.detail


async def test_a_deployment_made_again_counts_its_own_pods_only(api: StandIn, cluster: Cluster) -> None:
    """Its generations begin at 1 again, and the pods of its predecessor carry the same labels."""
    api.roll_out("cart")

    def made_again(look: int) -> None:
        if look == 2:
            api.deployments["cart"]["metadata"]["uid"] = "d-again"
        if look == 6:
            api.replica_sets[0]["metadata"]["ownerReferences"][0]["uid"] = "d-again"

    api.before_look = made_again
    assert (await wait(cluster, hold=timedelta(seconds=0.2))).stable
    assert api.looks > 6


async def test_a_crash_loop_is_told_even_if_it_ends_in_an_up_phase(api: StandIn, cluster: Cluster) -> None:
    """The reason is what was seen last, not only that the time was too short."""
    api.roll_out("cart")

    def crashing(look: int) -> None:
        state = {"waiting": {"reason": "CrashLoopBackOff"}} if look == 1 else {"running": {}}
        api.pods[0]["status"]["conditions"][0]["status"] = "False" if look == 1 else "True"
        api.pods[0]["status"]["containerStatuses"][0] |= {"state": state, "restartCount": look}

    api.before_look = crashing
    found = await wait(cluster, longest=SHORT)
    assert not found.stable
    assert "CrashLoopBackOff" in found.detail


async def test_a_rollout_that_is_stuck_is_told_in_the_clusters_word(api: StandIn, cluster: Cluster) -> None:
    """Old pods serve on: the time runs out with the reason, not in silence."""
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
async def test_the_pod_that_is_missed_is_told_with_the_nearest_cause(
    api: StandIn, cluster: Cluster, pod_status: dict[str, Any], said: str
) -> None:
    """What a person would look up next: which pod, and why."""
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
async def test_what_the_deployment_lacks_is_told(
    api: StandIn, cluster: Cluster, change: dict[str, dict[str, Any]], said: str
) -> None:
    deployment = api.roll_out("cart")
    for part, values in change.items():
        deployment[part] |= values
    found = await wait(cluster, longest=SHORT)
    assert not found.stable
    assert said in found.detail


async def test_pods_of_another_deployment_with_the_same_labels_do_not_help(api: StandIn, cluster: Cluster) -> None:
    """Owners decide, of ReplicaSets as of pods; being owned without being controlled does not count."""
    api.roll_out("other", app="cart")
    api.roll_out("cart")
    api.pods = api.pods[:2]
    api.replica_sets[0]["metadata"]["ownerReferences"].insert(0, {"uid": "d-cart", "controller": False})
    found = await wait(cluster, longest=SHORT)
    assert "2 pods wanted, 0 live" in found.detail


async def test_restarts_of_sidecars_begin_the_hold_anew(api: StandIn, cluster: Cluster) -> None:
    """A proxy that a tool has put into the pods is an initial container that goes on."""
    api.roll_out("cart")
    sidecar = {"restartCount": 0, "state": {}}
    api.pods[0]["status"]["initContainerStatuses"] = [sidecar]
    api.before_look = lambda look: sidecar.update(restartCount=look)
    assert not (await wait(cluster, longest=SHORT * 2)).stable


async def test_the_mapped_deployment_is_the_one(api: StandIn, cluster: Cluster) -> None:
    api.roll_out("cart-v2")
    assert (await wait(cluster, workloads={"cart": "cart-v2"})).stable


@pytest.mark.parametrize("answer", [trouble[0] for trouble in TROUBLES.values()], ids=TROUBLES.keys())
async def test_waiting_tolerates_every_trouble(api: StandIn, cluster: Cluster, answer: Any) -> None:
    """Closing has no alternative to looking again; when it has passed, the service is stable."""
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


async def test_trouble_that_lasts_is_the_reason(api: StandIn, cluster: Cluster) -> None:
    """Never an exception: both ends of a wait are results."""
    api.instead = refusing(403, "Forbidden")
    found = await wait(cluster, longest=SHORT)
    assert (found.stable, "Forbidden" in found.detail) == (False, True)


async def test_a_look_that_failed_ends_the_calm(api: StandIn, cluster: Cluster) -> None:
    """Nothing is known of a time in which nobody could look."""
    api.roll_out("cart")

    async def every_other(request: web.Request) -> web.StreamResponse | None:
        return status(503, "ServiceUnavailable", "") if request.path.endswith("cart") and len(api.seen) % 2 else None

    api.instead = every_other
    found = await wait(cluster, longest=SHORT * 2)
    assert not found.stable


async def test_a_deployment_that_is_away_is_waited_for(api: StandIn, cluster: Cluster) -> None:
    def back(look: int) -> None:
        if look == 3:
            api.roll_out("cart")

    api.before_look = back
    assert (await wait(cluster)).stable
    absent = await wait(cluster, "basket", longest=SHORT)
    assert (absent.stable, absent.detail) == (False, "deployment basket: is not there in namespace shop")

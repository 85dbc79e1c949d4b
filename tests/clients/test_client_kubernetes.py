"""Stability and targets read from a cluster, against a stand-in for its API."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
from aiohttp import web
from kubernetes.aio.config import incluster_config

from clients.kubernetes.connection import Cluster
from clients.kubernetes.stability import KubernetesStabilityClient
from clients.kubernetes.workloads import Targets, Workloads, find_targets
from tests.clients.cluster import TOKEN, StandIn, pod, stand_in, status
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.system import KubernetesStability
from workflows.contracts.windows import ServiceStability

EVERY = timedelta(milliseconds=2)
PATIENCE = timedelta(seconds=20)
"""For what must come true; where nothing does, `SHORT`."""
SHORT = timedelta(milliseconds=60)
HOLD = timedelta(milliseconds=40)


@pytest.fixture
async def api() -> AsyncIterator[StandIn]:
    async with stand_in() as api:
        yield api


@pytest.fixture
async def cluster(api: StandIn, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path))})
    yield cluster
    await cluster.aclose()


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


async def lost(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


def saying(code: int, body: str) -> Any:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=body)

    return answer


def refusing(code: int, reason: str) -> Any:
    async def answer(_: web.Request) -> web.StreamResponse:
        return status(code, reason, f"{reason}: the cluster says so")

    return answer


TROUBLES = {
    "forbidden": (refusing(403, "Forbidden"), ErrorCode.PEER_REJECTED, "docs/kubernetes.md"),
    "unauthorized": (refusing(401, "Unauthorized"), ErrorCode.PEER_REJECTED, "credentials"),
    "gone": (refusing(410, "Expired"), ErrorCode.PEER_ERROR, "Expired"),
    "too many": (refusing(429, "TooManyRequests"), ErrorCode.PEER_ERROR, "TooManyRequests"),
    "server": (refusing(503, "ServiceUnavailable"), ErrorCode.PEER_ERROR, "status 503"),
    "no such api": (saying(404, "404 page not found"), ErrorCode.PEER_REJECTED, "is there a Kubernetes API"),
    "another server": (saying(200, "<html>hello"), ErrorCode.PEER_GARBAGE, "not JSON"),
    "another object": (saying(200, '{"metadata": {"name": 7}}'), ErrorCode.PEER_GARBAGE, "metadata"),
    "lost": (lost, ErrorCode.PEER_GARBAGE, "cut off"),
}


@pytest.mark.parametrize(("answer", "code", "said"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_every_trouble_has_its_code(
    api: StandIn, cluster: Cluster, answer: Any, code: ErrorCode, said: str
) -> None:
    """Looking targets up, it is told at once; whether it is tried again follows from the code."""
    api.roll_out("cart")
    api.instead = answer
    with pytest.raises(HoldfastError) as raised:
        await find_targets(Workloads(cluster, "shop"), ["cart"], {})
    assert raised.value.code is code
    assert said in str(raised.value)
    assert TOKEN not in str(raised.value)


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


async def test_a_server_that_is_no_cluster_is_not_an_absent_deployment(api: StandIn, cluster: Cluster) -> None:
    """Only the API's own word says that an object is absent; any web server says 404."""
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
    assert "get deployment cart in shop: no whole answer within 0.05 s" in str(raised.value)


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    api = StandIn()
    api.url = "http://127.0.0.1:9"
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path))})
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.PEER_UNREACHABLE
    assert "127.0.0.1:9" in str(raised.value)


@pytest.mark.parametrize(
    ("scheme", "said"), [("https:", "is not trusted"), ("nothing:", "the cluster's address is none")]
)
async def test_an_address_that_cannot_be_right_is_not_tried_again(
    api: StandIn, tmp_path: Path, scheme: str, said: str
) -> None:
    """TLS that does not come about, or no address at all, will not mend itself."""
    api.url = api.url.replace("http:", scheme)
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path))})
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.PEER_REJECTED
    assert said in str(raised.value)


async def targets(cluster: Cluster, *services: str, **mapping: str) -> Targets:
    return await find_targets(Workloads(cluster, "shop"), services, mapping)


async def test_targets_are_found_by_name_and_by_mapping(api: StandIn, cluster: Cluster) -> None:
    """The selector leads to the pods; those of others, and those on their way out, are none of ours."""
    api.roll_out("cart", app="cart")
    api.roll_out("reviews-v2", app="reviews", version="v2")
    api.roll_out("reviews-v1", app="reviews", version="v1")
    stranger = pod("stranger", {"metadata": {"name": "x", "uid": "r-x", "labels": {"app": "cart"}}})
    leaving = pod("leaving", api.replica_sets[0])
    leaving["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:30Z"
    api.pods += [stranger, leaving]
    found = await targets(cluster, "cart", "reviews", reviews="reviews-v2")
    assert not found.problems
    assert [(one.service, one.workload, one.selector, one.pods) for one in found.found] == [
        ("cart", "cart", "app=cart", ["cart-1-0", "cart-1-1"]),
        ("reviews", "reviews-v2", "app=reviews,version=v2", ["reviews-v2-1-0", "reviews-v2-1-1"]),
    ]


async def test_every_missing_target_is_a_problem_with_the_nearest_name(api: StandIn, cluster: Cluster) -> None:
    """All at once, with what is there."""
    api.roll_out("cart")
    api.roll_out("reviews-v2")
    found = await targets(cluster, "cart", "reviews", "xyz")
    assert [one.service for one in found.found] == ["cart"]
    assert [str(problem) for problem in found.problems] == [
        "system.stability.workloads.reviews: namespace shop has no Deployment 'reviews' (did you mean 'reviews-v2'?)",
        "system.stability.workloads.xyz: namespace shop has no Deployment 'xyz' (valid here: cart, reviews-v2)",
    ]


async def test_an_empty_namespace_raises_the_question_of_the_cluster(cluster: Cluster) -> None:
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


async def test_a_token_that_has_run_out_is_renewed(api: StandIn, tmp_path: Path) -> None:
    """Login programs give tokens that live for minutes; a worker lives for weeks."""
    file = tmp_path / "token"
    file.write_text("old")
    code = (
        "import json, pathlib; print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': "
        f"'ExecCredential', 'status': {{'token': pathlib.Path({str(file)!r}).read_text()}}}}))"
    )
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", code]}
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path, exec=login))})
    api.roll_out("cart")
    api.tokens = {"old"}
    await Workloads(cluster, "shop").names()
    file.write_text("new")
    api.tokens = {"new"}
    assert await Workloads(cluster, "shop").names() == ["cart"]
    await cluster.aclose()
    assert [token for _, token in api.seen] == ["old", "old", "new"]


async def test_opening_the_connection_is_part_of_a_calls_time(api: StandIn, cluster: Cluster) -> None:
    """A login program may ask somebody who is not there; the library itself would wait for ever."""
    async with cluster._opening:
        with pytest.raises(HoldfastError) as raised:
            await Workloads(cluster, "shop").look("cart", within=0.05)
    assert raised.value.code is ErrorCode.PEER_TIMEOUT
    assert not api.seen


async def failing(environ: dict[str, str]) -> str:
    """What the worker says when its settings are unusable."""
    cluster = Cluster(environ)
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.VALIDATION_ERROR
    assert raised.value.__cause__ is None
    return str(raised.value)


async def test_without_any_cluster_it_says_where_it_looked(tmp_path: Path) -> None:
    said = await failing({"HOME": str(tmp_path)})
    assert f"{tmp_path}/.kube/config" in said
    assert "set KUBECONFIG" in said
    assert "nowhere.yaml" in await failing({"KUBECONFIG": f"{tmp_path}/nowhere.yaml", "HOME": str(tmp_path)})


async def test_a_kubeconfig_that_is_named_goes_before_the_pods_own_account(api: StandIn, tmp_path: Path) -> None:
    """Whoever sets it means another cluster than the one that the worker happens to run in."""
    api.roll_out("cart")
    environ = {"KUBECONFIG": f"/nowhere:{api.kubeconfig(tmp_path)}", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    cluster = Cluster(environ)
    assert await Workloads(cluster, "shop").names() == ["cart"]
    await cluster.aclose()


async def test_the_users_own_kubeconfig_is_the_last_resort(api: StandIn, tmp_path: Path) -> None:
    api.roll_out("cart")
    (tmp_path / ".kube").mkdir()
    api.kubeconfig(tmp_path).rename(tmp_path / ".kube" / "config")
    cluster = Cluster({"HOME": str(tmp_path)})
    assert await Workloads(cluster, "shop").names() == ["cart"]
    await cluster.aclose()


async def test_in_a_pod_its_service_account_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address from the environment, token and authority from the mounted files; without them, the message says so."""
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert "service account" in await failing(environ)
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", certifi.where())
    cluster = Cluster(environ)
    await cluster._imported()
    apis = await cluster._connected()
    await cluster.aclose()
    assert apis.client.configuration.host == "https://10.0.0.1:443"
    assert apis.client.configuration.api_key["BearerToken"].endswith(TOKEN)


@pytest.mark.parametrize(
    "broken",
    [
        {"users": [{"name": "worker", "token": TOKEN}]},
        {"contexts": [{"name": "here", "context": {"cluster": TOKEN, "user": "worker"}}]},
        {"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1", "certificate-authority-data": "!"}}]},
        f"{{token: {TOKEN}, [",
        "",
    ],
)
async def test_a_broken_kubeconfig_is_not_quoted(
    api: StandIn, tmp_path: Path, broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The library names a place in the file by what stands there; messages go into history for ever."""
    path = api.kubeconfig(tmp_path)
    if isinstance(broken, str):
        path.write_text(broken)
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | broken))
    said = await failing({"KUBECONFIG": str(path)})
    assert str(path) in said
    assert TOKEN not in said + caplog.text


async def test_what_a_login_program_says_is_not_logged(
    api: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may quote what it was given."""
    code = f"import sys; sys.exit({TOKEN!r})"
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", code]}
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path, exec=login))})
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.PEER_REJECTED
    assert TOKEN not in str(raised.value) + caplog.text

"""When a Deployment is rolled out, clause by clause, and for how long it must stay so."""

from __future__ import annotations

from typing import Any

import pytest

from domain.stability.rollout import Calm, PodFacts, RolloutFacts, calm_after, held_for, not_rolled_out


def pod(name: str, **changes: Any) -> PodFacts:
    good = {"name": name, "uid": f"uid-{name}", "owner": "rs-new", "ready": True, "ready_since": "12:00:00Z"}
    return PodFacts(**(good | changes))


def rollout(**changes: Any) -> RolloutFacts:
    """Two replicas, rolled out."""
    good: dict[str, Any] = {
        "uid": "dep",
        "generation": 4,
        "observed_generation": 4,
        "wanted": 2,
        "replicas": 2,
        "updated": 2,
        "ready": 2,
        "available": 2,
        "replica_sets": ["rs-old", "rs-new"],
        "pods": [pod("a"), pod("b")],
    }
    return RolloutFacts(**(good | changes))


def test_rolled_out() -> None:
    assert not not_rolled_out(rollout())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deleting": True}, "being deleted"),
        ({"generation": 5}, "generation 5 is not taken up yet (4 is)"),
        ({"replicas": 3}, "3 there"),
        ({"replicas": 1}, "1 there"),
        ({"updated": 1}, "1 updated"),
        ({"ready": 1}, "1 ready"),
        ({"ready": 3}, "3 ready"),
        ({"available": 1}, "1 available"),
        ({"unavailable": 1}, "1 unavailable"),
        ({"wanted": 3}, "3 wanted"),
        ({"updated": 0, "paused": True}, "paused with a change pending"),
    ],
)
def test_each_count_must_agree(changes: dict[str, Any], said: str) -> None:
    """Every count alone is enough to say no, and the reason names it."""
    assert said in not_rolled_out(rollout(**changes))


@pytest.mark.parametrize(
    "second",
    [
        pod("b", ready=False),
        pod("b", terminating=True),
        pod("b", finished=True),
        pod("b", owner="rs-of-another-deployment"),
        pod("b", owner=""),
    ],
    ids=lambda one: f"ready={one.ready} terminating={one.terminating} finished={one.finished} owner={one.owner}",
)
def test_a_pod_that_does_not_count_is_missed(second: PodFacts) -> None:
    """The counts are still perfect for a while after a pod was deleted or went unready: only the pods tell."""
    assert "1 of them ready" in not_rolled_out(rollout(pods=[pod("a"), second]))


@pytest.mark.parametrize(
    "more",
    [
        pod("c", terminating=True),
        pod("c", finished=True, ready=False),
        pod("c", owner="rs-of-another-deployment"),
    ],
)
def test_a_pod_that_does_not_count_holds_nothing_up(more: PodFacts) -> None:
    """Old pods linger for their grace period and evicted ones for ever, beside a healthy Deployment."""
    assert not not_rolled_out(rollout(pods=[pod("a"), pod("b"), more]))


@pytest.mark.parametrize("ready", [True, False])
def test_a_live_pod_too_many_says_no(ready: bool) -> None:
    """One more live pod of the Deployment's own means that something is still going on."""
    assert "3 live" in not_rolled_out(rollout(pods=[pod("a"), pod("b"), pod("c", owner="rs-old", ready=ready)]))


def test_nothing_wanted_and_nothing_there_is_rolled_out() -> None:
    """Scaled to nothing, the cluster leaves every count out."""
    nothing = RolloutFacts(uid="dep", generation=7, observed_generation=7, wanted=0)
    assert not not_rolled_out(nothing)


def test_no_pods_where_some_are_wanted_is_no() -> None:
    """Counts of another moment with an empty list of pods: all of nothing is ready, and that is not enough."""
    assert "0 live" in not_rolled_out(rollout(pods=[]))


def test_one_replica_that_is_stuck() -> None:
    """The old pod serves on: ready, updated and available all say 1 of 1; the surplus pod tells."""
    stuck = rollout(
        wanted=1,
        replicas=2,
        updated=1,
        ready=1,
        available=1,
        unavailable=1,
        pods=[pod("a", owner="rs-old"), pod("b", ready=False, waiting="ContainersNotReady")],
    )
    assert "b ContainersNotReady" in not_rolled_out(stuck)


def test_the_clusters_own_word_comes_first() -> None:
    """A rollout that is given up is told as such, not as numbers only."""
    assert not_rolled_out(rollout(updated=1, trouble="ProgressDeadlineExceeded")).startswith("ProgressDeadlineExceeded")


def test_an_old_trouble_of_a_rolled_out_deployment_is_no_reason() -> None:
    """Conditions linger: they explain, and decide nothing."""
    assert not not_rolled_out(rollout(trouble="ProgressDeadlineExceeded"))


def test_many_unready_pods_are_not_all_told() -> None:
    pods = [pod(name, ready=False) for name in "abcdef"]
    assert not_rolled_out(rollout(pods=pods)).endswith("c is not ready; and 3 more")


def calm_of(facts: RolloutFacts, ended: float = 10.0) -> Calm:
    calm = calm_after(None, facts, ended=ended)
    assert calm is not None
    return calm


def test_calm_goes_on_while_everything_stays_the_same() -> None:
    """Pods in another order, and pods that do not count, are the same."""
    first = calm_of(rollout())
    again = rollout(pods=[pod("gone", terminating=True), pod("b"), pod("a")])
    assert calm_after(first, again, ended=12.0) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"uid": "made-again"},
        {"generation": 5, "observed_generation": 5},
        {"pods": [pod("a"), pod("c")]},
        {"pods": [pod("a"), pod("b", restarts=1)]},
        {"pods": [pod("a"), pod("b", ready_since="12:00:09Z")]},
    ],
    ids=["deployment", "generation", "pods", "restarts", "flap"],
)
def test_calm_begins_anew_after_whatever_changed(changes: dict[str, Any]) -> None:
    """Both looks are perfect; what happened between them shows in nothing else."""
    anew = calm_after(calm_of(rollout()), rollout(**changes), ended=12.0)
    assert anew is not None
    assert anew.since == 12.0


def test_calm_ends_when_it_is_not_rolled_out() -> None:
    assert calm_after(calm_of(rollout()), rollout(ready=1), ended=12.0) is None


def test_calm_is_counted_from_the_end_of_its_first_look_to_the_beginning_of_its_last() -> None:
    """What lies within a look is not known, and one look alone has held for nothing."""
    calm = calm_of(rollout(), ended=10.0)
    assert held_for(calm, began=9.5) == 0.0
    assert held_for(calm, began=13.0) == 3.0

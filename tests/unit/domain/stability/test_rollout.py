"""When a Deployment counts as rolled out, clause by clause, and how long that must last."""

from __future__ import annotations

from typing import Any

import pytest

from domain.stability.rollout import Calm, PodFacts, RolloutFacts, calm_after, held_for, not_rolled_out


def pod(name: str, **changes: Any) -> PodFacts:
    good = {"name": name, "uid": f"uid-{name}", "owner": "rs-new", "ready": True, "ready_since": "12:00:00Z"}
    return PodFacts(**(good | changes))


def rollout(**changes: Any) -> RolloutFacts:
    """Return two replicas, rolled out, with these changes."""
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


def test_matching_counts_and_ready_pods_are_rolled_out() -> None:
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
    """A single wrong count is enough, and the reason names it."""
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
    ids=lambda facts: (
        f"ready={facts.ready} terminating={facts.terminating} finished={facts.finished} owner={facts.owner}"
    ),
)
def test_a_pod_that_does_not_count_leaves_the_rollout_unready(second: PodFacts) -> None:
    """The counts stay perfect for a while after a pod was deleted or became unready. Only the pods show it."""
    assert "1 of them ready" in not_rolled_out(rollout(pods=[pod("a"), second]))


@pytest.mark.parametrize(
    "more",
    [
        pod("c", terminating=True),
        pod("c", finished=True, ready=False),
        pod("c", owner="rs-of-another-deployment"),
    ],
)
def test_a_pod_that_does_not_count_does_not_block_a_rollout(more: PodFacts) -> None:
    """Old pods linger for their grace period, and evicted ones for ever, next to a healthy Deployment."""
    assert not not_rolled_out(rollout(pods=[pod("a"), pod("b"), more]))


@pytest.mark.parametrize("ready", [True, False])
def test_a_surplus_live_pod_blocks_a_rollout(ready: bool) -> None:
    """A further live pod of the Deployment means that something is still going on."""
    assert "3 live" in not_rolled_out(rollout(pods=[pod("a"), pod("b"), pod("c", owner="rs-old", ready=ready)]))


def test_a_deployment_scaled_to_zero_is_rolled_out() -> None:
    """The cluster then omits every count."""
    nothing = RolloutFacts(uid="dep", generation=7, observed_generation=7, wanted=0)
    assert not not_rolled_out(nothing)


def test_a_missing_list_of_pods_is_not_rolled_out() -> None:
    """The counts may be from a different moment. All of no pods being ready is not enough."""
    assert "0 live" in not_rolled_out(rollout(pods=[]))


def test_a_stuck_rollout_of_one_replica_is_not_rolled_out() -> None:
    """The old pod still serves: ready, updated and available all show 1 of 1. Only the surplus pod reveals it."""
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


def test_the_reason_starts_with_the_condition_of_the_cluster() -> None:
    """An abandoned rollout is reported as abandoned, not only as numbers."""
    assert not_rolled_out(rollout(updated=1, trouble="ProgressDeadlineExceeded")).startswith("ProgressDeadlineExceeded")


def test_an_old_condition_does_not_block_a_complete_rollout() -> None:
    """Conditions linger: they explain, but decide nothing."""
    assert not not_rolled_out(rollout(trouble="ProgressDeadlineExceeded"))


def test_a_reason_lists_only_some_of_many_unready_pods() -> None:
    pods = [pod(name, ready=False) for name in "abcdef"]
    assert not_rolled_out(rollout(pods=pods)).endswith("c is not ready; and 3 more")


def calm_of(facts: RolloutFacts, ended: float = 10.0) -> Calm:
    calm = calm_after(None, facts, ended=ended)
    assert calm is not None
    return calm


def test_calm_continues_while_nothing_changes() -> None:
    """A different order of pods, and pods that do not count, are no change."""
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
def test_calm_restarts_after_any_change(changes: dict[str, Any]) -> None:
    """Both looks are perfect. What happened in between shows nowhere else."""
    anew = calm_after(calm_of(rollout()), rollout(**changes), ended=12.0)
    assert anew is not None
    assert anew.since == 12.0


def test_calm_ends_when_the_deployment_is_not_rolled_out() -> None:
    assert calm_after(calm_of(rollout()), rollout(ready=1), ended=12.0) is None


def test_calm_lasts_from_the_end_of_the_first_look_to_the_start_of_the_last() -> None:
    """What happens during a look is unknown, so a single look has lasted for no time."""
    calm = calm_of(rollout(), ended=10.0)
    assert held_for(calm, began=9.5) == 0.0
    assert held_for(calm, began=13.0) == 3.0

"""Rollout of a Deployment: whether it is complete and calm (`kubernetes`).

It is judged by repeated looks at the cluster. No single count is enough: counts lag behind the generation, the
generation does not show that pods disappeared, pods alone do not show that a rollout is stuck, and a container that
crashes every second is ready in between. All of them must agree, and the same pods must stay, without a restart, for as
long as the plan's `hold`.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.base import Contract

_SHOWN_PODS = 3


class PodFacts(Contract):
    """A pod that the Deployment's selector finds."""

    name: str
    uid: str
    owner: str = ""
    """Uid of the object that controls it. Empty for a pod created by hand."""
    terminating: bool = False
    """Whether it is being deleted. It stays listed, and ready, until its containers have ended."""
    finished: bool = False
    """Whether its phase is Failed or Succeeded. Evicted pods stay listed for ever."""
    ready: bool = False
    """Its Ready condition. The flags of the containers are stale on a dead node."""
    ready_since: str = ""
    """When its Ready condition last changed, as the cluster writes it. Reveals a flap between two looks."""
    restarts: int = 0
    """Restarts of all its containers together."""
    waiting: str = ""
    """Why it is not ready, in the cluster's terms, for example CrashLoopBackOff."""


class RolloutFacts(Contract):
    """One look at the cluster: a Deployment, then its ReplicaSets and pods.

    Counts that the cluster omits are 0.
    """

    uid: str
    """Uid of the Deployment. After it was deleted and created again, uid and generation count are new."""
    generation: int
    observed_generation: int = 0
    """Generation that the counts refer to."""
    wanted: int
    """Replicas in the spec."""
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    unavailable: int = 0
    paused: bool = False
    deleting: bool = False
    trouble: str = ""
    """Why the rollout is stuck, in the cluster's terms, for example ProgressDeadlineExceeded."""
    replica_sets: list[str] = []
    """Uids of the ReplicaSets that this Deployment controls."""
    pods: list[PodFacts] = []

    @property
    def live(self) -> list[PodFacts]:
        """Pods that count: the Deployment's own, neither terminating nor finished."""
        return [pod for pod in self.pods if pod.owner in self.replica_sets and not (pod.terminating or pod.finished)]


Fingerprint = tuple[str, int, tuple[tuple[str, int, str], ...]]


class Calm(Contract):
    """A period in which every look found the same, all ready."""

    since: float
    """When the first such look ended, in seconds of the observer's clock. Nothing is known about the time before."""
    same: Fingerprint


def not_rolled_out(facts: RolloutFacts) -> str:
    """Explain why the Deployment is not rolled out. Empty if it is."""
    reasons = list(_reasons(facts))
    if not reasons:
        return ""
    if facts.trouble:
        reasons.insert(0, facts.trouble)
    unready = [f"{pod.name} {pod.waiting or 'is not ready'}" for pod in facts.live if not pod.ready]
    more = [f"and {len(unready) - _SHOWN_PODS} more"] if len(unready) > _SHOWN_PODS else []
    return "; ".join([*reasons, *unready[:_SHOWN_PODS], *more])


def _reasons(facts: RolloutFacts) -> Iterator[str]:
    if facts.deleting:
        yield "the Deployment is being deleted"
    if facts.observed_generation < facts.generation:
        yield f"generation {facts.generation} is not taken up yet ({facts.observed_generation} is)"
    counts = (facts.replicas, facts.updated, facts.ready, facts.available)
    if facts.unavailable or any(count != facts.wanted for count in counts):
        paused = "paused with a change pending: " if facts.paused else ""
        words = ", ".join(
            f"{count} {name}" for count, name in zip(counts, ("there", "updated", "ready", "available"), strict=True)
        )
        yield f"{paused}{facts.wanted} wanted, {words}, {facts.unavailable} unavailable"
    ready = sum(pod.ready for pod in facts.live)
    if len(facts.live) != facts.wanted or ready != facts.wanted:
        yield f"{facts.wanted} pods wanted, {len(facts.live)} live, {ready} of them ready"


def calm_after(before: Calm | None, facts: RolloutFacts, *, ended: float) -> Calm | None:
    """Return the calm after a look that ended at `ended`.

    The calm before continues, or starts anew because something changed. None if the Deployment is not rolled out.
    """
    if not_rolled_out(facts):
        return None
    pods = sorted((pod.uid, pod.restarts, pod.ready_since) for pod in facts.live)
    same = (facts.uid, facts.generation, tuple(pods))
    return before if before is not None and before.same == same else Calm(since=ended, same=same)


def held_for(calm: Calm, *, began: float) -> float:
    """Return for how many seconds a calm has certainly lasted.

    Counted until `began`, when its last look began: the result is never more than the truth.
    """
    return max(0.0, began - calm.since)

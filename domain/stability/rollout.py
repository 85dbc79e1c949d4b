"""Whether a Deployment is rolled out and calm, from what one look at the cluster found (`kubernetes`).

No single count tells it. Counts lag behind the generation, the generation knows nothing of pods that went away, pods
alone know nothing of a rollout that is stuck, and a container that crashes every second is ready in between. So all of
them must agree, and the same pods must stay, without a restart, for as long as the plan's `hold`.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.base import Contract

_PODS_TOLD = 3


class PodFacts(Contract):
    """One pod that the Deployment's selector finds."""

    name: str
    uid: str
    owner: str = ""
    """Uid of the object that controls it; empty for a pod that somebody made by hand."""
    terminating: bool = False
    """Asked to go. It stays listed, and ready, until its containers have ended."""
    finished: bool = False
    """Phase Failed or Succeeded: evicted pods stay listed for ever."""
    ready: bool = False
    """Its condition Ready. The containers' own flags are stale on a dead node."""
    ready_since: str = ""
    """When that condition last changed, as the cluster writes it: tells a flap that no look has seen."""
    restarts: int = 0
    """Of all its containers together."""
    waiting: str = ""
    """Why it is not ready, in the cluster's word, for example CrashLoopBackOff."""


class RolloutFacts(Contract):
    """One look: the Deployment, and what was listed after it. Counts that the cluster leaves out are 0."""

    uid: str
    """A Deployment that was deleted and made again has another one, and counts its generations anew."""
    generation: int
    observed_generation: int = 0
    """What the counts speak of."""
    wanted: int
    """Replicas in its spec."""
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    unavailable: int = 0
    paused: bool = False
    deleting: bool = False
    trouble: str = ""
    """The cluster's word for a rollout that does not get on, for example ProgressDeadlineExceeded."""
    replica_sets: list[str] = []
    """Uids of the ReplicaSets that this very Deployment controls."""
    pods: list[PodFacts] = []

    @property
    def live(self) -> list[PodFacts]:
        """The pods that count: its own, neither leaving nor ended."""
        return [pod for pod in self.pods if pod.owner in self.replica_sets and not (pod.terminating or pod.finished)]


Fingerprint = tuple[str, int, tuple[tuple[str, int, str], ...]]


class Calm(Contract):
    """Since when every look has found the same, and all of it ready."""

    since: float
    """Seconds on the looker's clock, when the first such look had ended: nothing is known of the time before."""
    same: Fingerprint


def not_rolled_out(facts: RolloutFacts) -> str:
    """Why the Deployment is not rolled out, for people; empty when it is."""
    reasons = list(_reasons(facts))
    if not reasons:
        return ""
    if facts.trouble:
        reasons.insert(0, facts.trouble)
    unready = [f"{pod.name} {pod.waiting or 'is not ready'}" for pod in facts.live if not pod.ready]
    more = [f"and {len(unready) - _PODS_TOLD} more"] if len(unready) > _PODS_TOLD else []
    return "; ".join([*reasons, *unready[:_PODS_TOLD], *more])


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
    """The calm after a look that ended at `ended`: goes on, begins anew because something changed, or is none."""
    if not_rolled_out(facts):
        return None
    pods = sorted((pod.uid, pod.restarts, pod.ready_since) for pod in facts.live)
    same = (facts.uid, facts.generation, tuple(pods))
    return before if before is not None and before.same == same else Calm(since=ended, same=same)


def held_for(calm: Calm, *, began: float) -> float:
    """Seconds that a calm is known to have lasted, when its last look began at `began`: never more than the truth."""
    return max(0.0, began - calm.since)

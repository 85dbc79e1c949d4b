"""The decision and the client against recordings of a real control plane, where these are available."""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clients.kubernetes.connection import Cluster
from clients.kubernetes.stability import KubernetesStabilityClient
from clients.kubernetes.wire import DeploymentWire, PodWire, ReplicaSetWire, rollout_facts
from clients.kubernetes.workloads import Workloads
from domain.plans.system import KubernetesStability
from domain.stability.rollout import Calm, PodFacts, RolloutFacts, calm_after, held_for, not_rolled_out
from tests.support.clients.cluster import stand_in
from tests.support.paths import SHARED

FOLDER = SHARED / "kubernetes"
HOLD = 3.0
"""Seconds, the default of a plan; longer than any run of the crashing container."""
EVERY = timedelta(milliseconds=1)

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recordings are not here")

Line = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    """One file: what was read at which time, and what was true."""

    about: dict[str, Any]
    lines: list[Line]

    def at(self, seconds: float) -> Line:
        """Return the line that a look at this time finds.

        After the end, everything stays as it was last.
        """
        times = [line["t_ms"] / 1000 for line in self.lines]
        return self.lines[bisect_right(times, seconds) - 1]

    def stable_at(self, seconds: float) -> bool:
        """Return whether the service is truly stable until the next trigger."""
        truth = [stable for begin, end, stable in self.about["truth"] if begin <= seconds * 1000 < end]
        return bool(truth[0] if truth else self.about["truth"][-1][2])

    def span(self, trigger: int) -> tuple[float, float]:
        """Return from when a checker may judge a trigger, until the next.

        The last span goes on beyond the end of the recording.
        """
        triggers = self.about["triggers"]
        later = triggers[trigger + 1 :]
        end = later[0]["t_ms"] if later else self.about["end_ms"] + 20_000
        return triggers[trigger]["first_line_after_ms"] / 1000, end / 1000


def scenarios() -> list[dict[str, Any]]:
    if not FOLDER.is_dir():
        return []
    listed = json.loads((FOLDER / "scenarios.json").read_text())["scenarios"]
    return [scenario for scenario in listed if scenario["object"]["kind"] == "Deployment"]


SCENARIOS = {one["file"].removesuffix(".jsonl.gz"): one for one in scenarios()}


@pytest.fixture(params=SCENARIOS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return read(SCENARIOS[request.param])


def read(about: dict[str, Any]) -> Recording:
    lines = [json.loads(line) for line in gzip.decompress((FOLDER / about["file"]).read_bytes()).splitlines()]
    return Recording(about, [line for line in lines if line.get("deployment")])


def facts_of(line: Line) -> RolloutFacts:
    return rollout_facts(
        DeploymentWire.model_validate(line["deployment"]),
        [ReplicaSetWire.model_validate(replica_set) for replica_set in line["replicasets"]],
        [PodWire.model_validate(pod) for pod in line["pods"]],
    )


def stable_from(recording: Recording, trigger: int, every: float) -> float | None:
    """Return when a checker with this interval reports stable, or None."""
    now, end = recording.span(trigger)
    calm: Calm | None = None
    while now < end:
        calm = calm_after(calm, facts_of(recording.at(now)), ended=now)
        if calm is not None and held_for(calm, began=now) >= HOLD:
            return now
        now += every
    return None


@pytest.mark.parametrize("every", [0.05, 0.5, 2.0])
def test_stable_is_never_reported_too_early_and_always_in_the_end(recording: Recording, every: float) -> None:
    """At any interval. The truth was taken from watch streams, independently of any polling."""
    for trigger in range(len(recording.about["triggers"])):
        reported = stable_from(recording, trigger, every)
        if reported is not None:
            assert recording.stable_at(reported), f"said stable at {reported:.3f} s"
            settled = [
                at / 1000 for at, to, stable in recording.about["truth"] if stable and at <= reported * 1000 < to
            ]
            assert not settled or reported - HOLD >= settled[0] - 0.001
    assert (reported is not None) == (recording.about["final"] == "stable")


WEAKER: dict[str, Callable[[RolloutFacts], dict[str, Any]]] = {
    "no generation": lambda facts: {"observed_generation": facts.generation},
    "no pods": lambda facts: {"pods": as_wanted(facts)},
    "no counts": lambda facts: (
        dict.fromkeys(("replicas", "updated", "ready", "available"), facts.wanted) | {"unavailable": 0}
    ),
    "no hold": lambda _: {},
}


def as_wanted(facts: RolloutFacts) -> list[PodFacts]:
    """Return as many perfect pods as are wanted, whatever really exists."""
    owner = facts.replica_sets[0] if facts.replica_sets else ""
    return [PodFacts(name=str(number), uid=str(number), owner=owner, ready=True) for number in range(facts.wanted)]


@pytest.mark.parametrize("blind", WEAKER.values(), ids=WEAKER.keys())
def test_a_weaker_decision_would_be_fooled(blind: Callable[[RolloutFacts], dict[str, Any]]) -> None:
    """Without any one of its parts, the decision is wrong at some look. The test above is no formality."""
    fooled = set()
    for about in SCENARIOS.values():
        recording = read(about)
        for trigger in range(len(about["triggers"])):
            begin, _ = recording.span(trigger)
            for line in recording.lines:
                seconds = line["t_ms"] / 1000
                facts = facts_of(line)
                weaker = not_rolled_out(facts.model_copy(update=blind(facts)))
                if seconds >= begin and not weaker and not recording.stable_at(seconds):
                    fooled.add(about["file"])
    assert fooled


async def test_the_client_reports_the_same_over_http(recording: Recording, tmp_path: Path) -> None:
    """Each look gets the next line. Stable is never reported before the cluster's own counts agree."""
    begin, _ = recording.span(len(recording.about["triggers"]) - 1)
    lines = [line for line in recording.lines if line["t_ms"] >= begin * 1000]
    name = recording.about["object"]["name"]
    async with stand_in() as api:

        def serve(look: int) -> None:
            line = lines[min(look, len(lines)) - 1]
            api.deployments = {name: line["deployment"]}
            api.replica_sets, api.pods = line["replicasets"], line["pods"]

        api.before_look = serve
        cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path))})
        spec = KubernetesStability(kind="kubernetes", hold=timedelta(milliseconds=150))
        client = KubernetesStabilityClient(Workloads(cluster, "shop"), spec)
        details = []
        if recording.about["final"] == "stable":
            found = await client.wait_until_stable(name, longest=timedelta(seconds=30), every=EVERY)
            assert found.stable, found.detail
            assert lines[min(api.looks, len(lines)) - 1]["t_ms"] >= recording.about["status_and_pods_agree_from_ms"]
        else:
            while api.looks < len(lines):
                found = await client.wait_until_stable(name, longest=EVERY, every=EVERY)
                assert not found.stable
                details.append(found.detail)
            assert recording.about["final_reason"] in " ".join(details)
        await cluster.aclose()

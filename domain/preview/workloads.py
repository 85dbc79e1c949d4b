"""What the peers do to the workloads under test.

The person who starts a run must agree to these changes (`peer-contract` sections 2 and 3). The peers make them, not
Holdfast, so there is no code to derive them from.
"""

from __future__ import annotations

from domain.preview.model import WorkloadStep
from domain.resilience.model import Phase

WORKLOAD_STEPS = [
    WorkloadStep(
        phase=Phase.ANALYZING_PATTERNS,
        change="recording on: a container `envoy` is added to the Deployment of the service's name, with its ConfigMap "
        "and two volumes, and the Service's first targetPort becomes 15006",
        rollouts=2,
    ),
    WorkloadStep(
        phase=Phase.ANALYZING_PATTERNS,
        change="recording off: the container and the ConfigMap are removed, the targetPort is put back",
        rollouts=1,
    ),
    WorkloadStep(
        phase=Phase.INJECTING_AND_REPLAYING,
        change="recording on again, in all services at once, so that calls are seen while services are broken: the "
        "same container, ConfigMap, volumes and targetPort",
        rollouts=2,
    ),
    WorkloadStep(
        phase=Phase.INJECTING_AND_REPLAYING,
        change="its fault, see above; then the fault is removed. Once more, up to twice, where other failures make it "
        "receive calls that healthy traffic never makes",
        rollouts=0,
    ),
    WorkloadStep(
        phase=Phase.INJECTING_AND_REPLAYING,
        change="recording off: the container and the ConfigMap are removed, the targetPort is put back",
        rollouts=1,
    ),
    WorkloadStep(
        phase=Phase.RULES_READY,
        change="rules on: a container `envoy` and the ConfigMap `envoy-fi-<service>` are added, the targetPort becomes "
        "15006; requests without a token of ours pass through",
        rollouts=1,
    ),
    WorkloadStep(
        phase=Phase.LOAD_TEST_BASELINE,
        change="rules off: the container and the ConfigMap are removed, the targetPort is put back",
        rollouts=1,
    ),
]
"""In order. `rollouts`: most rollouts that the proxy causes; a recording edits the Deployment twice when it begins.
Rollouts that the fault itself causes are not counted."""

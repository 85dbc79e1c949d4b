"""What the peers do to the workloads under test (`peer-contract` sections 2 and 3): what a person must agree to.

Nothing of it is done by us, so there is no code of ours to derive it from.
"""

from __future__ import annotations

from workflows.contracts.execution import Phase
from workflows.contracts.preview import WorkloadStep

STEPS = [
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
        change="its fault, see above; then the fault is removed",
        rollouts=0,
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
"""In their order. Rollouts are those that the proxy may cause at most: the first step edits the Deployment twice."""

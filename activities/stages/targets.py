"""Checks that a run's targets exist before anything is switched on."""

from __future__ import annotations

from activities.toolbox import Subject, Toolbox
from clients.kubernetes.workloads import find_targets
from domain.errors import ErrorCode, HoldfastError
from domain.plans.system import KubernetesStability


async def require_targets(tools: Toolbox, subject: Subject) -> None:
    """Check that every service has its Deployment.

    Only for plans that check stability in Kubernetes. It also shows that the worker's rights suffice.

    Raises:
        HoldfastError: VALIDATION_ERROR, naming every service without a Deployment. Another code if the cluster refuses.
    """
    stability = subject.plan.system.stability
    if not isinstance(stability, KubernetesStability):
        return
    names = subject.plan.service_names
    targets = await find_targets(tools.workloads(subject.plan), names, stability.workloads)
    if targets.problems:
        problems = "; ".join(str(problem) for problem in targets.problems)
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, problems, hint="nothing was touched")

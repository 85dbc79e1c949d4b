"""Expansion of a plan's `fault:` into the ChaosBlade experiment to inject."""

from __future__ import annotations

import json
from datetime import timedelta

from domain.faults.chaosblade.experiment import Experiment
from domain.faults.model import ContainerFault, DelayFault, ExperimentFault, FaultSpec

SELECTORS = ("names", "labels")
"""Matchers that select pods; one of them is needed. The operator would also accept a count or a share (`peer-contract`
section 2.6), but on their own these select from all pods of the namespace, not from the service's."""

CONTAINER_SELECTORS = ("container-names", "container-ids", "container-index")
"""Matchers that select containers. Experiments of scope container need at least one of them."""


def expand(fault: FaultSpec, service: str, namespace: str) -> ExperimentFault:
    """Expand a fault to its full form.

    It is aimed at this service in this namespace.
    """
    if isinstance(fault, ExperimentFault):
        return ExperimentFault(type=fault.type, experiment=_with_target(fault.experiment, service, namespace))
    if isinstance(fault, DelayFault):
        return _delay(fault.delay, service, namespace)
    if isinstance(fault, ContainerFault):
        if fault.remove is not None:
            return _remove(fault.remove.containers, service, namespace)
        if fault.error is not None:
            return _error(fault.error.containers, service, namespace)
        raise ValueError("a fault in a container must be remove or error")
    return (_remove if fault == "remove" else _error)([service], service, namespace)


SIDECAR = "envoy"
"""Container that the traffic proxy adds to pods (`peer-contract` section 3.1)."""


def with_sidecar(fault: ExperimentFault) -> ExperimentFault:
    """Extend the removal of a service to the proxy's sidecar.

    Use it for pods that have the sidecar. Otherwise the sidecar would answer 503 for the removed service, where
    connections would really be refused. Other faults are returned unchanged.
    """
    experiment = fault.experiment
    names = experiment.matchers.get("container-names")
    if (experiment.target, experiment.action) != ("container", "remove") or not names or SIDECAR in names:
        return fault
    matchers = {**experiment.matchers, "container-names": [*names, SIDECAR]}
    return fault.model_copy(update={"experiment": experiment.model_copy(update={"matchers": matchers})})


def _with_target(experiment: Experiment, service: str, namespace: str) -> Experiment:
    """Add the matchers that select the target; those of the plan stay."""
    matchers = dict(experiment.matchers)
    matchers.setdefault("namespace", [namespace])
    if not any(name in matchers for name in SELECTORS):
        matchers["labels"] = [f"app={service}"]
    return experiment.model_copy(update={"matchers": matchers})


def _remove(containers: list[str], service: str, namespace: str) -> ExperimentFault:
    """Remove the containers: the original orchestrator's fault."""
    experiment = Experiment(
        scope="container",
        target="container",
        action="remove",
        matchers={"container-names": containers, "force": ["true"]},
    )
    return ExperimentFault(type="remove", experiment=_with_target(experiment, service, namespace))


def _delay(delay: timedelta, service: str, namespace: str) -> ExperimentFault:
    # At least 1: the operator takes whole milliseconds, and with 0 there would be no fault.
    milliseconds = str(max(1, round(delay / timedelta(milliseconds=1))))
    matchers = {"time": [milliseconds], "interface": ["eth0"]}
    experiment = Experiment(scope="pod", target="network", action="delay", matchers=matchers)
    return ExperimentFault(type="delay", experiment=_with_target(experiment, service, namespace))


def _error(containers: list[str], service: str, namespace: str) -> ExperimentFault:
    """Make Spring's dispatcher throw, so that every request answers 500.

    Services on anything else need the full form.
    """
    matchers = {
        "container-names": containers,
        "classname": ["org.springframework.web.servlet.DispatcherServlet"],
        "methodname": ["doDispatch"],
        "exception": ["java.lang.RuntimeException"],
        "exception-message": ["injected by Holdfast"],
    }
    experiment = Experiment(scope="container", target="jvm", action="throwCustomException", matchers=matchers)
    return ExperimentFault(type="error", experiment=_with_target(experiment, service, namespace))


def faults_json(service: str, namespace: str, experiment: Experiment) -> str:
    """Return one element of a case's `faults_json`.

    In the peers' form (`peer-contract` section 5).
    """
    return json.dumps(
        {"namespace": namespace, "serviceName": service, "faultDefinition": {"spec": experiment_spec(experiment)}},
        separators=(",", ":"),
    )


def experiment_spec(experiment: Experiment) -> dict[str, object]:
    """Return the `spec` that the fault service takes."""
    matchers = [{"name": name, "value": values} for name, values in experiment.matchers.items()]
    return {
        "experiments": [
            {
                "scope": experiment.scope,
                "target": experiment.target,
                "action": experiment.action,
                "matchers": matchers,
            }
        ]
    }

"""From what a plan says after `fault:` to the ChaosBlade experiment that is injected."""

from __future__ import annotations

import json
from datetime import timedelta

from workflows.contracts.faults import ContainerFault, DelayFault, Experiment, ExperimentFault, FaultSpec

SELECTORS = ("names", "labels")
"""Either says which pods. The operator would also be content with a count or a share (`peer-contract` section 2.6), but
those alone are of all pods in the namespace, not of the service's."""

CONTAINER_SELECTORS = ("container-names", "container-ids", "container-index")
"""At least one of them must say which containers, for experiments of scope container."""


def expand(fault: FaultSpec, service: str, namespace: str) -> ExperimentFault:
    """The full form of any fault, aimed at this service in this namespace."""
    if isinstance(fault, ExperimentFault):
        return ExperimentFault(type=fault.type, experiment=_aimed(fault.experiment, service, namespace))
    if isinstance(fault, DelayFault):
        return _delay(fault.delay, service, namespace)
    if isinstance(fault, ContainerFault):
        if fault.remove is not None:
            return _remove(fault.remove.containers, service, namespace)
        if fault.error is not None:
            return _error(fault.error.containers, service, namespace)
        raise ValueError("a fault in a container says remove or error")
    return (_remove if fault == "remove" else _error)([service], service, namespace)


SIDECAR = "envoy"
"""The container that the traffic proxy puts into pods (`peer-contract` section 3.1)."""


def with_sidecar(fault: ExperimentFault) -> ExperimentFault:
    """The same fault for pods that have the proxy's sidecar: removing the service removes that, too.

    Else the sidecar would answer 503 in place of the service, where a connection is really refused.
    """
    experiment = fault.experiment
    names = experiment.matchers.get("container-names")
    if (experiment.target, experiment.action) != ("container", "remove") or not names or SIDECAR in names:
        return fault
    matchers = {**experiment.matchers, "container-names": [*names, SIDECAR]}
    return fault.model_copy(update={"experiment": experiment.model_copy(update={"matchers": matchers})})


def fault_type(fault: FaultSpec) -> str:
    """The kind of failure, as it appears in baggage tokens."""
    return expand(fault, "any", "any").type


def _aimed(experiment: Experiment, service: str, namespace: str) -> Experiment:
    """With the matchers that say where: what the plan gives stays."""
    matchers = dict(experiment.matchers)
    matchers.setdefault("namespace", [namespace])
    if not any(name in matchers for name in SELECTORS):
        matchers["labels"] = [f"app={service}"]
    return experiment.model_copy(update={"matchers": matchers})


def _remove(containers: list[str], service: str, namespace: str) -> ExperimentFault:
    """The original orchestrator's fault: the containers are removed."""
    experiment = Experiment(
        scope="container",
        target="container",
        action="remove",
        matchers={"container-names": containers, "force": ["true"]},
    )
    return ExperimentFault(type="remove", experiment=_aimed(experiment, service, namespace))


def _delay(delay: timedelta, service: str, namespace: str) -> ExperimentFault:
    # At least one: the operator takes whole milliseconds, and no fault is not what was asked for.
    milliseconds = str(max(1, round(delay / timedelta(milliseconds=1))))
    matchers = {"time": [milliseconds], "interface": ["eth0"]}
    experiment = Experiment(scope="pod", target="network", action="delay", matchers=matchers)
    return ExperimentFault(type="delay", experiment=_aimed(experiment, service, namespace))


def _error(containers: list[str], service: str, namespace: str) -> ExperimentFault:
    """Every request answers 500: Spring's dispatcher throws. Services on anything else need the full form."""
    matchers = {
        "container-names": containers,
        "classname": ["org.springframework.web.servlet.DispatcherServlet"],
        "methodname": ["doDispatch"],
        "exception": ["java.lang.RuntimeException"],
        "exception-message": ["injected by Holdfast"],
    }
    experiment = Experiment(scope="container", target="jvm", action="throwCustomException", matchers=matchers)
    return ExperimentFault(type="error", experiment=_aimed(experiment, service, namespace))


def faults_json(service: str, namespace: str, experiment: Experiment) -> str:
    """One element of a case's `faults_json`, in the peers' form (`peer-contract` section 5)."""
    return json.dumps(
        {"namespace": namespace, "serviceName": service, "faultDefinition": {"spec": experiment_spec(experiment)}},
        separators=(",", ":"),
    )


def experiment_spec(experiment: Experiment) -> dict[str, object]:
    """The `spec` that the fault service takes."""
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

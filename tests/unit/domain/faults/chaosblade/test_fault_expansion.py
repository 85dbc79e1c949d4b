"""A plan's fault expands to the experiment that is injected."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from domain.faults.chaosblade.expansion import expand, faults_json
from domain.faults.chaosblade.experiment import Experiment
from domain.faults.model import ExperimentFault, FaultSpec, fault_type


def fault(written: Any) -> Any:
    return TypeAdapter(FaultSpec).validate_python(written)


def test_remove_expands_to_the_original_orchestrators_experiment() -> None:
    """It targets a label instead of pod names, which may be outdated."""
    expanded = expand(fault("remove"), "cart", "shop")
    assert expanded.type == "remove"
    assert (expanded.experiment.scope, expanded.experiment.target, expanded.experiment.action) == (
        "container",
        "container",
        "remove",
    )
    assert expanded.experiment.matchers == {
        "container-names": ["cart"],
        "force": ["true"],
        "namespace": ["shop"],
        "labels": ["app=cart"],
    }


def test_error_makes_springs_dispatcher_servlet_throw() -> None:
    """Every request to a Spring service passes it, and then gets a 500."""
    experiment = expand(fault("error"), "cart", "shop").experiment
    assert (experiment.scope, experiment.target, experiment.action) == ("container", "jvm", "throwCustomException")
    assert experiment.matchers["classname"] == ["org.springframework.web.servlet.DispatcherServlet"]
    assert experiment.matchers["methodname"] == ["doDispatch"]
    assert experiment.matchers["exception"] == ["java.lang.RuntimeException"]
    assert experiment.matchers["container-names"] == ["cart"]
    assert experiment.matchers["labels"] == ["app=cart"]


@pytest.mark.parametrize(
    ("delay", "time"), [("3s", "3000"), ("1.5s", "1500"), ("250ms", "250"), ("1.6ms", "2"), ("0.2ms", "1")]
)
def test_delay_is_rounded_to_whole_milliseconds(delay: str, time: str) -> None:
    """At least one, because no delay would be no fault."""
    expanded = expand(fault({"delay": delay}), "cart", "shop")
    assert expanded.type == "delay"
    assert (expanded.experiment.scope, expanded.experiment.target) == ("pod", "network")
    assert expanded.experiment.matchers == {
        "time": [time],
        "interface": ["eth0"],
        "namespace": ["shop"],
        "labels": ["app=cart"],
    }


@pytest.mark.parametrize("kind", ["remove", "error"])
def test_other_containers_can_be_named(kind: str) -> None:
    """They replace the container named like the service. Everything else is equal."""
    named = expand(fault({kind: {"containers": ["app", "worker"]}}), "cart", "shop")
    plain = expand(fault(kind), "cart", "shop")
    assert named.type == plain.type == kind
    assert named.experiment.matchers == plain.experiment.matchers | {"container-names": ["app", "worker"]}


def _full(**matchers: list[str]) -> ExperimentFault:
    experiment = Experiment(scope="pod", target="network", action="loss", matchers=matchers)
    return ExperimentFault(type="loss", experiment=experiment)


def test_a_full_experiment_keeps_its_own_matchers() -> None:
    """Its namespace and pods stay unchanged."""
    given = _full(namespace=["shop"], names=["cart-0"], percent=["100"])
    assert expand(given, "cart", "shop") == given


@pytest.mark.parametrize("matchers", [{"percent": ["100"]}, {"evict-count": ["1"]}, {"count": ["1"]}])
def test_a_full_experiment_never_reaches_beyond_its_service(matchers: dict[str, list[str]]) -> None:
    """A share or a count alone would select from all pods in the namespace, so the service's label is added."""
    expanded = expand(_full(**matchers), "cart", "shop")
    assert expanded.experiment.matchers == matchers | {"namespace": ["shop"], "labels": ["app=cart"]}


def test_expanding_is_idempotent_and_leaves_the_plan_unchanged() -> None:
    given = _full(percent=["100"])
    once = expand(given, "cart", "shop")
    assert given.experiment.matchers == {"percent": ["100"]}
    assert expand(once, "cart", "shop") == once


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("remove", "remove"),
        ("error", "error"),
        ({"delay": timedelta(seconds=1)}, "delay"),
        ({"remove": {"containers": ["a"]}}, "remove"),
        ({"error": {"containers": ["a"]}}, "error"),
        (_full(percent=["100"]), "loss"),
    ],
    ids=str,
)
def test_the_fault_type_does_not_depend_on_the_service(written: Any, kind: str) -> None:
    assert fault_type(fault(written)) == kind


def test_faults_json_has_the_form_of_the_fault_service() -> None:
    """It is one element of a case's `faults_json`. Every matcher's value is a list of texts."""
    found = json.loads(faults_json("cart", "shop", expand(fault("remove"), "cart", "shop").experiment))
    assert found == {
        "namespace": "shop",
        "serviceName": "cart",
        "faultDefinition": {
            "spec": {
                "experiments": [
                    {
                        "scope": "container",
                        "target": "container",
                        "action": "remove",
                        "matchers": [
                            {"name": "container-names", "value": ["cart"]},
                            {"name": "force", "value": ["true"]},
                            {"name": "namespace", "value": ["shop"]},
                            {"name": "labels", "value": ["app=cart"]},
                        ],
                    }
                ]
            }
        },
    }

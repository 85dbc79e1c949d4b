"""Faults: what a plan asks for, the ChaosBlade experiment it stands for, and what a fault window reports."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from workflows.contracts.base import Contract, StrictModel, UnfitError
from workflows.contracts.units import PositiveDuration

PlainToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=63)]
"""A word that reaches the peer's unquoted YAML: starts with a letter, no spaces (`peer-contract` section 2.2)."""

ContainerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A DNS-1123 label, as Kubernetes names containers."""

FaultType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
"""The kind of failure as it appears in baggage tokens, such as `remove`."""


class Experiment(StrictModel):
    """One ChaosBlade experiment: only these fields reach the cluster (`peer-contract` section 2.2)."""

    scope: PlainToken
    """`pod` or `container`."""
    target: PlainToken
    """What is disturbed, for example `network`."""
    action: PlainToken
    """How, for example `delay`."""
    matchers: dict[PlainToken, list[str]] = Field(min_length=1)
    """Every parameter is a matcher, and every value a list of strings; anything else is dropped by the peer."""


class ExperimentFault(StrictModel):
    """A fault given in full."""

    type: FaultType
    """The kind of failure as it appears in baggage tokens, for example `cpu-load`."""
    experiment: Experiment


class DelayFault(StrictModel):
    """Short form `{delay: 3s}`: every packet of the service's pods is late by this much."""

    delay: PositiveDuration
    """How late every packet is."""


class ContainerTarget(StrictModel):
    """Which containers of the service's pods are meant."""

    containers: list[ContainerName] = Field(min_length=1)
    """Names of containers in the service's pods."""


class ContainerFault(StrictModel):
    """Short forms `{remove: {containers: [...]}}` and `{error: {...}}` for containers with other names."""

    remove: ContainerTarget | None = None
    """These containers are gone."""
    error: ContainerTarget | None = None
    """The JVMs in these containers throw."""

    @model_validator(mode="after")
    def _one_of_both(self) -> ContainerFault:
        if (self.remove is None) == (self.error is None):
            raise UnfitError("must say either remove or error", "write {remove: {containers: [name]}}")
        return self


ShortFault = Literal["remove", "error"]
"""`remove`: the service's container is gone. `error`: it answers 500 (a thrown exception in its JVM)."""

FAULT_FIELDS = {
    "delay": "delay",
    "remove": "containers",
    "error": "containers",
    "type": "experiment",
    "experiment": "experiment",
}
"""Which form of fault a field speaks for."""

_FORM_OF_CLASS: dict[type, str] = {DelayFault: "delay", ContainerFault: "containers", ExperimentFault: "experiment"}


def fault_form(value: Any) -> str | None:
    """Which form of fault is meant, so that mistakes are told for that form alone; None for none of them."""
    if isinstance(value, str):
        return "short"
    if isinstance(value, dict):
        return next((form for field, form in FAULT_FIELDS.items() if field in value), None)
    return _FORM_OF_CLASS.get(type(value))


FaultSpec = Annotated[
    Annotated[ShortFault, Tag("short")]
    | Annotated[DelayFault, Tag("delay")]
    | Annotated[ContainerFault, Tag("containers")]
    | Annotated[ExperimentFault, Tag("experiment")],
    Discriminator(fault_form),
]
"""What a plan may write after `fault:`. `logic/faults.py` expands each form to an `ExperimentFault`."""


class InjectionState(StrEnum):
    """How far a service's injection is, as the status panel shows it (`stages` section 3)."""

    PENDING = "Pending"
    RUNNING = "Running"
    RECOVERED = "Recovered"
    FAILED = "Failed"


class FaultOrder(Contract):
    """What an activity needs to act on one fault. The spec is read from the stored plan, not carried."""

    execution_id: int
    service: str
    fault_name: str = ""
    """The peer's name of the fault (blade name), computed and in the ledger before the peer is called."""
    known_to_exist: bool = False
    """Whether the fault service has said so. Else it may still be creating it when we look."""
    discovery_round: int = 1
    """Of the window that it is for, as `FaultInput.discovery_round`."""


class FaultRunning(Contract):
    """A fault that was seen running in all its targets."""

    fault_name: str
    waited_seconds: float


class CapturedFailure(Contract):
    """How a service failed, in summary; the bodies are in the store."""

    service: str
    responses: int
    """How many recorded requests were replayed."""
    status: int
    """HTTP status of the first captured response, never 0 (`peer-contract` property 13)."""
    substituted: bool = False
    """True when there was no HTTP answer at all and the configured substitute status stands for it."""
    no_effect: bool = False
    """True when every captured response equals the recorded healthy one: the fault changed nothing."""


class FaultReport(Contract):
    """The result of one fault window: always a value, so that one service's trouble stays its own."""

    service: str
    fault_name: str
    state: InjectionState
    captured: CapturedFailure | None = None
    error: str = ""
    """Why there is no captured failure; empty when there is one."""
    recovery_verified: bool = True
    stable_after: bool | None = None

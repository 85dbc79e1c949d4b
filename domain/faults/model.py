"""Faults: plan syntax, and a fault window's report."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from domain.base import Contract, StrictModel, UnfitError
from domain.faults.chaosblade.experiment import Experiment
from domain.units import PositiveDuration

ContainerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A DNS-1123 label, as Kubernetes names containers."""

FaultType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
"""Kind of failure as it appears in baggage tokens, such as `remove`."""


class ExperimentFault(StrictModel):
    """A fault given in full."""

    type: FaultType
    """Kind of failure as it appears in baggage tokens, for example `cpu-load`."""
    experiment: Experiment


class DelayFault(StrictModel):
    """Short form `{delay: 3s}`: delays every packet of the service's pods."""

    delay: PositiveDuration
    """Delay of every packet."""


class ContainerTarget(StrictModel):
    """Containers in the service's pods that a fault affects."""

    containers: list[ContainerName] = Field(min_length=1)
    """Names of containers in the service's pods."""


class ContainerFault(StrictModel):
    """Short forms for containers that are not named like their service.

    `{remove: {containers: [...]}}` and `{error: {containers: [...]}}`.
    """

    remove: ContainerTarget | None = None
    """Containers that are removed."""
    error: ContainerTarget | None = None
    """Containers whose JVMs throw."""

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
"""Form of fault that each field belongs to."""

_FORM_OF_CLASS: dict[type, str] = {DelayFault: "delay", ContainerFault: "containers", ExperimentFault: "experiment"}


def fault_form(value: Any) -> str | None:
    """Return the form of fault that is meant; None for no form.

    Pydantic then reports mistakes for that form alone.
    """
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
"""What a plan may write after `fault:`. The driver for ChaosBlade expands each form (`domain/faults/chaosblade/`)."""


def fault_type(fault: FaultSpec) -> str:
    """Return the kind of failure, as it appears in baggage tokens."""
    if isinstance(fault, ExperimentFault):
        return fault.type
    if isinstance(fault, DelayFault):
        return "delay"
    if isinstance(fault, ContainerFault):
        return "error" if fault.remove is None else "remove"
    return fault


class InjectionState(StrEnum):
    """State of a service's injection, as the status panel shows it.

    See `stages` section 3.
    """

    PENDING = "Pending"
    RUNNING = "Running"
    RECOVERED = "Recovered"
    FAILED = "Failed"


class FaultOrder(Contract):
    """What an activity needs to act on one fault.

    It does not carry the spec: activities read that from the stored plan.
    """

    execution_id: int
    service: str
    fault_name: str = ""
    """Name of the fault at the peer (blade name). It is computed, and in the ledger, before the peer is called."""
    known_to_exist: bool = False
    """Whether the fault service has confirmed the fault. If not, it may still be creating it when we look."""
    discovery_round: int = 1
    """Discovery round of the fault's window, as in `FaultInput.discovery_round`."""


class FaultRunning(Contract):
    """A fault that was seen running in all its targets."""

    fault_name: str
    waited_seconds: float


class CapturedFailure(Contract):
    """Summary of how a service failed; the bodies are in the store."""

    service: str
    responses: int
    """Number of recorded requests that were replayed."""
    status: int
    """HTTP status of the first captured response, never 0 (`peer-contract` property 13)."""
    substituted: bool = False
    """True if the configured substitute status replaces a missing HTTP answer."""
    no_effect: bool = False
    """True if every response equals the recorded healthy one: nothing changed."""


class FaultReport(Contract):
    """Result of one fault window.

    Problems are returned in it, not raised, so that they stay confined to their service.
    """

    service: str
    fault_name: str
    state: InjectionState
    captured: CapturedFailure | None = None
    error: str = ""
    """Why there is no captured failure, or what went wrong while closing. Empty if nothing did."""
    recovery_verified: bool = True
    stable_after: bool | None = None

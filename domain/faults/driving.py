"""What passes between Holdfast and a fault driver."""

from __future__ import annotations

from domain.base import Contract
from domain.errors import ErrorCode, HoldfastError
from domain.faults.model import FaultSpec


class FaultExists(HoldfastError):  # noqa: N818 - it is an answer as much as an error
    """A fault of this name already exists.

    Because of how we name faults, it is our own from an earlier attempt.
    """

    def __init__(self, name: str) -> None:
        super().__init__(ErrorCode.FAULT_REJECTED, f"fault {name} already exists")


class FaultIntent(Contract):
    """A fault that a driver is to inject."""

    fault: FaultSpec
    """As the plan says it."""
    service: str
    namespace: str
    beside_recording: bool = False
    """Whether a recording is on in the service. What records then fails with the service, or it would answer for it."""


class FaultStatus(Contract):
    """The state of a fault, as its driver sees it."""

    running: bool
    """Whether the fault acts on everything that it is aimed at."""
    failed: bool
    """Whether the fault will never run."""
    detail: str = ""
    """The same in the driver's own words."""

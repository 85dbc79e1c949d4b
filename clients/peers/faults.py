"""The fault service (svc-fault-scheduler), as `peer-contract` section 2 describes it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from clients.http.control import PeerAnswer, PeerClient, PeerHttp, Shown, cut_short, segment
from domain.errors import ErrorCode
from domain.faults.chaosblade.expansion import expand, experiment_spec, with_sidecar
from domain.faults.chaosblade.experiment import Experiment
from domain.faults.driving import FaultExists, FaultIntent, FaultStatus

CALL_TIMEOUT = timedelta(seconds=30)
"""Default limit of a call.

Even `execute` alone sleeps for a second and calls the cluster twice.
"""

_PERMANENT = (
    "invalid fault specification",
    "failed to normalize",
    "cannot be null or empty",
    "constraint_violation",
    "type_mismatch",
)
"""Texts in errors about specs that can never work.

They distinguish those from temporary errors: both have status 500.
"""


class FaultPhase(StrEnum):
    """Phases that the operator sets, passed on by the fault service."""

    UNKNOWN = "Unknown"
    INITIALIZED = "Initialized"
    RUNNING = "Running"
    UPDATING = "Updating"
    ERROR = "Error"
    DESTROYING = "Destroying"
    DESTROYED = "Destroyed"
    OTHER = "Other"

    @classmethod
    def _missing_(cls, value: object) -> FaultPhase:
        return cls.OTHER


class FaultClient(PeerClient):
    """A client of one fault service: the fault driver for ChaosBlade.

    Errors are `HoldfastError`, with PEER_ codes (`clients/http/control.py`) or those named below.
    """

    def __init__(self, base_url: str, *, call_timeout: timedelta = CALL_TIMEOUT, shown: Shown = cut_short) -> None:
        super().__init__(PeerHttp("fault service", base_url, call_timeout, shown))
        self._address = base_url

    @property
    def address(self) -> str:
        """The fault service's base address."""
        return self._address

    def by_hand(self, name: str) -> str:
        """Return the command with which a person deletes a fault."""
        return f"curl -X DELETE {self._address}/api/faults/{name}"

    async def inject(self, name: str, ttl: timedelta, intent: FaultIntent) -> None:
        """Inject a plan's fault, see `execute`."""
        fault = expand(intent.fault, intent.service, intent.namespace)
        if intent.beside_recording:
            fault = with_sidecar(fault)
        await self.execute(name, int(ttl.total_seconds()), fault.experiment)

    async def execute(self, name: str, ttl_seconds: int, experiment: Experiment) -> None:
        """Inject a fault, always under our own name and with a TTL.

        Raises:
            FaultExists: when the name is taken.
            HoldfastError: FAULT_REJECTED when the spec can never work; PEER_ codes when the outcome is unknown and only
                `status(name)` can show it.
        """
        answer = await self._http.call(
            "POST",
            "/api/faults/execute",
            params={"name": name, "durationSec": ttl_seconds},
            body={"spec": experiment_spec(experiment)},
        )
        code, message = answer.peer_error()
        # Documented as 400, sent as 500: recognise it by its text.
        if "already exists" in message.lower():
            raise FaultExists(name)
        text = f"{code} {message}".lower()
        if answer.status == 400 or any(phrase in text for phrase in _PERMANENT):
            raise answer.error(ErrorCode.FAULT_REJECTED, "refused the experiment", "fix it in the plan")
        answer.data(ErrorCode.PEER_ERROR)

    async def status(self, name: str) -> FaultStatus | None:
        """Return a fault's state; None only if it is truly absent.

        Raises:
            HoldfastError: PEER_ codes when the fault service cannot report the state.
        """
        answer = await self._http.call("GET", f"/api/faults/{segment(name)}/status")
        if _absent(answer):
            return None
        data = answer.data(ErrorCode.PEER_ERROR)
        if not isinstance(data, dict):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered no status")
        return _status(data)

    async def namespaces(self, name: str) -> set[str] | None:
        """Return the target namespaces of a fault; None if they are unknown.

        None does not prove that the fault is absent: the fault service reports a fault as absent also when it could not
        reach its cluster.
        """
        answer = await self._http.call("GET", f"/api/faults/{segment(name)}")
        if _absent(answer):
            return None
        data = answer.data(ErrorCode.PEER_ERROR)
        spec = data.get("spec") if isinstance(data, dict) else None
        return _namespaces(spec) if isinstance(spec, dict) else None

    async def delete(self, name: str) -> None:
        """Request the deletion of a fault; an absent fault is fine.

        The fault may still be active for a while after this call.
        """
        answer = await self._http.call("DELETE", f"/api/faults/{segment(name)}")
        if not _absent(answer):
            answer.data(ErrorCode.PEER_ERROR)

    async def names(self, prefix: str) -> list[str]:
        """Return the names of faults with this prefix, sorted.

        The peer's list is unordered, and may contain faults that no longer exist (`peer-contract` section 2.5).
        """
        answer = await self._http.call("GET", "/api/faults")
        data = answer.data(ErrorCode.PEER_ERROR) or []
        if not isinstance(data, list):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered no list of names")
        return sorted(str(name) for name in data if str(name).startswith(prefix))


def _absent(answer: PeerAnswer) -> bool:
    return answer.status == 404 and answer.peer_error()[0] == "RESOURCE_NOT_FOUND"


def _namespaces(spec: dict[str, Any]) -> set[str]:
    listed = spec.get("experiments")
    experiments = (
        [experiment for experiment in listed if isinstance(experiment, dict)] if isinstance(listed, list) else []
    )
    matchers = [experiment.get("matchers") for experiment in experiments]
    named = [matcher for group in matchers if isinstance(group, list) for matcher in group if isinstance(matcher, dict)]
    values = [matcher.get("value") for matcher in named if matcher.get("name") == "namespace"]
    return {str(name) for value in values for name in (value if isinstance(value, list) else [value])}


def _status(data: dict[str, Any]) -> FaultStatus:
    phase = FaultPhase(str(data.get("phase") or "Unknown"))
    status = data.get("status")
    experiments = status.get("expStatuses") if isinstance(status, dict) else None
    experiments = (
        [experiment for experiment in experiments if isinstance(experiment, dict)]
        if isinstance(experiments, list)
        else []
    )
    statuses = [experiment.get("resStatuses") for experiment in experiments]
    targets = [target for group in statuses if isinstance(group, list) for target in group if isinstance(target, dict)]
    parts = [*experiments, *targets]
    problems = [str(part.get("error") or "unsuccessful") for part in parts if part.get("success") is not True]
    return FaultStatus(
        phase=phase,
        running=phase is FaultPhase.RUNNING and bool(experiments) and not problems,
        failed=phase is FaultPhase.ERROR,
        detail=f"phase {phase}" + (f": {'; '.join(problems)}" if problems else ""),
    )

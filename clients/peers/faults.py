"""The fault service (svc-fault-scheduler), as `peer-contract` section 2 describes it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from clients.http.control import PeerAnswer, PeerClient, PeerHttp, Shown, cut_short, segment
from domain.errors import ErrorCode, HoldfastError
from domain.faults.experiments import experiment_spec
from domain.faults.model import Experiment

CALL_TIMEOUT = timedelta(seconds=30)
"""`execute` alone sleeps a second and talks to the cluster twice."""

_PERMANENT = (
    "invalid fault specification",
    "failed to normalize",
    "cannot be null or empty",
    "constraint_violation",
    "type_mismatch",
)
"""What tells a spec that will never do from trouble that may pass: both come as status 500."""


class FaultExists(HoldfastError):  # noqa: N818 - it is an answer as much as an error
    """A fault of this name is there already: by our naming, our own from an earlier attempt."""

    def __init__(self, name: str) -> None:
        super().__init__(ErrorCode.FAULT_REJECTED, f"fault {name} exists already")


class FaultPhase(StrEnum):
    """Phases of the operator, passed on by the fault service."""

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


class FaultStatus(BaseModel):
    """How a fault stands."""

    phase: FaultPhase
    running: bool
    """Running in every target of every experiment: the phase alone says that one of them succeeded."""
    failed: bool
    """It will never run."""
    detail: str = ""


class FaultClient(PeerClient):
    """Calls one fault service. Errors are `HoldfastError`: PEER_ codes (`clients/http/control.py`) and those below."""

    def __init__(self, base_url: str, *, call_timeout: timedelta = CALL_TIMEOUT, shown: Shown = cut_short) -> None:
        super().__init__(PeerHttp("fault service", base_url, call_timeout, shown))

    async def execute(self, name: str, ttl_seconds: int, experiment: Experiment) -> None:
        """Inject, always under our own name and with a time to live.

        Raises:
            FaultExists: the name is taken.
            HoldfastError: FAULT_REJECTED when the spec will never do; PEER_ codes when the outcome is unknown and only
                `status(name)` can tell.
        """
        answer = await self._http.call(
            "POST",
            "/api/faults/execute",
            params={"name": name, "durationSec": ttl_seconds},
            body={"spec": experiment_spec(experiment)},
        )
        code, message = answer.peer_error()
        # Documented as 400, sent as 500: recognised by its words.
        if "already exists" in message.lower():
            raise FaultExists(name)
        said = f"{code} {message}".lower()
        if answer.status == 400 or any(words in said for words in _PERMANENT):
            raise answer.error(ErrorCode.FAULT_REJECTED, "refused the experiment", "mend it in the plan")
        answer.data(ErrorCode.PEER_ERROR)

    async def status(self, name: str) -> FaultStatus | None:
        """How a fault stands; None only when it is truly absent. Not being able to tell is an error."""
        answer = await self._http.call("GET", f"/api/faults/{segment(name)}/status")
        if _absent(answer):
            return None
        data = answer.data(ErrorCode.PEER_ERROR)
        if not isinstance(data, dict):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered no status")
        return _status(data)

    async def namespaces(self, name: str) -> set[str] | None:
        """The namespaces that a fault's experiments are aimed at; None when the fault service does not tell.

        It says «absent» also when it could not ask its cluster, so this is no proof of anything else.
        """
        answer = await self._http.call("GET", f"/api/faults/{segment(name)}")
        if _absent(answer):
            return None
        data = answer.data(ErrorCode.PEER_ERROR)
        spec = data.get("spec") if isinstance(data, dict) else None
        return _namespaces(spec) if isinstance(spec, dict) else None

    async def delete(self, name: str) -> None:
        """Ask for a fault's removal; it takes time, and one that is gone already is fine."""
        answer = await self._http.call("DELETE", f"/api/faults/{segment(name)}")
        if not _absent(answer):
            answer.data(ErrorCode.PEER_ERROR)

    async def names(self, prefix: str) -> list[str]:
        """Names of faults with this prefix. The peer's list may show ghosts, and is unordered."""
        answer = await self._http.call("GET", "/api/faults")
        data = answer.data(ErrorCode.PEER_ERROR) or []
        if not isinstance(data, list):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered no list of names")
        return sorted(str(name) for name in data if str(name).startswith(prefix))


def _absent(answer: PeerAnswer) -> bool:
    return answer.status == 404 and answer.peer_error()[0] == "RESOURCE_NOT_FOUND"


def _namespaces(spec: dict[str, Any]) -> set[str]:
    listed = spec.get("experiments")
    experiments = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    matchers = [one.get("matchers") for one in experiments]
    named = [one for some in matchers if isinstance(some, list) for one in some if isinstance(one, dict)]
    values = [one.get("value") for one in named if one.get("name") == "namespace"]
    return {str(value) for some in values for value in (some if isinstance(some, list) else [some])}


def _status(data: dict[str, Any]) -> FaultStatus:
    phase = FaultPhase(str(data.get("phase") or "Unknown"))
    status = data.get("status")
    experiments = status.get("expStatuses") if isinstance(status, dict) else None
    experiments = [one for one in experiments if isinstance(one, dict)] if isinstance(experiments, list) else []
    listed = [one.get("resStatuses") for one in experiments]
    targets = [target for one in listed if isinstance(one, list) for target in one if isinstance(target, dict)]
    parts = [*experiments, *targets]
    bad = [str(part.get("error") or "unsuccessful") for part in parts if part.get("success") is not True]
    return FaultStatus(
        phase=phase,
        running=phase is FaultPhase.RUNNING and bool(experiments) and not bad,
        failed=phase is FaultPhase.ERROR,
        detail=f"phase {phase}" + (f": {'; '.join(bad)}" if bad else ""),
    )

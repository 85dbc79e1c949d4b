"""Every name that other programs rely on: workflow types and ids, task queues, search attributes, queries, updates.

No literal of these stands anywhere else.
"""

from __future__ import annotations

import re
from enum import StrEnum

from workflows.contracts.base import Contract
from workflows.contracts.execution import Execution

TASK_QUEUE = "holdfast"
"""Control: workflows and their short activities. Recovery never waits behind load."""

LOAD_QUEUE_SUFFIX = "-load"


def load_queue(task_queue: str) -> str:
    """The queue of load generation beside a control queue: `holdfast-load`."""
    return task_queue + LOAD_QUEUE_SUFFIX


class WorkflowType(StrEnum):
    """Workflow types."""

    RESILIENCE_TEST = "ResilienceTest"
    ENVIRONMENT_LOCK = "EnvironmentLock"
    RECORDING_WINDOW = "RecordingWindow"
    CALLS_WINDOW = "CallsWindow"
    FAULT_WINDOW = "FaultWindow"
    RULES_WINDOW = "RulesWindow"
    LOAD_PAGE = "LoadPage"
    PAIRS_WINDOW = "PairsWindow"
    SWEEPER = "Sweeper"


class SearchAttribute(StrEnum):
    """Search attributes, all of the keyword kind. Only `ResilienceTest` sets them."""

    PLAN = "HoldfastPlan"
    NAMESPACE = "HoldfastNamespace"
    PHASE = "HoldfastPhase"
    VERDICT = "HoldfastVerdict"
    RECOVERY = "HoldfastRecovery"


STATUS_QUERY = "status"
PAUSE_UPDATE = "pause"
RESUME_UPDATE = "resume"
ABORT_UPDATE = "abort"
WINDOW_SIGNAL = "window_changed"
PAUSE_SIGNAL = "pause"
RESUME_SIGNAL = "resume"
RELEASE_SIGNAL = "release"

MEMO_HOLDER = "holder"
"""Memo key of a lock: who holds it, a `LockHolder`."""

SWEEPER_SCHEDULE_ID = "holdfast-sweeper"
SWEEPER_WORKFLOW_ID = "holdfast-sweeper"


def run_workflow_id(plan_name: str) -> str:
    """The id under which `starter.py` starts runs of a plan."""
    return f"resilience-test/{plan_name}"


def lock_workflow_id(environment: str, namespace: str) -> str:
    """The id that is the lock: the server refuses a second workflow under it."""
    return f"environment/{environment}/{namespace}"


def lock_of(execution: Execution) -> str:
    """The lock that a run takes. Its environment was computed from addresses by the worker that made its record."""
    return lock_workflow_id(execution.environment, execution.namespace)


def recording_workflow_id(execution: Execution) -> str:
    """The recording window of a run."""
    return f"recording/{execution.execution_id}"


def calls_workflow_id(execution: Execution) -> str:
    """The window of a run that records which calls failures cause."""
    return f"calls/{execution.execution_id}"


def fault_workflow_id(execution: Execution, service: str, discovery_round: int = 1) -> str:
    """The fault window of one service of a run; in a later round of discovery, a further one."""
    later = f"/{discovery_round}" if discovery_round > 1 else ""
    return f"fault/{execution.execution_id}/{service}{later}"


def rules_workflow_id(execution: Execution) -> str:
    """The rules window of a run."""
    return f"rules/{execution.execution_id}"


def page_workflow_id(execution: Execution, page: int) -> str:
    """One page of a run's load test."""
    return f"load/{execution.execution_id}/{page}"


def pairs_workflow_id(execution: Execution, page: int) -> str:
    """One page of the pairs that a run verifies with two real faults."""
    return f"pairs/{execution.execution_id}/{page}"


def pair_fault_workflow_id(execution: Execution, case_index: int, service: str) -> str:
    """The window of one of the two real faults of a pair."""
    return f"pair/{execution.execution_id}/{case_index}/{service}"


_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """A non-negative number in base 36, as it appears in names at the peers.

    Raises:
        ValueError: for a negative number, whose digits would never end.
    """
    if number < 0:
        raise ValueError("a number below 0 has no name at the peers")
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _BASE36[rest] + digits
    return digits or "0"


_RECORD_DIGITS = 11
"""In base 36 the largest id, 2**53 - 1, has so many."""


def record_id(execution_id: int) -> str:
    """The rules' record id at the proxy. All have one length, so none is a prefix of another one's sessions."""
    return f"hf{base36(execution_id):0>{_RECORD_DIGITS}}x"


def fault_name(execution_id: int, service: str, window_run_id: str, attempt: int) -> str:
    """A fault's name at the fault service, used once ever: at most 63 characters, starting with a letter.

    The window's run id makes it new after a reset, the attempt after a retry: a name used twice would be deleted by
    the first one's TTL timer (`peer-contract` section 2.5). The last hex digits are taken because run ids are UUIDs of
    version 7, whose first digits are the time and equal for all windows of the same minute. A service's own fault is
    attempt 1; the attempt of a pair's fault is the index of its case, which is never below 3.
    """
    head = f"hf-{base36(execution_id)}-"
    tail = f"-{window_run_id.replace('-', '')[-8:]}-{attempt}"
    return head + service[: 63 - len(head) - len(tail)].strip("-") + tail


FAULT_PREFIX = "hf-"
"""Every fault of Holdfast at a fault service begins so."""

_FAULT = re.compile(r"hf-([0-9a-z]{1,11})-(.*)-[0-9a-f]{8}-[0-9]+")
_RULES_SESSION = re.compile(r"(hf([0-9a-z]{1,11})x)-.+")


class NamedFault(Contract):
    """What a fault's name tells."""

    execution_id: int
    service: str
    """Its name, perhaps cut."""

    def is_in(self, service: str) -> bool:
        """Whether this service may be meant."""
        return service == self.service or (len(self.service) >= _KEPT and service.startswith(self.service))


_KEPT = 32
"""Characters of a service's name that `fault_name` always keeps: attempts have at most six digits."""


def named_fault(name: str) -> NamedFault | None:
    """What a name tells that `fault_name` has made; None for others."""
    match = _FAULT.fullmatch(name)
    return NamedFault(execution_id=int(match[1], 36), service=match[2]) if match else None


def record_of_session(session_id: str) -> tuple[str, int] | None:
    """Record id and execution of a session of our rules at the proxy; None for recordings, and sessions of others."""
    match = _RULES_SESSION.fullmatch(session_id)
    return (match[1], int(match[2], 36)) if match else None

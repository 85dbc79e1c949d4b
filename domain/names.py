"""Names that other programs rely on.

Workflow types and ids, task queues, search attributes, queries, updates and signals. None of these literals appears
anywhere else.
"""

from __future__ import annotations

import re
from enum import StrEnum

from domain.base import Contract
from domain.executions.execution import Execution

TASK_QUEUE = "holdfast"
"""Task queue for control: workflows and their short activities. Load has its own: recovery never waits behind it."""

LOAD_QUEUE_SUFFIX = "-load"


def load_queue(task_queue: str) -> str:
    """Return the load generation queue of a control queue: `holdfast-load`."""
    return task_queue + LOAD_QUEUE_SUFFIX


class WorkflowType(StrEnum):
    """Temporal workflow types."""

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
    """Search attributes, all of type keyword. Only the workflow of an execution sets them."""

    KIND = "HoldfastKind"
    PLAN = "HoldfastPlan"
    NAMESPACE = "HoldfastNamespace"
    TEAM = "HoldfastTeam"
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
"""Memo key of a lock. Its value is a `LockHolder`: the run that holds the lock."""

SWEEPER_SCHEDULE_ID = "holdfast-sweeper"
SWEEPER_WORKFLOW_ID = "holdfast-sweeper"


SCHEDULED_BY = "TemporalScheduledById"
"""Search attribute of Temporal's own: the schedule that started a workflow."""

MEMO_TIMES = "times"
"""Memo key of runs that a schedule starts. Its value says when it does, in words: the server drops cron expressions."""


def lock_workflow_id(environment: str, namespace: str) -> str:
    """Return the workflow id that serves as the lock.

    It is a lock because the server refuses a second workflow with the same id.
    """
    return f"environment/{environment}/{namespace}"


def lock_of(execution: Execution) -> str:
    """Return the id of the lock that a run takes.

    Its environment was computed from addresses, by the worker that created the run's record.
    """
    return lock_workflow_id(execution.environment, execution.namespace)


def recording_workflow_id(execution: Execution) -> str:
    """Return the id of a run's recording window."""
    return f"recording/{execution.execution_id}"


def calls_workflow_id(execution: Execution) -> str:
    """Return the id of a run's window that records fallback calls."""
    return f"calls/{execution.execution_id}"


def fault_workflow_id(execution: Execution, service: str, discovery_round: int = 1) -> str:
    """Return the id of a service's fault window in a run.

    Each later round of discovery has a further window.
    """
    later = f"/{discovery_round}" if discovery_round > 1 else ""
    return f"fault/{execution.execution_id}/{service}{later}"


def rules_workflow_id(execution: Execution) -> str:
    """Return the id of a run's rules window."""
    return f"rules/{execution.execution_id}"


def page_workflow_id(execution: Execution, page: int) -> str:
    """Return the id of a page of a run's load test."""
    return f"load/{execution.execution_id}/{page}"


def pairs_workflow_id(execution: Execution, page: int) -> str:
    """Return the id of a page of pairs with two real faults."""
    return f"pairs/{execution.execution_id}/{page}"


def pair_fault_workflow_id(execution: Execution, case_index: int, service: str) -> str:
    """Return the id of the window for one fault of a pair."""
    return f"pair/{execution.execution_id}/{case_index}/{service}"


_OF_EXECUTION = re.compile(r"(?:recording|calls|fault|rules|load|pairs|pair)/([0-9]{1,16})(?:/.*)?", re.DOTALL)


def execution_in(workflow_id: str) -> int | None:
    """Return the execution that the id of a window or a page names. None for all other workflow ids."""
    found = _OF_EXECUTION.fullmatch(workflow_id)
    return int(found[1]) if found else None


_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """Convert a non-negative number to base 36, for names at the peers.

    Raises:
        ValueError: the number is negative; its conversion would never end.
    """
    if number < 0:
        raise ValueError("a number below 0 has no name at the peers")
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _BASE36[rest] + digits
    return digits or "0"


_RECORD_DIGITS = 11
"""Number of base 36 digits in the largest id, 2**53 - 1."""


def record_id(execution_id: int) -> str:
    """Return the record id of a run's rules at the proxy.

    All record ids have the same length, so that none is a prefix of the session ids of another run.
    """
    return f"hf{base36(execution_id):0>{_RECORD_DIGITS}}x"


def fault_name(execution_id: int, service: str, window_run_id: str, attempt: int) -> str:
    """Return a fault's name at the fault service, never used again.

    It has at most 63 characters and starts with a letter. The window's run id and the attempt make it unique, even
    after a reset: if a name were used twice, the TTL timer of the first fault would delete the second one
    (`peer-contract` section 2.5). The attempt of a service's own fault is the round of discovery (1 in the first one).
    The attempt of a pair's fault is the index of its case, which is never below 3.
    """
    head = f"hf-{base36(execution_id)}-"
    # Take the last digits: run ids are version 7 UUIDs, whose first digits are the time, and are equal for all windows
    # of the same minute.
    tail = f"-{window_run_id.replace('-', '')[-8:]}-{attempt}"
    return head + service[: 63 - len(head) - len(tail)].strip("-") + tail


FAULT_PREFIX = "hf-"
"""Prefix of every Holdfast fault at a fault service."""

_FAULT = re.compile(r"hf-([0-9a-z]{1,11})-(.*)-[0-9a-f]{8}-[0-9]+")
_RULES_SESSION = re.compile(r"(hf([0-9a-z]{1,11})x)-.+")


class NamedFault(Contract):
    """The parts of a fault's name."""

    execution_id: int
    service: str
    """Name of the service, possibly truncated."""

    def is_in(self, service: str) -> bool:
        """Whether the name may refer to this service."""
        return service == self.service or (len(self.service) >= _KEPT and service.startswith(self.service))


_KEPT = 32
"""Characters of a service's name that `fault_name` always keeps. Attempts have at most six digits."""


def named_fault(name: str) -> NamedFault | None:
    """Parse a name made by `fault_name`. None for any other name."""
    match = _FAULT.fullmatch(name)
    return NamedFault(execution_id=int(match[1], 36), service=match[2]) if match else None


def record_of_session(session_id: str) -> tuple[str, int] | None:
    """Return record id and execution id of a session of our rules.

    Sessions are the proxy's. None for recordings and for sessions of others.
    """
    match = _RULES_SESSION.fullmatch(session_id)
    return (match[1], int(match[2], 36)) if match else None

"""The connection to Temporal, by Temporal's standard client configuration.

That is the `TEMPORAL_*` variables or the TOML profile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from datetime import timedelta
from typing import Any, cast

from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, Interceptor, WorkflowHandle
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from clients.telemetry.tracing import current_spans
from clients.temporal.payloads import command_converter, data_converter
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import LockReport
from domain.names import SearchAttribute, WorkflowType

DEFAULT_ADDRESS = "127.0.0.1:7233"
CONNECT_TIMEOUT = 10.0
"""Timeout for connecting, in seconds."""

CONNECT_AGAIN = 1.0
"""Pause between two attempts to connect, in seconds."""

logger = logging.getLogger("holdfast.temporal")


def _configuration() -> dict[str, Any]:
    try:
        return dict(ClientConfig.load_client_connect_config())
    except (ValueError, RuntimeError, OSError) as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR, f"the Temporal client configuration cannot be used: {error}"
        ) from error


_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::([0-9]{1,5}))?")
_LARGEST_PORT = 65_535


def _require_address(address: str) -> None:
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[2] or 1) not in range(1, _LARGEST_PORT + 1):
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"the Temporal server's address {address[:100]!r} cannot be used",
            hint="set TEMPORAL_ADDRESS to host:port, like 127.0.0.1:7233 or [::1]:7233, without http://",
        )


async def connect(address: str | None = None, *, for_command: bool = False) -> Client:
    """Connect as configured, or to the embedded server at an address.

    With an address, the configuration is ignored. With `for_command`, missing or unusable keys are an error only where
    they are needed (`clients/temporal/payloads.py`).

    Raises:
        HoldfastError: PEER_UNREACHABLE when no server answers; VALIDATION_ERROR for a broken configuration.
    """
    configuration = {"target_host": address} if address else _configuration()
    address = configuration.setdefault("target_host", DEFAULT_ADDRESS)
    _require_address(address)
    converter = (command_converter if for_command else data_converter)(os.environ)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await Client.connect(
                **configuration,
                data_converter=converter,
                interceptors=_interceptors(),
            )
    except (RuntimeError, RPCError, TimeoutError, ValueError) as error:
        raise HoldfastError(
            ErrorCode.PEER_UNREACHABLE,
            f"no Temporal server answers at {address}",
            hint="start one with `holdfast server`, or set TEMPORAL_ADDRESS",
        ) from error


def _interceptors() -> list[Interceptor]:
    if current_spans() is None:
        return []
    from clients.temporal.tracing import TracingInterceptor  # noqa: PLC0415 - most processes do not trace

    return [TracingInterceptor()]


async def connect_patiently(patience: timedelta) -> Client:
    """Connect as configured, to a server that may still be starting.

    Raises:
        HoldfastError: as `connect`; PEER_UNREACHABLE only after `patience`.
    """
    end = asyncio.get_running_loop().time() + patience.total_seconds()
    logged = False
    while True:
        try:
            return await connect()
        except HoldfastError as error:
            if error.code is not ErrorCode.PEER_UNREACHABLE or asyncio.get_running_loop().time() > end:
                raise
            if not logged:
                again = f"trying again for {patience.total_seconds():.0f} s"
                logger.warning("%s: %s. %s", error.message, again, error.hint)
            logged = True
        await asyncio.sleep(CONNECT_AGAIN)


def server_error(error: RPCError) -> HoldfastError:
    """Translate the server's refusal or silence into an error for users."""
    text = error.message.strip().rstrip(".") or error.status.name
    match error.status:
        case RPCStatusCode.NOT_FOUND if "amespace" in text:
            return HoldfastError(
                ErrorCode.VALIDATION_ERROR, f"the Temporal server reports: {text}", hint="check TEMPORAL_NAMESPACE"
            )
        case RPCStatusCode.NOT_FOUND:
            return HoldfastError(ErrorCode.NOT_FOUND, f"the Temporal server reports: {text}")
        case RPCStatusCode.UNAUTHENTICATED | RPCStatusCode.PERMISSION_DENIED:
            return HoldfastError(
                ErrorCode.PEER_REJECTED,
                f"the Temporal server refuses access: {text}",
                hint="check TEMPORAL_API_KEY, the TLS settings and TEMPORAL_NAMESPACE",
            )
        case RPCStatusCode.INVALID_ARGUMENT | RPCStatusCode.FAILED_PRECONDITION:
            return HoldfastError(ErrorCode.PEER_REJECTED, f"the Temporal server refuses the request: {text}")
        case _:
            return HoldfastError(
                ErrorCode.PEER_UNREACHABLE, f"the Temporal server does not answer: {error.status.name}: {text}"
            )


async def ensure_search_attributes(client: Client, *, again: bool = True) -> frozenset[SearchAttribute]:
    """Register missing search attributes; return those that the server has afterwards.

    `again`: whether to look once more if somebody else registers some at the same time.

    Runs must not set any other: a workflow that sets an unregistered search attribute hangs.
    """
    missing = list(SearchAttribute)
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = [name for name in SearchAttribute if name not in listed.custom_attributes]
        if missing:
            keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace, search_attributes=dict.fromkeys(missing, keyword)
                )
            )
    except RPCError as error:
        if again and error.status is RPCStatusCode.ALREADY_EXISTS:
            # Another worker, perhaps of another version, has just added some of them.
            return await ensure_search_attributes(client, again=False)
        logger.warning(
            "runs go without search attributes that the server does not have (%s). To add them: temporal operator "
            "search-attribute create --namespace %s %s",
            error.status.name,
            client.namespace,
            " ".join(f"--name {name} --type Keyword" for name in missing),
        )
        return frozenset(SearchAttribute) - frozenset(missing)
    return frozenset(SearchAttribute)


async def require_polling(client: Client, task_queue: str, kind: TaskQueueType.ValueType) -> None:
    """Check that this very client polls a queue.

    Raises:
        HoldfastError: PEER_UNREACHABLE.
        RPCError: the server does not answer.
    """
    if client.identity not in await _pollers(client, task_queue, kind):
        raise HoldfastError(ErrorCode.PEER_UNREACHABLE, f"this worker does not poll {task_queue}")


async def has_pollers(client: Client, task_queue: str) -> bool:
    """Check whether any worker polls for workflow tasks on this queue."""
    return bool(await _pollers(client, task_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW))


async def _pollers(client: Client, task_queue: str, kind: TaskQueueType.ValueType) -> set[str]:
    """Return the identities of the workers that have polled a queue in the last minutes."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
        )
    )
    return {poller.identity for poller in answer.pollers}


async def lock_of_run(client: Client, workflow_id: str, run_id: str | None) -> WorkflowHandle[Any, LockReport] | None:
    """Return the lock that a run started last; None without any.

    The lock is read from the run's own history. A run that had to wait for a run with a different lock has started
    earlier lock workflows, but those never opened.
    """
    run = client.get_workflow_handle(workflow_id, run_id=run_id)
    lock = None
    async for event in run.fetch_history_events():
        child = event.child_workflow_execution_started_event_attributes
        if child.workflow_type.name == WorkflowType.ENVIRONMENT_LOCK:
            lock = child.workflow_execution
        elif child.workflow_type.name:
            # Other windows start only after the lock. Stop here: histories are long, and the rest holds no lock.
            break
    if lock is None:
        return None
    handle = client.get_workflow_handle(lock.workflow_id, run_id=lock.run_id, result_type=LockReport)
    return cast("WorkflowHandle[Any, LockReport]", handle)

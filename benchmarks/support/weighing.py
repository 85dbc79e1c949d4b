"""Measures what a run leaves in Temporal: events, bytes and payloads of each of its workflows, read from the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle

Run = WorkflowHandle[Any, Any]

MOST_EVENTS = 10_000
"""Most events of one workflow. The server warns slightly above this."""

LARGEST_PAYLOAD = 256 * 1024
"""Largest payload, in bytes. The server and the SDK warn at twice this size."""


@dataclass(frozen=True)
class Weight:
    """Size of one workflow's history."""

    kind: str
    workflow_id: str
    events: int
    size: int
    """Total size of the events, in bytes."""
    largest_payload: int
    """Size of the largest payload, in bytes."""


async def history_weights(client: Client, run: Run, kind: str = "ResilienceTest") -> AsyncIterator[Weight]:
    """Yield the weight of a run, and of every workflow that it started, directly or indirectly."""
    events, size, largest = 0, 0, 0
    children: list[tuple[str, Run]] = []
    async for event in run.fetch_history_events():
        events += 1
        size += event.ByteSize()
        largest = max([largest, *(payload.ByteSize() for payload in payloads_in(event))])
        started = event.child_workflow_execution_started_event_attributes
        if started.workflow_execution.workflow_id:
            child = started.workflow_execution
            handle = client.get_workflow_handle(child.workflow_id, run_id=child.run_id)
            children.append((started.workflow_type.name, handle))
    yield Weight(kind, run.id, events, size, largest)
    for child_kind, handle in children:
        async for weight in history_weights(client, handle, child_kind):
            yield weight


def payloads_in(message: Message) -> Iterator[Payload]:
    """Yield every payload in an event, at any depth."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = [nested for nested in value.values() if isinstance(nested, Message)]
        else:
            inner = list(value) if field.is_repeated else [value]
        for nested in inner:
            yield from payloads_in(nested)

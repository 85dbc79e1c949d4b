"""What is read from Temporal as a worker should read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import DataConverter


class _WithoutReferences(DataConverter):
    """Takes a payload that says to lie in an external storage for what it is: one that nobody here can read.

    The SDK raises for it before any workflow is asked, and the server repeats the task for ever: one such signal would
    keep a window from closing. Handed on, it is refused like any other payload that cannot be decoded.
    """

    async def _external_retrieve_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


def without_references(client: Client) -> Client:
    """The same connection for a worker, safe from references to external storage, which Holdfast never writes."""
    configuration = client.config()
    given = client.data_converter
    configuration["data_converter"] = _WithoutReferences(
        **{field.name: getattr(given, field.name) for field in dataclasses.fields(given) if field.init}
    )
    return Client(**configuration)

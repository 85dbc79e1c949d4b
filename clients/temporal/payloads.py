"""A worker's safe way to read payloads from Temporal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import DataConverter


class _WithoutReferences(DataConverter):
    """A converter that does not resolve references to external storage."""

    async def _external_retrieve_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        # The SDK would raise before any workflow sees the payload, and the server would retry the task forever: one
        # such signal would keep a window from closing. Passed on as it is, the payload is refused like any other that
        # cannot be decoded.
        return list(payloads)


def without_references(client: Client) -> Client:
    """Return the same connection for a worker, safe from external references.

    Those are references to payloads in external storage, which Holdfast never writes.
    """
    configuration = client.config()
    converter = client.data_converter
    configuration["data_converter"] = _WithoutReferences(
        **{field.name: getattr(converter, field.name) for field in dataclasses.fields(converter) if field.init}
    )
    return Client(**configuration)

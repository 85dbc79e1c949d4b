"""How payloads are turned into what Temporal keeps, and read again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from clients.temporal.payload_keys import ENCODING, KEY_ID, KEYS, PayloadKeys, payload_keys
from domain.errors import ErrorCode, HoldfastError


def data_converter(environ: Mapping[str, str]) -> DataConverter:
    """Return the converter of this process, which encrypts if there are keys.

    Raises:
        HoldfastError: VALIDATION_ERROR for keys that cannot be used, or without what encrypts.
    """
    keys = payload_keys(environ)
    return _with_codec(encryption_codec(keys)) if keys.by_id else pydantic_data_converter


def command_converter(environ: Mapping[str, str]) -> DataConverter:
    """Return the converter of a command.

    It never raises here: what ends runs and switches things off needs no payload. What needs a key that is missing, or
    the keys at all where they cannot be used, raises VALIDATION_ERROR when it is needed.
    """
    try:
        keys = payload_keys(environ)
        return _with_codec(_CommandCodec(encryption_codec(keys) if keys.by_id else None, None))
    except HoldfastError as error:
        return _with_codec(_CommandCodec(None, error))


def _with_codec(codec: PayloadCodec) -> DataConverter:
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def encryption_codec(keys: PayloadKeys) -> PayloadCodec:
    """Return what encrypts with these keys.

    Raises:
        HoldfastError: VALIDATION_ERROR when it is not installed.
    """
    try:
        from clients.temporal.encryption import EncryptionCodec  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"{KEYS} is set, but the package that encrypts is not installed",
            hint="pip install 'holdfast[encryption]'",
        ) from error
    return EncryptionCodec(keys)


class _CommandCodec(PayloadCodec):
    def __init__(self, inner: PayloadCodec | None, broken: HoldfastError | None) -> None:
        """Take what encrypts, if there are keys, and why the keys cannot be used, if they cannot."""
        self._inner = inner
        self._broken = broken

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if self._broken:
            # Never in clear, where somebody wanted it encrypted.
            raise self._broken
        return await self._inner.encode(payloads) if self._inner else list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        found = await self._inner.decode(payloads) if self._inner else list(payloads)
        for payload in found:
            if payload.metadata.get("encoding") == ENCODING and self._broken:
                raise self._broken
            if payload.metadata.get("encoding") == ENCODING:
                key = payload.metadata.get(KEY_ID, b"").decode(errors="replace")[:64]
                raise HoldfastError(
                    ErrorCode.VALIDATION_ERROR,
                    f"what the Temporal server has of this is encrypted with the key {key!r}, which is not here",
                    hint=f"set {KEYS} as it is where the worker runs",
                )
        return found


class _WithoutReferences(DataConverter):
    """A converter that does not resolve references to external storage."""

    async def _decode_reference_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        # As below, for references that a codec has encoded: these have a marker in their metadata.
        return list(payloads)

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

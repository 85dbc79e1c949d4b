"""Encryption of everything that Temporal keeps for us: inputs, results, signals, memos, summaries, texts of errors.

Not encrypted are the names by which Temporal works: workflow ids, types, task queues, search attributes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from clients.temporal.payload_keys import ENCODING, KEY_ID, PayloadKeys

_NONCE_BYTES = 12
"""Length of a nonce, by NIST SP 800-38D. Drawn at random, so a key must not encrypt more than 2^32 payloads."""


class EncryptionCodec(PayloadCodec):
    """Encrypts payloads with AES-256-GCM, and decrypts those of every key that it has.

    Payloads that are not encrypted pass unchanged: runs that began before there were keys go on.
    """

    def __init__(self, keys: PayloadKeys) -> None:
        self._newest = keys.newest
        self._ciphers = {name: AESGCM(key) for name, key in keys.by_id.items()}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt payloads with the newest key."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what these keys can decrypt.

        Anything else passes as it is. A worker then refuses it like all input that it cannot read: an error from here
        would be repeated for ever, and anybody could keep a window from closing with one such signal.
        """
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        if self._newest is None:
            return payload
        name, nonce = self._newest.encode(), os.urandom(_NONCE_BYTES)
        data = nonce + self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), name)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: name}, data=data)

    def _decrypted(self, payload: Payload) -> Payload:
        name = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(name.decode(errors="replace"))
        if payload.metadata.get("encoding") != ENCODING or cipher is None:
            return payload
        nonce, data = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, data, name))
        except Exception:  # a wrong tag, a nonce that is too short, or whatever else a holder of the key has encrypted
            return payload

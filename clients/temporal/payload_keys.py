"""The keys that payloads are encrypted with, from the environment or a file."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clients.secrets.values import DEFAULT_FOLDER, FOLDER
from domain.errors import ErrorCode, HoldfastError

KEYS = "HOLDFAST_PAYLOAD_KEYS"
"""Setting: keys, separated by commas or spaces, each `id:base64 of 32 bytes`. The first one encrypts, all decrypt.

With the word `plain` first, nothing is encrypted yet, and all decrypt.
"""
KEYS_FILE = "HOLDFAST_PAYLOAD_KEYS_FILE"
"""Setting: a file with the same content, instead."""

PLAIN = "plain"
"""First word of the setting, while not every process has the keys yet."""

ENCODING = b"binary/encrypted"
"""Encoding of an encrypted payload, as in Temporal's examples."""
KEY_ID = "encryption-key-id"
"""Metadata of an encrypted payload: the id of its key."""

KEY_BYTES = 32
"""Length of a key: AES-256."""

_LARGEST_FILE = 64 * 1024
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HINT = "write id:key, such as 2026b:$(openssl rand -base64 32), the newest first"


@dataclass(frozen=True)
class PayloadKeys:
    """Keys by their ids, the newest first."""

    by_id: dict[str, bytes] = field(default_factory=dict, repr=False)
    only_decrypt: bool = False

    @property
    def newest(self) -> str | None:
        """The id of the key that encrypts. None: nothing is encrypted."""
        return None if self.only_decrypt else next(iter(self.by_id), None)


def payload_keys(environ: Mapping[str, str]) -> PayloadKeys:
    """Read the keys. There are none by default.

    Raises:
        HoldfastError: VALIDATION_ERROR. It never quotes a key.
    """
    written, path = environ.get(KEYS, "").strip(), environ.get(KEYS_FILE, "").strip()
    if written and path:
        raise _wrong(KEYS, f"and {KEYS_FILE} are both set", "set one of them")
    if path:
        folder = Path(environ.get(FOLDER) or DEFAULT_FOLDER)
        if Path(path).resolve().is_relative_to(folder.resolve()):
            raise _wrong(KEYS_FILE, f"names a file in {folder}, whose files plans may name", "put it somewhere else")
        return _parsed(_content(path), KEYS_FILE)
    return _parsed(written, KEYS)


def _content(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise _wrong(KEYS_FILE, f"names a file that cannot be read: {error.strerror}", "is it mounted here?") from error
    if len(content) > _LARGEST_FILE or not content.strip():
        raise _wrong(KEYS_FILE, f"names a file that is empty or larger than {_LARGEST_FILE} bytes", _HINT)
    return content.decode(errors="replace")


def _parsed(text: str, setting: str) -> PayloadKeys:
    found: dict[str, bytes] = {}
    entries = text.replace(",", " ").split()
    only_decrypt = entries[:1] == [PLAIN]
    for number, entry in enumerate(entries[only_decrypt:], 1):
        # Errors name a key by its number: what stands in the place of its id may be the key itself.
        name, colon, encoded = entry.partition(":")
        if not colon or not _ID.fullmatch(name):
            raise _wrong(setting, f"has no id before its key number {number}", _HINT)
        if name in found:
            raise _wrong(setting, f"has the id of its key number {number} twice", "give each an id of its own")
        found[name] = _key(setting, number, encoded)
    return PayloadKeys(found, only_decrypt)


def _key(setting: str, number: int, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(setting, f"has a key number {number} that is not base64", _HINT) from None
    if len(key) != KEY_BYTES:
        raise _wrong(setting, f"has a key number {number} of {len(key)} bytes instead of {KEY_BYTES}", _HINT)
    return key


def _wrong(setting: str, what: str, hint: str) -> HoldfastError:
    return HoldfastError(ErrorCode.VALIDATION_ERROR, f"environment variable {setting} {what}", hint=hint)

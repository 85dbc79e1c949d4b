"""Encryption of payloads: what is unreadable without the key, and which keys are refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from clients.temporal.encryption import EncryptionCodec
from clients.temporal.payload_keys import ENCODING, KEY_ID, PayloadKeys, payload_keys
from clients.temporal.payloads import command_converter, data_converter
from domain.errors import ErrorCode, HoldfastError

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
SECRET = b'{"plan": "known words"}'
PLAIN = Payload(metadata={"encoding": b"json/plain", "messageType": b"known type"}, data=SECRET)


def written(**keys: bytes) -> dict[str, str]:
    return {"HOLDFAST_PAYLOAD_KEYS": ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items())}


def codec(**keys: bytes) -> EncryptionCodec:
    return EncryptionCodec(PayloadKeys(keys))


async def test_nothing_of_a_payload_is_readable_and_all_of_it_comes_back() -> None:
    [encrypted] = await codec(new=NEW).encode([PLAIN])
    assert encrypted.metadata == {"encoding": ENCODING, KEY_ID: b"new"}
    assert b"known" not in encrypted.SerializeToString()
    assert await codec(new=NEW).decode([encrypted]) == [PLAIN]


async def test_equal_payloads_are_encrypted_differently() -> None:
    first, second = await codec(new=NEW).encode([PLAIN, PLAIN])
    assert first.data != second.data


async def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    [before] = await codec(old=OLD).encode([PLAIN])
    rotated = codec(new=NEW, old=OLD)
    assert await rotated.decode([before]) == [PLAIN]
    [after] = await rotated.encode([PLAIN])
    assert after.metadata[KEY_ID] == b"new"
    # Payloads from before there were keys.
    assert await rotated.decode([PLAIN]) == [PLAIN]


@pytest.mark.parametrize("changed", ["no key", "byte", "name", "short", "empty"])
async def test_what_cannot_be_decrypted_passes_unchanged(changed: str) -> None:
    """Never an error: the server would repeat the task for ever, and one such signal would keep a window open."""
    [payload] = await codec(new=NEW, old=NEW).encode([PLAIN])
    found = codec(old=NEW) if changed == "no key" else codec(new=NEW, old=NEW)
    if changed == "byte":
        payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
    elif changed == "name":
        payload.metadata[KEY_ID] = b"old"
    elif changed in ("short", "empty"):
        payload.data = payload.data[:8] if changed == "short" else b""
    assert await found.decode([payload]) == [payload]


async def test_a_command_without_the_key_names_it() -> None:
    [payload] = await codec(new=NEW).encode([PLAIN])
    for environ in ({}, written(old=OLD)):
        with pytest.raises(HoldfastError) as raised:
            await command_converter(environ).decode([payload])
        assert raised.value.code is ErrorCode.VALIDATION_ERROR
        assert "'new'" in raised.value.message
        assert "HOLDFAST_PAYLOAD_KEYS" in (raised.value.hint or "")


async def test_texts_of_errors_are_encrypted_too() -> None:
    from temporalio.api.failure.v1 import Failure  # noqa: PLC0415
    from temporalio.exceptions import ApplicationError  # noqa: PLC0415

    converter = data_converter(written(new=NEW))
    failure = Failure()
    await converter.encode_failure(ApplicationError("known words", type="CODE"), failure)
    assert b"known words" not in failure.SerializeToString()
    assert "known words" in str(await converter.decode_failure(failure))


def test_without_keys_nothing_is_encrypted() -> None:
    assert data_converter({}).payload_codec is None
    assert payload_keys({"HOLDFAST_PAYLOAD_KEYS": " "}).newest is None


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("\n".join(written(new=NEW, old=OLD)["HOLDFAST_PAYLOAD_KEYS"].split(",")) + "\n")
    found = payload_keys({"HOLDFAST_PAYLOAD_KEYS_FILE": str(file)})
    assert found.by_id == {"new": NEW, "old": OLD}
    assert found.newest == "new"
    assert repr(found) == "PayloadKeys(only_decrypt=False)"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (base64.b64encode(NEW).decode(), "no id before its key number 1"),
        (base64.b64encode(NEW + NEW[:1]).decode(), "no id before its key number 1"),
        (f"new:{base64.b64encode(NEW[:16]).decode()}", "a key number 1 of 16 bytes"),
        ("new:not base64", "a key number 1 that is not base64"),
        # Id and key the wrong way round.
        (f"{NEW.hex()}:2026b", "a key number 1 "),
        (f"a b:{base64.b64encode(NEW).decode()}", "no id before its key number 1"),
        (
            f"new:{base64.b64encode(NEW).decode()} new:{base64.b64encode(OLD).decode()}",
            "the id of its key number 2 twice",
        ),
    ],
)
def test_keys_that_cannot_be_used_are_refused_without_quoting_them(keys: str, words: str) -> None:
    with pytest.raises(HoldfastError) as raised:
        payload_keys({"HOLDFAST_PAYLOAD_KEYS": keys})
    assert raised.value.code is ErrorCode.VALIDATION_ERROR
    assert words in raised.value.message
    for key in (NEW, OLD):
        assert base64.b64encode(key).decode() not in str(raised.value)
        assert key.hex() not in str(raised.value)


@pytest.mark.parametrize("content", [None, b"", b"x" * 70_000])
def test_a_file_that_cannot_be_used_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HoldfastError, match="HOLDFAST_PAYLOAD_KEYS_FILE names a file"):
        payload_keys({"HOLDFAST_PAYLOAD_KEYS_FILE": str(file)})


async def test_with_the_word_plain_keys_only_decrypt() -> None:
    [encrypted] = await codec(new=NEW).encode([PLAIN])
    environ = {"HOLDFAST_PAYLOAD_KEYS": f"plain {written(new=NEW)['HOLDFAST_PAYLOAD_KEYS']}"}
    converter = data_converter(environ)
    assert converter.payload_codec is not None
    assert await converter.payload_codec.encode([PLAIN]) == [PLAIN]
    assert await converter.payload_codec.decode([encrypted]) == [PLAIN]


async def test_a_command_whose_keys_cannot_be_used_does_all_that_needs_none() -> None:
    """It ends runs and switches things off. What it would send in clear, or cannot read, is an error."""
    [encrypted] = await codec(new=NEW).encode([PLAIN])
    converter = command_converter({"HOLDFAST_PAYLOAD_KEYS": "new:short"})
    assert converter.payload_codec is not None
    assert await converter.payload_codec.decode([PLAIN]) == [PLAIN]
    for act, payload in ((converter.payload_codec.encode, PLAIN), (converter.payload_codec.decode, encrypted)):
        with pytest.raises(HoldfastError, match="HOLDFAST_PAYLOAD_KEYS has a key number 1"):
            await act([payload])


def test_a_file_that_plans_could_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(written(new=NEW)["HOLDFAST_PAYLOAD_KEYS"])
    environ = {"HOLDFAST_PAYLOAD_KEYS_FILE": str(file), "HOLDFAST_SECRETS_FOLDER": str(tmp_path)}
    with pytest.raises(HoldfastError, match="whose files plans may name"):
        payload_keys(environ)


def test_keys_in_two_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match="both set"):
        payload_keys(written(new=NEW) | {"HOLDFAST_PAYLOAD_KEYS_FILE": str(tmp_path)})

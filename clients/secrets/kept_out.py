"""Removal of secrets from the results of activities and from log lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from clients.secrets.values import Secrets

T = TypeVar("T")


def without_secrets(value: T, secrets: Secrets) -> T:
    """Return the value with secrets redacted in its sentences.

    A sentence is any text with a space: it may quote a peer. Names, ids and tokens have no space. They must stay
    unchanged even if they contain a secret's value, because faults and rules are switched off by them.
    """
    sentences = _sentences(value)
    # Search all sentences at once: nearly always there is nothing to replace.
    if not sentences or (whole := "\n\n".join(sentences)) == secrets.redact(whole):
        return value
    cleaned: T = _cleaned(value, secrets)
    return cleaned


def _sentences(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if " " in value else []
    if isinstance(value, BaseModel):
        return [text for name in type(value).model_fields for text in _sentences(getattr(value, name))]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _sentences(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _sentences(item)]
    return []


def _cleaned(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, str):
        return secrets.redact(value) if " " in value else value
    if isinstance(value, BaseModel):
        changed = {name: _cleaned(getattr(value, name), secrets) for name in type(value).model_fields}
        return value.model_copy(update=changed)
    if isinstance(value, dict):
        return {name: _cleaned(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, secrets) for item in value]
    if isinstance(value, tuple):
        cleaned = [_cleaned(item, secrets) for item in value]
        return type(value)(*cleaned) if hasattr(value, "_fields") else tuple(cleaned)
    return value


@runtime_checkable
class FormatsCleaned(Protocol):
    """A formatter whose output has a syntax that redaction of the whole would break."""

    def format_cleaned(self, record: logging.LogRecord, cleaned: Callable[[str], str]) -> str:
        """Format a record whose sentences pass through `cleaned`."""
        ...


class _Redacting(logging.Formatter):
    """Formatter that redacts another formatter's output, tracebacks included."""

    def __init__(self, inner: logging.Formatter, secrets: Secrets) -> None:
        super().__init__()
        self.inner = inner
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(self.inner, FormatsCleaned):
            return self.inner.format_cleaned(record, self._secrets.redact)
        return self._secrets.redact(self.inner.format(record))


@contextmanager
def kept_out_of_logs(secrets: Secrets) -> Iterator[None]:
    """Redact secrets in everything this process logs inside the block.

    Errors quote their input, which may hold a secret.
    """
    changed = [(handler, handler.formatter) for handler in logging.getLogger().handlers]
    for handler, formatter in changed:
        handler.setFormatter(_Redacting(formatter or logging.Formatter(), secrets))
    try:
        yield
    finally:
        for handler, formatter in changed:
            handler.setFormatter(formatter)

"""Secrets: named in plans, resolved at use, and removed from everything stored.

The worker decides which secrets plans may name. The check is made where a value is handed out, so nothing gets around
it. From then on, redactors know the value. They also know every token that a login returns.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import deque
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from clients.secrets.named_fields import REDACTED
from clients.secrets.paths import kept_path, path_on_the_wire
from clients.secrets.redaction import ALWAYS_REDACTED, KnownValues, Redactor
from clients.secrets.spellings import SHORTEST_SECRET
from domain.errors import ErrorCode, HoldfastError
from domain.plans.plan import Plan

__all__ = ["ALWAYS_REDACTED", "REDACTED", "Redactor", "Secrets", "redactor_for"]

NAMES = "HOLDFAST_SECRETS"
"""Setting: variables plans may name, separated by commas or spaces.

`*` stands for any characters.
"""
FOLDER = "HOLDFAST_SECRETS_FOLDER"
"""Setting: the folder from which `${file:NAME}` is read."""
DEFAULT_NAMES = "HOLDFAST_SECRET_*"
DEFAULT_FOLDER = "/run/secrets/holdfast"
LARGEST_FILE = 65_536
"""Largest secret file, in bytes, as Kubernetes would mount it."""

_REFERENCE = re.compile(r"\$\{(env):([A-Za-z_][A-Za-z0-9_]*)\}|\$\{(file):([A-Za-z0-9_][A-Za-z0-9._-]{0,252})\}")
_OURS = ("HOLDFAST_", "TEMPORAL_", "OTEL_")
"""Prefixes of variables that configure the worker and its connection to Temporal.

No plan may name these, even if the list allows it. `HOLDFAST_SECRET_*` is the exception.
"""
_MOST_LEARNED = 1_000
_MOST_LEARNED_CHARACTERS = 4 * 1024 * 1024
"""Bounds on the tokens and file contents to remember for redaction.

A worker that runs for months sees many.
"""


class Secrets:
    """Secrets that plans may name, from the worker's environment and secrets folder."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the environment; variables and files are read at each use."""
        self._environ = environ
        allowed = environ.get(NAMES)
        self._allowed = (DEFAULT_NAMES if allowed is None else allowed).replace(",", " ").split()
        self._folder = Path(environ.get(FOLDER) or DEFAULT_FOLDER)
        self._learned: deque[str] = deque()
        self._named: dict[str, str] = {}
        self.known = KnownValues()
        """Every value that this worker has handed out or received."""
        self._redactor = Redactor([], self.known)

    def references(self, text: str) -> list[str]:
        """Find the references in a text, as written."""
        return [found[0] for found in _REFERENCE.finditer(text)]

    def resolve(self, text: str) -> str:
        """Replace references with their values, and remember the values for redaction.

        Raises:
            HoldfastError: SECRET_MISSING naming the variable or file.
        """
        return _REFERENCE.sub(self._value, text)

    def resolve_json(self, value: Any) -> Any:
        """Resolve every text in a JSON value."""
        if isinstance(value, str):
            return self.resolve(value)
        if isinstance(value, list):
            return [self.resolve_json(item) for item in value]
        if isinstance(value, dict):
            return {name: self.resolve_json(item) for name, item in value.items()}
        return value

    def learn(self, value: str) -> None:
        """Remember a value for redaction, such as the token of a login.

        Beyond the bounds, the oldest values are forgotten. A value that also comes from a variable stays known.
        """
        if value in self._learned:
            return
        self.known.add(value)
        self._learned.append(value)
        while len(self._learned) > _MOST_LEARNED or sum(map(len, self._learned)) > _MOST_LEARNED_CHARACTERS:
            oldest = self._learned.popleft()
            if not self._named.get(oldest, "file:").startswith("env:"):
                self._named.pop(oldest, None)
                self.known.forget(oldest)

    def know(self, text: str) -> None:
        """Remember the values of the references in a text, if they resolve."""
        for reference in self.references(text):
            try:
                self.resolve(reference)
            except HoldfastError:
                continue

    def redact(self, text: str) -> str:
        """Redact every known value, in any spelling.

        Use it for errors, which may quote a peer.
        """
        return self._redactor.text(text)

    def shown(self, text: str, longest: int) -> str:
        """Redact as `redact` does, then cut to `longest` characters.

        Redacting first removes a value at the cut as a whole.
        """
        return self._redactor.shown(text, longest)

    def kept_path(self, path: str) -> str:
        """Return a path for storing, with references instead of values."""
        named = {value: name for value, name in self._named.items() if len(value) >= SHORTEST_SECRET}
        return kept_path(path, named, self.known.finder)

    def path_on_the_wire(self, kept: str) -> str:
        """Restore a stored path to its form on the wire.

        Raises:
            HoldfastError: SECRET_MISSING; RULES_REJECTED for a secret without a name, such as a login's token.
        """
        return path_on_the_wire(kept, self.resolve)

    def _value(self, match: re.Match[str]) -> str:
        if match[1]:
            value = self._variable(match[2])
            self.known.add(value)
        else:
            value = self._file(match[4])
            self.learn(value)
        self._named.setdefault(value, match[0][2:-1])
        return value

    def _variable(self, name: str) -> str:
        if not self._may_name(name):
            # The same message whether or not the variable exists: otherwise plans could probe what the worker holds.
            raise HoldfastError(
                ErrorCode.SECRET_MISSING,
                f"plans may not name the environment variable {name}",
                hint=f"where the worker is started, list it in {NAMES} and set it",
            )
        found = self._environ.get(name)
        if found is None:
            raise HoldfastError(
                ErrorCode.SECRET_MISSING,
                f"the worker has no environment variable {name}",
                hint="set it where the worker is started",
            )
        return found

    def _may_name(self, name: str) -> bool:
        if name.upper().startswith(_OURS) and not name.startswith(DEFAULT_NAMES[:-1]):
            return False
        return any(fnmatchcase(name, pattern) for pattern in self._allowed)

    def _file(self, name: str) -> str:
        try:
            return _read(self._folder, name)
        except (OSError, ValueError) as error:
            raise HoldfastError(
                ErrorCode.SECRET_MISSING,
                f"the worker cannot read a secret from the file {name} in its folder of secrets",
                hint=f"a text file of at most {LARGEST_FILE // 1024} KiB in the folder that {FOLDER} names",
            ) from error


def _read(folder: Path, name: str) -> str:
    """Read a regular file in the folder, without the final line break.

    Symbolic links are followed as long as they stay inside the folder: Kubernetes mounts each file as a link to
    `..data/NAME`, and `..data` as a link to a folder beside it.
    """
    base = folder.resolve(strict=True)
    path = (base / name).resolve(strict=True)
    if not path.is_relative_to(base):
        raise ValueError("leads out of the folder")
    # `resolve` has followed the links, therefore follow none here. O_NONBLOCK: never wait for a pipe.
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise ValueError("is not a file")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError("is too large")
    text = content.decode()
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def redactor_for(plan: Plan, secrets: Secrets) -> Redactor:
    """Build the redactor of a plan.

    It redacts the fields that the plan's `redact` names, and every value known at each use. With a login, it also
    redacts the field that holds the token, by name: this worker does not know the tokens of other workers.
    """
    secrets.know(json.dumps(plan.request.model_dump(mode="json", by_alias=True)))
    login = plan.request.login
    fields = plan.redact if login is None else [*plan.redact, login.token.rpartition(".")[2]]
    return Redactor(fields, secrets.known)

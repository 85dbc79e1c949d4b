"""Secrets: named in plans, resolved at the moment of use, and removed from everything that is kept.

Which ones plans may name is the worker's to say, and is asked where a value is handed out: nobody gets around it. What
is handed out is known from that moment on to whatever redacts, and so is every token that a login gives.
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
"""Variables that plans may name, with commas or spaces between; `*` stands for any characters."""
FOLDER = "HOLDFAST_SECRETS_FOLDER"
"""The folder below which `${file:NAME}` is read."""
DEFAULT_NAMES = "HOLDFAST_SECRET_*"
DEFAULT_FOLDER = "/run/secrets/holdfast"
LARGEST_FILE = 65_536
"""Bytes of a secret in a file, as Kubernetes would mount it."""

_REFERENCE = re.compile(r"\$\{(env):([A-Za-z_][A-Za-z0-9_]*)\}|\$\{(file):([A-Za-z0-9_][A-Za-z0-9._-]{0,252})\}")
_OURS = ("HOLDFAST_", "TEMPORAL_")
"""Variables that configure the worker and its way to Temporal: no plan names them, whatever the list says."""
_MOST_LEARNED = 1_000
_MOST_LEARNED_CHARACTERS = 4 * 1024 * 1024
"""Tokens and files that are kept out of what is stored: a worker that runs for months is given many."""


class Secrets:
    """What plans may name of the worker's environment and of its folder of secrets."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the variables; they and the files are read at each use."""
        self._environ = environ
        allowed = environ.get(NAMES)
        self._allowed = (DEFAULT_NAMES if allowed is None else allowed).replace(",", " ").split()
        self._folder = Path(environ.get(FOLDER) or DEFAULT_FOLDER)
        self._learned: deque[str] = deque()
        self._named: dict[str, str] = {}
        self.known = KnownValues()
        """Every value that this worker has handed out or been given."""
        self._redactor = Redactor([], self.known)

    def references(self, text: str) -> list[str]:
        """The references in a text, as they are written."""
        return [found[0] for found in _REFERENCE.finditer(text)]

    def resolve(self, text: str) -> str:
        """Put the values in; from then on they are known.

        Raises:
            HoldfastError: SECRET_MISSING naming the variable or file.
        """
        return _REFERENCE.sub(self._value, text)

    def resolve_json(self, value: Any) -> Any:
        """Resolve every text in a JSON value."""
        if isinstance(value, str):
            return self.resolve(value)
        if isinstance(value, list):
            return [self.resolve_json(one) for one in value]
        if isinstance(value, dict):
            return {name: self.resolve_json(one) for name, one in value.items()}
        return value

    def learn(self, value: str) -> None:
        """Remember a value that no plan names, such as the token of a login; the oldest ones are forgotten."""
        if value in self._learned:
            return
        self.known.add(value)
        self._learned.append(value)
        while len(self._learned) > _MOST_LEARNED or sum(map(len, self._learned)) > _MOST_LEARNED_CHARACTERS:
            oldest = self._learned.popleft()
            if not self._named.pop(oldest, "file:").startswith("env:"):
                self.known.forget(oldest)

    def know(self, text: str) -> None:
        """Remember the values of the references in a text, those that can be had."""
        for reference in self.references(text):
            try:
                self.resolve(reference)
            except HoldfastError:
                continue

    def redact(self, text: str) -> str:
        """Without any value that is known, however it is spelt: for errors, which may quote a peer."""
        return self._redactor.text(text)

    def shown(self, text: str, longest: int) -> str:
        """The same, and then cut: a value at the cut is gone as a whole."""
        return self._redactor.shown(text, longest)

    def kept_path(self, path: str) -> str:
        """A path as it may be stored: references in the place of values."""
        named = {value: name for value, name in self._named.items() if len(value) >= SHORTEST_SECRET}
        return kept_path(path, named, self.known.finder)

    def path_on_the_wire(self, kept: str) -> str:
        """A stored path as it was: what a rule needs.

        Raises:
            HoldfastError: SECRET_MISSING; RULES_REJECTED for what has no name, such as a login's token.
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
            # The same words whether there is one: else plans could find out what the worker holds.
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
    """A regular file in the folder, or where its links lead as long as that is inside; without the last line's end.

    Kubernetes mounts each file as a link to `..data/NAME`, and `..data` as a link to a folder beside it.
    """
    base = folder.resolve(strict=True)
    path = (base / name).resolve(strict=True)
    if not path.is_relative_to(base):
        raise ValueError("leads out of the folder")
    # Links were followed above, and not once more here; a pipe must not be waited for.
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise ValueError("is no file")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError("is too large")
    text = content.decode()
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def redactor_for(plan: Plan, secrets: Secrets) -> Redactor:
    """A plan's redactor: its `redact` names, and every value that is known when it is used.

    Of a login also the field in which its token comes: tokens of other workers are not known here.
    """
    secrets.know(json.dumps(plan.request.model_dump(mode="json", by_alias=True)))
    login = plan.request.login
    fields = plan.redact if login is None else [*plan.redact, login.token.rpartition(".")[2]]
    return Redactor(fields, secrets.known)

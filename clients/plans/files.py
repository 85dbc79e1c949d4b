"""The reader of plan files (YAML or JSON), which silently loses nothing.

Every mistake is reported with its file and, where possible, its line and a hint. YAML is read by the rules of version
1.2: only `true` and `false` are booleans (not `on`, `yes`, `no`), dates and times are text, and duplicate keys are
errors. The result is plain JSON data, which `domain/plans/validation/validate.py` then validates.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import yaml

from clients.plans.yaml12 import PlanLoader
from domain.errors import ErrorCode, HoldfastError
from domain.plans.validation.wording import printable

LARGEST_FILE = 1_048_576
"""Maximum size of a file, in bytes."""

MOST_VALUES = 100_000
"""Maximum values in a document, with YAML aliases expanded.

Without this limit, a small file could expand without bound.
"""

_STDIN = "-"


class PlanFileError(HoldfastError):
    """A file that cannot be read as one document."""

    def __init__(
        self, file: str, message: str, *, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        where = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(ErrorCode.VALIDATION_ERROR, f"{where}: {printable(message)}", hint=hint)
        self.file = file
        self.line = line
        """Line, counted from 1; None if the error concerns the whole file."""
        self.column = column


class EmptyFileError(PlanFileError):
    """A file that is empty or contains only comments."""


def read_document(path: Path, hint: str) -> object:
    """Read the document in a file other than a plan.

    The limits of plans apply. An empty file yields None.

    Raises:
        HoldfastError: VALIDATION_ERROR as `read_plan_file`, but with `hint` instead of the hints for plans.
    """
    try:
        return read_plan_file(path)
    except EmptyFileError:
        return None
    except PlanFileError as error:
        raise HoldfastError(error.code, error.message, hint=hint) from error


def read_plan_file(path: Path) -> object:
    """Read the document in a plan file; `-` reads standard input.

    The format follows from the suffix, or else from how the text starts.

    Raises:
        PlanFileError: for anything that is not exactly one JSON or YAML document, with line and column if known.
    """
    file = "standard input" if str(path) == _STDIN else str(path)
    text = _read_text(path, file)
    if not text.strip():
        raise EmptyFileError(file, "the file is empty", hint="see examples/minimal.yaml")
    suffix = path.suffix.lower()
    if suffix == ".json":
        document = _json(text, file)
    elif suffix in (".yaml", ".yml") or not text.lstrip().startswith("{"):
        document = _yaml(text, file)
    else:
        document = _json_or_yaml(text, file)
    _refuse_expansion(document, file)
    return document


def _read_text(path: Path, file: str) -> str:
    try:
        raw = _standard_input() if str(path) == _STDIN else _first_bytes(path)
    except OSError as error:
        hint = "give the path of a YAML or JSON file, or - for standard input"
        raise PlanFileError(file, f"cannot be read: {error.strerror or error}", hint=hint) from error
    except ValueError as error:
        raise PlanFileError(repr(file), "is not a path") from error
    if len(raw) > LARGEST_FILE:
        raise PlanFileError(file, f"is larger than {LARGEST_FILE >> 20} MiB", hint="a plan is far smaller")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8, without any other encoding"
        raise PlanFileError(file, f"is not UTF-8 text at byte {error.start}", line=line, hint=hint) from error


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise OSError("it is closed")
    return sys.stdin.buffer.read(LARGEST_FILE + 1)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(LARGEST_FILE + 1)


class _DuplicateKeyError(Exception):
    """Two equal keys in one JSON object."""


class _ConstantError(Exception):
    """A number that JSON does not have, such as NaN."""


def _json(text: str, file: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
    except _DuplicateKeyError as error:
        _raise_duplicate(text, file, str(error))
    except _ConstantError as error:
        line, column = _line_and_column(text, text.find(str(error)))
        raise PlanFileError(file, f"{error} is not a valid number in JSON", line=line, column=column) from error
    except json.JSONDecodeError as error:
        hint = "a file with this name must hold JSON; YAML files end in .yaml" if file.lower().endswith(".json") else ""
        message = f"is not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise PlanFileError(file, message, line=error.lineno, column=error.colno, hint=hint) from error
    except (ValueError, RecursionError) as error:
        reason = "a number is too long" if isinstance(error, ValueError) else "it is nested too deeply"
        raise PlanFileError(file, f"is not JSON that can be read: {reason}") from error


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(next(name for name in names if names.count(name) > 1))
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _raise_duplicate(text: str, file: str, name: str) -> NoReturn:
    """Report a duplicate key, with its line and column if possible."""
    # The JSON reader reports no positions. The YAML reader does, and reads all but the oddest JSON.
    try:
        _yaml(text, file)
    except PlanFileError as error:
        if "twice" in error.message:
            raise
    raise PlanFileError(file, f"'{name[:80]}' is given twice in one object", hint="only one of the two would count")


def _json_or_yaml(text: str, file: str) -> object:
    """Read a text starting with a brace: JSON, or YAML's flow style."""
    try:
        return _json(text, file)
    except PlanFileError as json_error:
        try:
            return _yaml(text, file)
        except PlanFileError:
            raise json_error from None


_HINTS = {
    "cannot start any token": "indent with spaces, not tabs, and put values that begin with % @ ` in quotes",
    "mapping values are not allowed": "check the indentation; put a value with ': ' in it in quotes",
    "expected <block end>": "check the indentation: fields of one level begin in the same column",
    "could not find expected ':'": "a field is written name: value",
    "found undefined alias": "put a value that begins with * in quotes",
    "unconstructable recursive": "an alias must not be inside the value that it stands for",
}


def _yaml(text: str, file: str) -> object:
    try:
        documents = list(yaml.load_all(text, Loader=PlanLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        message = str(error.problem or error.context or "is not YAML")
        hint = next((hint for part, hint in _HINTS.items() if part in message), "")
        raise PlanFileError(file, message, line=line, column=column, hint=hint) from error
    except yaml.reader.ReaderError as error:
        line, column = _line_and_column(text, int(error.position))
        raise PlanFileError(file, "holds a control character", line=line, column=column) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else type(error).__name__
        raise PlanFileError(file, f"is not YAML that can be read: {reason}") from error
    if len(documents) > 1:
        raise PlanFileError(file, f"holds {len(documents)} documents, but must hold one", hint="remove the lines ---")
    if not documents or documents[0] is None:
        raise EmptyFileError(file, "the file is empty", hint="it has only comments; see examples/minimal.yaml")
    return documents[0]


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    """Return line and column of a position, counted from 1."""
    before = text[: max(position, 0)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _refuse_expansion(document: object, file: str) -> None:
    """Limit the number of values, with all aliases expanded."""
    count = 0
    waiting = [document]
    while waiting:
        value = waiting.pop()
        count += 1
        if count + len(waiting) > MOST_VALUES:
            hint = "an alias counts as the values that it stands for"
            raise PlanFileError(file, f"expands to more than {MOST_VALUES} values", hint=hint)
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value

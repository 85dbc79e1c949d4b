"""Random mutations of the texts and documents of real plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from clients.plans.files import read_plan_file
from tests.support.paths import EXAMPLES, PLANS

WRITTEN = sorted(path for folder in (EXAMPLES, PLANS) for path in folder.glob("*.yaml") if "topology" not in path.name)
EVERYTHING = PLANS / "everything.yaml"
ORIGINALS = st.sampled_from([EVERYTHING]) | st.sampled_from(WRITTEN)
"""Half of them have every field that exists."""

LAUGHS = "[&a [x,x,x,x,x,x,x,x,x], &b [*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b], [*c,*c,*c,*c,*c,*c,*c]]"
SNIPPETS = [
    "", " ", "\t", "\n", "\n\n", "\r", "\r\n", "\0", "\x01", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff",
    "\ufffe", "\U0010ffff", "\U0001f600", "ü", "\u202e", "٣s", "|", ">", "|-\n", ">+\n  ", "---\n", "\n---\n",
    "...\n", "%YAML 1.1\n", "%TAG ! tag:x,2000:\n", "# ", "?", "? ", "? [a]\n: ", "-", "- ", "- - - ", ":", ": ",
    "::", ",", "[", "]", "{", "}", "[" * 60, "{a: " * 60, "[" * 400, "'", '"', '"\\ud800"', '"\\x00"',
    '"\\U0010FFFF"', '"\\uZZ"', "''", '""', "!", "!!", "!x ", "!!str ", "!!binary aGk=",
    "!!python/object:os.system x", "!!python/object/apply:os.system [id]", "!!python/name:os.system", "!!set {a, b}",
    "!!timestamp 2024-01-01", "!!omap [a: 1]", "!<tag:yaml.org,2002:int> 3", "&", "&a ", "*", "*a", "*b", "&a [*a]",
    "&a {b: *a}", LAUGHS, "<<: *a", "<<: {a: 1}", "{<<: {a: 1}}", "=", "~", "null", "Null", "true", "True", "no",
    "on", "yes", "off", "2024-01-01", "2024-01-01T00:00:00Z", "12:30:45", "0", "-1", "1", "012", "0x1f", "0o17",
    "0b1", "1_000", "1.5", "1e3", "1e999", "-.inf", ".nan", "NaN", "Infinity", "9" * 30, "9" * 5_000, "1" + "0" * 400,
    "3s", "3 s", "-3s", "1e3s", "0s", "1%", "101%", "0%", "99999h", "${env:A}", "${env:", "${env:a-b}", "${A}",
    "$env:A", "http://", "http://[", "http://[::1", "http://127.0.0.1:99999", "http://a b/", "//x",
    "http://u:p@127.0.0.1/", "http://127.0.0.1/#?", "remove", "error", "{delay: 1ms}", "{remove: {containers: [a]}}",
    "GET", "POST", "HEAD", "get", "*+*", "cart+*", "+", "a+b+c", "baseline", "a" * 300, "../../etc/passwd", "name: x",
    "'on': 1", "1: 2", "null: 1", "true: 1", "[1]: 2", "{a: 1}: 2", "@", "`", "%", "\\", "\\n", "{}", "[]", "[[]]",
    "{a: {}}", "[{}]",
]  # fmt: skip
SCALARS = st.sampled_from(SNIPPETS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | SCALARS, inner, max_size=3),
    max_leaves=8,
)


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def json_of(path: Path) -> str:
    return json.dumps(read_plan_file(path), indent=1)


def with_value(draw: st.DrawFn, line: str) -> str:
    name, colon, _ = line.partition(":")
    return f"{name}{colon} {draw(SCALARS)}\n"


def with_key(draw: st.DrawFn, line: str) -> str:
    _, colon, value = line.partition(":")
    return f"{draw(SCALARS)}{colon}{value}"


def with_something_inside(draw: st.DrawFn, line: str) -> str:
    place = draw(st.integers(0, len(line)))
    return line[:place] + draw(SCALARS | st.text(max_size=3)) + line[place:]


CHANGES: list[Callable[[st.DrawFn, str], str]] = [
    with_value,
    with_value,
    with_key,
    with_something_inside,
    lambda draw, line: line[: draw(st.integers(0, len(line)))],
    lambda draw, line: draw(st.sampled_from([" ", "  ", "\t", "    "])) + line,
    lambda draw, line: draw(SCALARS) + "\n" + line,
]


@st.composite
def mutated_text(draw: st.DrawFn, originals: Callable[[Path], str] = text_of) -> str:
    """Return the text of a plan with lines deleted, doubled, moved or changed."""
    lines = originals(draw(ORIGINALS)).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines)))
        taken = lines[at : at + draw(st.integers(1, 3))]
        what = draw(st.sampled_from(["change", "change", "change", "delete", "double", "move"]))
        if what == "change":
            lines[at : at + 1] = [draw(st.sampled_from(CHANGES))(draw, "".join(taken[:1]))]
        if what in ("delete", "move"):
            lines[at : at + len(taken)] = []
        if what in ("double", "move"):
            place = draw(st.integers(0, len(lines)))
            lines[place:place] = taken
    return "".join(lines)


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, part in inner for found in places(part, (*place, key)))]


@st.composite
def mutated_document(draw: st.DrawFn) -> Any:
    """Return the document of a plan with parts replaced, renamed, doubled or removed, anywhere in it."""
    document: Any = json.loads(json_of(draw(ORIGINALS)))
    for _ in range(draw(st.integers(1, 4))):
        ways = places(document)[1:]
        if not ways:
            break
        *outer, last = draw(st.sampled_from(ways))
        inner = document
        for part in outer:
            inner = inner[part]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "swap", "double"])):
            case "replace":
                inner[last] = draw(JSON)
            case "remove":
                del inner[last]
            case "rename" if isinstance(inner, dict):
                inner[draw(st.text(max_size=8) | SCALARS)] = inner.pop(last)
            case "swap":
                siblings = list(inner.values()) if isinstance(inner, dict) else inner
                inner[last] = json.loads(json.dumps(draw(st.sampled_from(siblings))))
            case "double" if isinstance(inner, list):
                inner.append(json.loads(json.dumps(inner[last])))
    return document

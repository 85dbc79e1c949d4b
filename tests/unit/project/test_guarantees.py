"""The tables of guarantees name tests that exist, and leave nothing without one."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`")
"""A test file, or a test in it; one that begins with `::` is in the file named last."""


def named_in(row: str) -> list[tuple[str, str]]:
    """The tests that a row names, as file and function; no function means the whole file."""
    found, file = [], ""
    for match in NAMED.finditer(row):
        file = match[1] or file
        if match[1] or match[2]:
            found.append((file, match[2] or ""))
    return found


def rows(heading: str) -> list[str]:
    """The rows of the table under a heading."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


@functools.cache
def defined_in(file: str) -> frozenset[str]:
    """Functions of a test file."""
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


@pytest.mark.parametrize(("file", "function"), sorted(set(named_in(TEXT))))
def test_every_test_that_is_named_exists(file: str, function: str) -> None:
    assert (ROOT / file).is_file()
    if function:
        assert function.startswith("test_")
        assert function in defined_in(file)
    else:
        assert any(name.startswith("test_") for name in defined_in(file))


def test_no_guarantee_is_without_a_test() -> None:
    """All six and all forty, each once, in their order; and every row of the third table names something."""
    guarantees, properties, broken = (
        rows("The six guarantees"),
        rows("Forty properties"),
        rows("What was broken on purpose"),
    )
    assert [re.findall(r"^\| (\d+)\. ", row) for row in guarantees] == [[str(number)] for number in range(1, 7)]
    assert [re.findall(r"^\| (\d+) \| \S", row) for row in properties] == [[str(number)] for number in range(1, 41)]
    for row in [*guarantees, *properties]:
        assert row.count("|") == 3 + (row in properties), row
        assert [one for one in named_in(row) if one[1]], row
    assert broken
    assert all(named_in(row) for row in broken)

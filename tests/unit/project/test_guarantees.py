"""The tables of guarantees name tests that exist, and every guarantee has a test."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`")
"""A test file, or a test in it. `::name` alone is a test in the file named before."""


def named_in(row: str) -> list[tuple[str, str]]:
    """Return the tests that a row names, as file and function. An empty function means the whole file."""
    found, file = [], ""
    for match in NAMED.finditer(row):
        file = match[1] or file
        if match[1] or match[2]:
            found.append((file, match[2] or ""))
    return found


def rows(heading: str) -> list[str]:
    """Return the rows of the table under a heading."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


@functools.cache
def defined_in(file: str) -> frozenset[str]:
    """Return the functions of a test file."""
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


@pytest.mark.parametrize(("file", "function"), sorted(set(named_in(TEXT))))
def test_every_named_test_exists(file: str, function: str) -> None:
    assert (ROOT / file).is_file()
    if function:
        assert function.startswith("test_")
        assert function in defined_in(file)
    else:
        assert any(name.startswith("test_") for name in defined_in(file))


def test_every_guarantee_and_property_names_a_test() -> None:
    """All six guarantees and forty properties appear once, in order. Every row of the third table names something."""
    guarantees, properties, broken = (
        rows("The six guarantees"),
        rows("Forty properties"),
        rows("What was broken on purpose"),
    )
    assert [re.findall(r"^\| (\d+)\. ", row) for row in guarantees] == [[str(number)] for number in range(1, 7)]
    assert [re.findall(r"^\| (\d+) \| \S", row) for row in properties] == [[str(number)] for number in range(1, 41)]
    for row in [*guarantees, *properties]:
        assert row.count("|") == 3 + (row in properties), row
        assert [named for named in named_in(row) if named[1]], row
    assert broken
    assert all(named_in(row) for row in broken)

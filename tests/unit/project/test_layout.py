"""Location of tests and of their helpers."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

TIERS = ("unit", "integration", "e2e", "leaks", "histories")
FILES = [path for tier in TIERS for path in sorted((ROOT / "tests" / tier).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_tests_import_helpers_only_from_support(path: str) -> None:
    """If two tests share code directly, neither can be understood or removed alone."""
    imported = re.findall(r"^\s*(?:from|import) (tests\.\w+)", (ROOT / path).read_text(), re.MULTILINE)
    assert set(imported) <= {"tests.support"}


def test_every_test_is_in_a_tier() -> None:
    """`make unit` and the selection of tests for a landing know only the tiers."""
    found = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert found == set(TIERS)

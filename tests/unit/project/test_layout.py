"""Where tests and their helpers are."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

TIERS = ("unit", "integration", "e2e", "leaks", "histories")
FILES = [path for tier in TIERS for path in sorted((ROOT / "tests" / tier).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_tests_import_helpers_from_support_alone(path: str) -> None:
    """Of two tests that share code, neither can be understood or removed alone."""
    imported = re.findall(r"^\s*(?:from|import) (tests\.\w+)", (ROOT / path).read_text(), re.MULTILINE)
    assert set(imported) <= {"tests.support"}


def test_no_test_is_outside_of_a_tier() -> None:
    """`make unit` and the share of a landing know the tiers."""
    found = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert found == set(TIERS)

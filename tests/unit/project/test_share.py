"""A landing runs a share of the exhaustive tests."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT
from tests.support.share import COVERED_BY, rank, touched_folders

IDS = [
    f"tests/{folder}/test_x.py::test_{number}"
    for folder in ("integration/cli", "e2e/runs", "leaks")
    for number in range(60)
]


def in_order(commit: str, touched: set[str]) -> list[str]:
    return sorted(IDS, key=lambda nodeid: rank(commit, touched, nodeid))


def test_tests_of_touched_folders_come_first() -> None:
    for touched in ("leaks", "e2e"):
        first = in_order("a", {touched})[:60]
        assert {nodeid.split("/")[1] for nodeid in first} == {touched}


def test_commits_draw_different_shares_and_soon_cover_everything() -> None:
    """Each share is 40 % of the tests."""
    assert in_order("a", set()) == in_order("a", set())
    shares = [set(in_order(str(number), set())[: len(IDS) * 2 // 5]) for number in range(16)]
    assert len({frozenset(share) for share in shares}) == len(shares)
    assert set.union(*shares) == set(IDS)


@pytest.mark.parametrize(
    ("file", "folders"),
    [
        ("tests/leaks/test_ends.py", {"leaks"}),
        ("lab/proxy/server.py", {"unit/lab", "leaks"}),
        ("tests/integration/cli/test_cli_demo.py", {"integration/cli"}),
        ("worker.py", {"e2e", "leaks", "integration/security"}),
        ("README.md", set()),
    ],
)
def test_a_changed_file_selects_the_folders_that_cover_it(file: str, folders: set[str]) -> None:
    assert touched_folders([file]) == folders


def test_every_named_folder_exists() -> None:
    assert all((ROOT / top).exists() for top in COVERED_BY)
    assert all((ROOT / "tests" / folder).is_dir() for found in COVERED_BY.values() for folder in found)

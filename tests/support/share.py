"""Run a share of the exhaustive tests: `pytest -p tests.support.share --share 15m -m exhaustive`.

`.ci/run` has 90 minutes, and all exhaustive tests take most of them. Each landing therefore runs the tests of the
folders that it touches first, then others in an order drawn from the commit's hash, until the time is up. The next
commit draws another order. Only `make test-all`, which runs everything, covers everything for certain.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from datetime import timedelta

import pytest

from domain.units import parse_duration
from tests.support.paths import ROOT

COVERED_BY = {
    "activities": {"e2e", "leaks", "integration/security"},
    "cli": {"integration/cli", "e2e"},
    "clients": {"e2e", "leaks", "integration/security", "unit/store"},
    "domain": {"e2e", "leaks", "unit/domain/plans", "integration/security"},
    "lab": {"unit/lab", "leaks"},
    "operations": {"integration/cli", "e2e"},
    "reports": {"e2e"},
    "workflows": {"e2e", "leaks", "integration/security"},
    "worker.py": {"e2e", "leaks", "integration/security"},
}
"""Folders of tests with exhaustive tests of a folder of the product. A folder of tests covers itself."""

LANDED = "HOLDFAST_LANDED"
"""Environment variable: the last landed commit. Unset: the newest commit at least four hours older than HEAD."""

_ENDS = "HOLDFAST_SHARE_ENDS"
_NEEDED = 1 / 3
"""Share of its time limit that must be left when a test begins, so that the last tests end in time as well."""
_USUAL_LIMIT = 240.0
_HOURS = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", default="15m", help="how long exhaustive tests may begin and end, such as 15m")


def pytest_configure(config: pytest.Config) -> None:
    longest: timedelta = parse_duration(config.getoption("--share"))
    # One clock for all processes of this run: later processes inherit the environment of the first.
    os.environ.setdefault(_ENDS, str(time.monotonic() + longest.total_seconds()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    commit, touched = git("rev-parse", "HEAD").strip(), touched_folders(changed_files())
    items.sort(key=lambda item: rank(commit, touched, item.nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0]) if marker else _USUAL_LIMIT
    if time.monotonic() + limit * _NEEDED > float(os.environ[_ENDS]):
        pytest.skip("no time left for it in this share")


def rank(commit: str, touched: set[str], nodeid: str) -> tuple[bool, str]:
    """Return the sort key of a test: touched folders first, then the order that the commit's hash draws."""
    folder = f"{folder_of(nodeid.partition('::')[0])}/"
    untouched = not any(folder.startswith(f"{name}/") for name in touched)
    return untouched, hashlib.sha256(f"{commit} {nodeid}".encode()).hexdigest()


def folder_of(test_file: str) -> str:
    """Return the folder within `tests` that holds a file."""
    return test_file.partition("/")[2].rpartition("/")[0]


def touched_folders(files: list[str]) -> set[str]:
    """Return the folders of tests that cover these files of the project."""
    found: set[str] = set()
    for file in files:
        top = file.partition("/")[0]
        found |= {folder_of(file)} if top == "tests" else COVERED_BY.get(top, set())
    return found


def changed_files() -> list[str]:
    """Return the paths that differ from the last landed commit; none if there is no commit to compare with."""
    landed = os.environ.get(LANDED) or _before_these_hours()
    return git("diff", "--name-only", landed, "HEAD").splitlines() if landed else []


def _before_these_hours() -> str:
    # A fresh clone has no record of what landed before. A commit that is too old only touches more folders.
    made = int(git("show", "-s", "--format=%ct", "HEAD"))
    return git("rev-list", "--first-parent", "-1", f"--before={made - _HOURS * 3600}", "HEAD").strip()


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603, S607

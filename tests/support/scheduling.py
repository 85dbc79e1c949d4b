"""How tests are handed out to processes: very long ones first, one by one, and some modules as a whole."""

from __future__ import annotations

import functools

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.paths import ROOT


class OneByOne(LoadScopeScheduling):
    """Gives a process the next test when it has nearly none left, those of large modules first.

    Tests of a module or a folder that makes something once for all of them, such as a run, stay in one process: each
    process would make it anew. xdist's own groups do the same by a marker, which pytest 9 no longer shows to it.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        folder = module.rpartition("/")[0]
        if shares(f"{folder}/conftest.py", "package"):
            return folder
        return module if shares(module, "module") else nodeid


@functools.cache
def shares(file: str, scope: str) -> bool:
    """Return whether a file, by its path from the root, has a fixture of its own for all tests of its scope."""
    path = ROOT / file
    return path.is_file() and f'scope="{scope}"' in path.read_text(encoding="utf-8")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the few tests that take very long: for one that is begun last, all but one process would wait."""
    if config.getoption("share", None) is None:  # A share has an order of its own.
        items.sort(key=_takes_very_long, reverse=True)


VERY_LONG = 1_000
"""Seconds of a test's time limit. There are few of them, so they may begin side by side."""


def _takes_very_long(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("timeout")
    return bool(marker and marker.args and marker.args[0] >= VERY_LONG)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneByOne | None:
    """Replace the scheduling by scopes."""
    return OneByOne(config, log) if config.getvalue("dist") == "loadscope" else None

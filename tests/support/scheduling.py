"""How tests are handed out to the processes of `make test`: one by one, and some modules as a whole."""

from __future__ import annotations

import functools

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.paths import ROOT


class OneByOne(LoadScopeScheduling):
    """Gives a process the next test when it has nearly none left, those of large modules first.

    Tests of a module that makes something once for all of them, such as a run, stay in one process: each process would
    make it anew. xdist's own groups do the same by a marker, which pytest 9 no longer shows to it.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if shares(module) else nodeid


@functools.cache
def shares(module: str) -> bool:
    """Return whether a module, by its path from the root, has a fixture of its own for all its tests."""
    return 'scope="module"' in (ROOT / module).read_text(encoding="utf-8")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneByOne | None:
    """Replace the scheduling by scopes."""
    return OneByOne(config, log) if config.getvalue("dist") == "loadscope" else None

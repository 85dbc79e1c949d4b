"""A store for reports, and the two runs that most tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.store.store import Store
from reports.build.gather import gather
from reports.model.report import Report
from tests.support.reports.stored_runs import aborted_run, finished_run
from tests.support.store.template import put_database


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(put_database(tmp_path / "holdfast.db"))
    yield opened
    await opened.close()


@pytest.fixture
async def finished(store: Store) -> Report:
    return await gather(store, await finished_run(store))


@pytest.fixture
async def aborted(store: Store) -> Report:
    return await gather(store, await aborted_run(store))

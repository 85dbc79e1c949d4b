"""One run of the shop for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.support.runs.whole import Whole, whole_run


@pytest.fixture(scope="package")
async def whole(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    async with whole_run(temporal, tmp_path_factory.mktemp("whole")) as found:
        yield found

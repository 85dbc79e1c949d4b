"""The HTML report of real runs in headless Chromium: an aborted run, and a large system."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser
from temporalio.client import WorkflowFailureError

from domain.names import ABORT_UPDATE
from domain.resilience.model import Phase
from reports.model.report import CaseState
from tests.support.reports.browser import CHROMIUM, chromium, opened
from tests.support.reports.sendable import assert_it_can_be_sent, page_of
from tests.support.runs.bench import Bench, until
from tests.support.runs.train_ticket import plan_for, train_ticket

__all__ = ["train_ticket"]
"""A fixture of other tests."""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.timeout(900),
]


@pytest.fixture(name="browser")
async def _browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.mark.exhaustive
async def test_the_report_shows_why_a_run_was_aborted_and_which_cases_are_missing(
    bench: Bench, browser: Browser
) -> None:
    plan = bench.plan(load={"requests": 40, "concurrency": 1})
    handle = await bench.start(plan)
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    state = await until(lambda: bench.status(handle), "the state of the run")
    execution_id = state.execution_id

    async def measured() -> bool:
        return sum(result.measurement is not None for result in await bench.store.results.all(execution_id)) > 2

    await until(measured, "some cases are measured")
    await handle.execute_update(ABORT_UPDATE, "the shop's owner called")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await bench.lock_ended(handle)
    report, file = await page_of(bench, execution_id)
    assert CaseState.MISSING in {case.state for case in report.cases}
    await assert_it_can_be_sent(browser, report, file)
    async with opened(browser, file) as found:
        assert "the shop's owner called" in await found.page.locator("header").inner_text()
        assert await found.page.locator(".heat .s-missing").count()


@pytest.mark.exhaustive
async def test_the_report_of_a_large_system_stays_usable(train_ticket: Bench, browser: Browser) -> None:
    """Nineteen services, all but the entry broken, alone and in pairs."""
    summary = await train_ticket.run(plan_for(train_ticket))
    report, file = await page_of(train_ticket, summary.execution_id)
    assert len(report.cases) == 172
    await assert_it_can_be_sent(browser, report, file)

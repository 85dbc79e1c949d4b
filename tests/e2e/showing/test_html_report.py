"""The HTML report of real runs in headless Chromium: a complete run, an aborted run, and a large system."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from temporalio.client import WorkflowFailureError

from domain.names import ABORT_UPDATE
from domain.resilience.model import Phase
from reports.build.gather import gather
from reports.forms.as_html import render
from reports.model.report import CaseState, Report
from tests.support.reports.browser import CHROMIUM, chromium, opened
from tests.support.reports.looking import (
    assert_cells_are_those_of,
    assert_nothing_is_wider_than_the_page,
    assert_only_the_matrix_scrolls_sideways,
    focused_by_tab,
)
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


async def page_of(bench: Bench, execution_id: int) -> tuple[Report, Path]:
    """Write the run's report to a file, as a pipeline would keep it."""
    report = await gather(bench.store, execution_id)
    file = bench.folder / "report.html"
    file.write_text(render(report))
    return report, file


async def assert_it_can_be_sent(browser: Browser, report: Report, file: Path) -> None:
    """Check that the report is fit to be passed on.

    The browser has no complaint, every cell is as in the JSON and within reach of the keyboard, and the page fits a
    phone.
    """
    facts: dict[str, Any] = report.model_dump(mode="json")
    async with opened(browser, file) as found:
        assert report.verdict_sentence in await found.page.locator("h1").inner_text()
        assert report.recovery_sentence in await found.page.locator(".recovery").inner_text()
        assert await found.page.locator(".gantt").count() == 2
        await assert_cells_are_those_of(found.page, facts)
    async with opened(browser, file) as found:
        await focused_by_tab(found.page, ".heat td")
        await found.page.keyboard.press("Enter")
        assert await found.page.evaluate("document.activeElement.id") == "case"
    async with opened(browser, file, viewport={"width": 400, "height": 800}) as found:
        await assert_nothing_is_wider_than_the_page(found.page)
        await assert_only_the_matrix_scrolls_sideways(found.page)


async def test_the_report_shows_the_planted_pairs_and_every_window(bench: Bench, browser: Browser) -> None:
    """A whole run of the shop. Each window is shown from its intent to its verified end."""
    summary = await bench.run()
    report, file = await page_of(bench, summary.execution_id)
    await assert_it_can_be_sent(browser, report, file)
    failed = {case.case_id for case in summary.failed_cases}
    async with opened(browser, file) as found:
        shown = await found.page.locator("#cases tr:has(.s-failed) th").all_inner_texts()
        assert {name.replace(" + ", "+") for name in shown} == failed
        ends = await found.page.locator(".gantt[aria-label='switched on'] .end").all_inner_texts()
        assert {*ends} == {"seen to be off", "released"}
        assert await found.page.locator("#services .captured").count() >= len(report.services)


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

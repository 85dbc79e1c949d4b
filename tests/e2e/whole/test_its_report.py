"""The HTML report of a whole run in headless Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.support.reports.browser import CHROMIUM, chromium, opened
from tests.support.reports.sendable import assert_it_can_be_sent, page_of
from tests.support.runs.whole import Whole

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")]


@pytest.fixture(name="browser")
async def _browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def test_the_report_shows_the_planted_pairs_and_every_window(whole: Whole, browser: Browser) -> None:
    """Each window is shown from its intent to its verified end."""
    report, file = await page_of(whole.bench, whole.summary.execution_id)
    await assert_it_can_be_sent(browser, report, file)
    failed = {case.case_id for case in whole.summary.failed_cases}
    async with opened(browser, file) as found:
        shown = await found.page.locator("#cases tr:has(.s-failed) th").all_inner_texts()
        assert {name.replace(" + ", "+") for name in shown} == failed
        ends = await found.page.locator(".gantt[aria-label='switched on'] .end").all_inner_texts()
        assert {*ends} == {"seen to be off", "released"}
        assert await found.page.locator("#services .captured").count() >= len(report.services)

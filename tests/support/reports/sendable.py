"""Whether the HTML report of a real run is fit to be passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from reports.build.gather import gather
from reports.forms.as_html import render
from reports.model.report import Report
from tests.support.reports.browser import opened
from tests.support.reports.looking import (
    assert_cells_are_those_of,
    assert_nothing_is_wider_than_the_page,
    assert_only_the_matrix_scrolls_sideways,
    focused_by_tab,
)
from tests.support.runs.bench import Bench


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

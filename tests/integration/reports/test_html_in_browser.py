"""The HTML report in headless Chromium: by keyboard, on a phone and on paper.

There must be no error and no request, and the numbers are those of the JSON. The pages are of made-up reports of any
size. `test_html_of_runs.py` opens those of real runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from reports.forms.as_html import render
from reports.model.report import Report
from tests.support.reports.browser import CHROMIUM, chromium, opened
from tests.support.reports.looking import (
    assert_cells_are_those_of,
    assert_nothing_is_wider_than_the_page,
    assert_only_the_matrix_scrolls_sideways,
    contrasts,
    focused_by_tab,
)
from tests.support.reports.sample_reports import sample

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.timeout(900),
]

PHONE = {"viewport": {"width": 400, "height": 800}, "has_touch": True}
A4 = {"viewport": {"width": 718, "height": 1000}}
"""The width of the paper without margins, in CSS pixels."""

_SAMPLES = {"2": (2, False), "8": (8, False), "19": (19, False), "100": (100, False), "aborted": (12, True)}


@pytest.fixture(name="browser", scope="module")
async def _browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(name="pages", scope="module")
def _pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Report, Path]]:
    """Return each sample with the file of its page."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, (services, aborted) in _SAMPLES.items():
        report = sample(services, aborted=aborted)
        found[name] = (report, folder / f"{name}.html")
        found[name][1].write_text(render(report))
    return found


Pages = dict[str, tuple[Report, Path]]


@pytest.mark.parametrize("name", _SAMPLES)
async def test_every_cell_matches_the_json(browser: Browser, pages: Pages, name: str) -> None:
    """Its case, its state, its numbers, and a colour that is darker for higher values."""
    report, file = pages[name]
    async with opened(browser, file) as found:
        await assert_cells_are_those_of(found.page, report.model_dump(mode="json"))


@pytest.mark.parametrize("name", _SAMPLES)
async def test_the_page_fits_a_phone(browser: Browser, pages: Pages, name: str) -> None:
    """Only the matrix and preformatted text scroll, within themselves."""
    async with opened(browser, pages[name][1], **PHONE) as found:
        await assert_nothing_is_wider_than_the_page(found.page)
        await assert_only_the_matrix_scrolls_sideways(found.page)
        assert await found.page.evaluate("innerWidth") == 400


async def test_the_matrix_can_be_explored_by_keyboard(browser: Browser, pages: Pages) -> None:
    """It is one stop of the tab key. Arrows move, the cell is described, and Enter shows its latencies."""
    report, file = pages["8"]
    names = [service.service for service in report.services]
    pair = next(candidate for candidate in report.pairs if {candidate.first, candidate.second} == {names[0], names[1]})
    async with opened(browser, file) as found:
        page = found.page
        assert await focused_by_tab(page, ".heat td") < 25
        description = page.locator("#pointed")
        assert (await description.inner_text()).startswith(f"{names[0]}: ")
        await page.keyboard.press("ArrowRight")
        assert (await description.inner_text()).startswith(f"{names[0]} + {names[1]}: ")
        label = await page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert label == await description.inner_text()
        await page.keyboard.press("End")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Home")
        assert (await description.inner_text()).startswith(f"{names[0]} + {names[1]}: ")
        await page.keyboard.press("Enter")
        assert await page.input_value("#case") == str(pair.case_index)
        assert await page.evaluate("document.activeElement.id") == "case"
        assert await page.locator(".heat [tabindex='0']").count() == 1


async def test_every_interactive_element_is_reached_by_tab(browser: Browser, pages: Pages) -> None:
    """Links, buttons, the choice of metric, and parts that fold or scroll. Each shows that it has the focus."""
    async with opened(browser, pages["2"][1]) as found:
        page = found.page
        seen = set()
        for _ in range(200):
            await page.keyboard.press("Tab")
            here = await page.evaluate(
                """() => {
                    const one = document.activeElement;
                    if (one === document.body) return null;
                    const style = getComputedStyle(one);
                    return [one.tagName.toLowerCase(), style.outlineStyle !== "none" && style.outlineWidth !== "0px"];
                }"""
            )
            if here is None:
                break
            seen.add(tuple(here))
    assert {tag for tag, _ in seen} >= {"a", "input", "td", "select", "button", "summary", "pre", "div"}
    assert [tag for tag, visible in seen if not visible] == []


async def test_the_chosen_metric_is_shown(browser: Browser, pages: Pages) -> None:
    """Numbers and legend change with the choice."""
    async with opened(browser, pages["8"][1]) as found:
        page = found.page
        shown = "[...document.querySelectorAll('.heat td')].map((one) => one.innerText).filter((one) => one)"
        assert any("%" in number for number in await page.evaluate(shown))
        await page.get_by_label("p95 over the baseline's").check()
        numbers = await page.evaluate(shown)
        assert any("×" in number for number in numbers)
        assert not any("%" in number for number in numbers)
        assert await page.locator(".of-ratio.ramp").is_visible()
        assert not await page.locator(".of-error.ramp").is_visible()


async def test_any_case_is_drawn_against_the_baseline(browser: Browser, pages: Pages) -> None:
    """There is a bar for each of its stored counts, as high as its share, and the outline of the baseline."""
    report, file = pages["8"]
    case = next(candidate for candidate in report.cases if candidate.histogram and len(candidate.services) == 2)
    assert case.histogram is not None
    async with opened(browser, file) as found:
        page = found.page
        await page.select_option("#case", str(case.index))
        heights = await page.evaluate(
            "[...document.querySelectorAll('.case-bar')].map((one) => +one.getAttribute('height'))"
        )
        counts = [many for _, many in case.histogram]
        assert len(heights) == len(counts)
        assert [value / max(heights) for value in heights] == pytest.approx(
            [value / max(counts) for value in counts], abs=0.01
        )
        assert await page.locator(".base-line").count() == 1
        rows = await page.locator("#figures tbody tr").all_inner_texts()
        assert rows[0].startswith(" + ".join(case.services))
        assert rows[1].startswith("baseline")
        await page.select_option("#case", "0")
        assert await page.locator(".base-line").count() == 0


async def test_a_case_without_successes_shows_the_reason(browser: Browser, pages: Pages) -> None:
    """An empty chart would look like a mistake."""
    report, file = pages["8"]
    dead = next(candidate for candidate in report.cases if candidate.error_rate == 100)
    lost = next(candidate for candidate in report.cases if candidate.error_rate is None)
    async with opened(browser, file) as found:
        for case, why in ((dead, "had no successful request"), (lost, "was not measured")):
            await found.page.select_option("#case", str(case.index))
            assert why in (await found.page.locator("#distribution").text_content() or "")
            assert await found.page.locator(".case-bar").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_enough_contrast_in_both_schemes(browser: Browser, pages: Pages, scheme: str) -> None:
    """WCAG requires 4.5 to 1."""
    async with opened(browser, pages["19"][1], color_scheme=scheme) as found:
        ground = await found.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 18, 23)"}[scheme]
        for metric in ("error", "ratio"):
            await found.page.check(f"[value={metric}]")
            faint = {what: ratio for what, ratio in (await contrasts(found.page)).items() if ratio < 4.5}
            assert faint == {}


@pytest.mark.parametrize("name", ["8", "100"])
async def test_the_page_can_be_printed(browser: Browser, pages: Pages, name: str) -> None:
    """In light colours whatever the screen's colours are, unfolded, and no wider than the paper."""
    async with opened(browser, pages[name][1], color_scheme="dark", **A4) as found:
        page = found.page
        folded = await page.locator("details:not([open])").count()
        assert folded
        await page.emulate_media(media="print", color_scheme="dark")
        await page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert await page.locator("details:not([open])").count() == 0
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        await assert_nothing_is_wider_than_the_page(page)
        await page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert await page.locator("details:not([open])").count() == folded


async def test_the_page_is_readable_without_scripts(browser: Browser, pages: Pages) -> None:
    """Some archives of build servers do not run any: everything but the drawing is in the page itself."""
    report, file = pages["8"]
    async with opened(browser, file, java_script_enabled=False) as found:
        text = await found.page.locator("body").inner_text()
    assert report.verdict_sentence in text
    assert "drawn by the page's script, which does not run here" in text
    assert "12.5%" in text

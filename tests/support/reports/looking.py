"""What a person would see of an HTML report, as read from the browser that shows it."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

_CELLS = """() => [...document.querySelectorAll(".heat tbody tr")].flatMap((row, at) => {
    const name = row.querySelector("th").textContent;
    const names = [...document.querySelectorAll(".heat thead th")].map((one) => one.textContent);
    return [...row.querySelectorAll("td")].map((cell, column) => ({
        row: name, column: names[column], case: cell.dataset.case ?? null, classes: [...cell.classList],
        error: cell.querySelector("i").textContent, ratio: cell.querySelector("b").textContent,
        fill: getComputedStyle(cell).backgroundColor,
    }));
})"""

_RAMP = """() => [...Array(9).keys()].map((step) => {
    const name = getComputedStyle(document.documentElement).getPropertyValue(`--h${step}`).trim();
    return `rgb(${[1, 3, 5].map((at) => parseInt(name.slice(at, at + 2), 16)).join(", ")})`;
})"""

_SCROLLING = """() => [...document.querySelectorAll(".scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && !one.querySelector(".heat, .figures"))
    .map((one) => one.getAttribute("aria-labelledby"))"""

_TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    const kept = (one) => /auto|scroll|hidden/.test(getComputedStyle(one).overflowX);
    const scrolls = (one) => one && (kept(one) || scrolls(one.parentElement));
    return [...document.querySelectorAll("body *")]
        .filter((one) => one.getBoundingClientRect().right > width + 1)
        .filter((one) => one.checkVisibility() && !scrolls(one.parentElement))
        .map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 60)}`);
}"""

_CONTRASTS = """() => {
    const channels = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (text) => {
        const [r, g, b] = channels(text).slice(0, 3).map((one) => one / 255)
            .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (one) => {
        const found = getComputedStyle(one).backgroundColor;
        return !one.parentElement || (channels(found)[3] ?? 1) > 0.99 ? found : ground(one.parentElement);
    };
    const found = {};
    for (const one of document.querySelectorAll("body *")) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !one.checkVisibility() || one.closest("svg, select, script, noscript")) continue;
        const [ink, back] = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
        const what = `${one.tagName.toLowerCase()}.${[...one.classList].join(".")} in ${one.parentElement.className}`;
        found[what] = Math.min(found[what] ?? 99, (ink + 0.05) / (back + 0.05));
    }
    return found;
}"""


async def assert_nothing_is_wider_than_the_page(page: Page) -> None:
    """Assert that the page does not scroll sideways, and that nothing of it is cut off."""
    width, room = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= room
    assert await page.evaluate(_TOO_WIDE) == []


async def assert_only_the_matrix_scrolls_sideways(page: Page) -> None:
    """Assert that nothing scrolls sideways but the matrix and the line of figures under a chart.

    What is read from top to bottom must have no hidden half.
    """
    assert await page.evaluate(_SCROLLING) == []


async def contrasts(page: Page) -> dict[str, float]:
    """Return the least contrast of each kind of text to its background, by WCAG's definition."""
    found: dict[str, float] = await page.evaluate(_CONTRASTS)
    return found


async def focused_by_tab(page: Page, selector: str) -> int:
    """Press tab until something has the focus, and return how often that took.

    Raises:
        AssertionError: It is not reached.
    """
    for presses in range(1, 200):
        await page.keyboard.press("Tab")
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return presses
    raise AssertionError(f"{selector} is not reached by tab")


async def assert_cells_are_those_of(page: Page, report: dict[str, Any]) -> None:
    """Assert that every cell of the matrix shows the numbers of its case in the JSON report, in both metrics."""
    await page.check("[value=error]")
    by_error = await page.evaluate(_CELLS)
    await page.check("[value=ratio]")
    by_ratio = await page.evaluate(_CELLS)
    names = [service["service"] for service in report["services"]]
    assert [(shown["row"], shown["column"]) for shown in by_error] == [
        (row, column) for row in names for column in names
    ]
    wanted = _facts(report)
    share = f"{report['shown_percentile']}_ratio"
    for cell in by_error:
        _assert_cell(cell, wanted.get(frozenset((cell["row"], cell["column"]))), share)
    ramp = await page.evaluate(_RAMP)
    _assert_darker_for_more(by_error, wanted, "error_rate", ramp)
    _assert_darker_for_more(by_ratio, wanted, share, ramp)


def _facts(report: dict[str, Any]) -> dict[frozenset[str], dict[str, Any]]:
    """Return what is known of each cell: of pairs from `pairs`, of single services from `cases`.

    Where a pair is in both, they must agree.
    """
    singles = {frozenset(entry["services"]): entry for entry in report["cases"] if len(entry["services"]) == 1}
    found = {key: entry | {"case_index": entry["index"]} for key, entry in singles.items()}
    cases = {entry["index"]: entry for entry in report["cases"]}
    for pair in report["pairs"]:
        case = cases.get(pair["case_index"])
        assert case is None or (case["error_rate"], case["state"]) == (pair["error_rate"], pair["state"])
        found[frozenset((pair["first"], pair["second"]))] = pair
    return found


def _assert_cell(cell: dict[str, Any], fact: dict[str, Any] | None, share: str) -> None:
    if fact is None:
        assert cell["case"] is None, (cell, fact)
        assert "s-missing" in cell["classes"], (cell, fact)
        return
    assert cell["case"] == str(fact["case_index"]), (cell, fact)
    assert f"s-{fact['state']}" in cell["classes"], (cell, fact)
    assert ("worse" in cell["classes"]) == bool((fact.get("interaction") or {}).get("worse")), (cell, fact)
    _assert_number(cell["error"], fact["error_rate"], 0.05)
    ratio = fact[share]
    _assert_number(cell["ratio"], ratio, 0.05 if ratio is None or ratio < 10 else 0.5)


def _assert_number(text: str, value: float | None, tolerance: float) -> None:
    """Assert that a cell shows this value, or no number if there is no value."""
    if value is None:
        assert not any(character.isdigit() for character in text), (text, value)
    elif text.startswith("<"):
        assert 0 < value < float(text.strip("<%×")), (text, value)
    elif text.startswith(">"):
        assert float(text.strip(">%×")) < value < 100, (text, value)
    else:
        assert abs(float(text.strip("%×")) - value) <= tolerance + 1e-9, (text, value)


def _assert_darker_for_more(
    cells: list[dict[str, Any]], facts: dict[frozenset[str], dict[str, Any]], name: str, ramp: list[str]
) -> None:
    """Assert that equal values have equal colours, those of the ramp, and that steps go up with the values."""
    letter = "e" if name == "error_rate" else "r"
    seen = []
    for cell in cells:
        fact = facts.get(frozenset((cell["row"], cell["column"])))
        value = None if fact is None else fact[name]
        step = next(
            (css_class for css_class in cell["classes"] if css_class[:1] == letter and css_class[1:].isdigit()), None
        )
        assert (step is None) == (value is None), (cell, fact)
        if value is not None and step is not None:
            seen.append((value, int(step[1:]), cell["fill"]))
    seen.sort()
    assert [step for _, step, _ in seen] == sorted(step for _, step, _ in seen)
    for _, step, fill in seen:
        assert fill == ramp[step], (step, fill)
    assert len({*ramp}) == len(ramp)

"""Take the README's picture of the matrix: `make picture`.

Runs the demo and photographs the matrix of its report in Debian's Chromium.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.async_api import async_playwright

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


async def take(report: Path, picture: Path) -> None:
    """Photograph the matrix of an HTML report."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--disable-gpu"])
        page = await browser.new_page(viewport={"width": 1000, "height": 1200}, device_scale_factor=2)
        await page.goto(report.as_uri())
        await page.locator("#matrix table").screenshot(path=picture)
        await browser.close()


def demo() -> Path:
    """Run the demo; return its report."""
    command = [sys.executable, str(ROOT / "starter.py"), "demo"]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    found = re.search(r"report +(\S+report\.html)", shown)
    if found is None:
        raise SystemExit(f"the demo names no report:\n{shown}")
    return ROOT / found[1]


if __name__ == "__main__":
    shown = Path(sys.argv[1]) if sys.argv[1:] else demo()
    asyncio.run(take(shown.absolute(), FOLDER / "matrix.png"))

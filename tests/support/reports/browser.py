"""A headless Chromium for tests (Debian's, driven by playwright), and what a page did wrong while it was open."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
"""Path of the browser; None if it is not installed."""

WAIT = 300_000
"""Milliseconds that a step may take on a busy machine."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser for as long as it is needed."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu"], timeout=WAIT)
        try:
            yield browser
        finally:
            await browser.close()


class Opened:
    """A page, and its complaints: console errors, uncaught exceptions, dialogs and requests to the network."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._heard("console", message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("dialog", self._dialog)

    def _heard(self, where: str, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{where} {kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:")):
            self.complaints.append(f"asked for {url}")

    async def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


@asynccontextmanager
async def opened(browser: Browser, file: Path, **how: Any) -> AsyncIterator[Opened]:
    """Open a file in a page of its own, which must end without complaints.

    `how` is what playwright's `new_context` takes.
    """
    context = await browser.new_context(**how)
    try:
        context.set_default_timeout(WAIT)
        found = Opened(await context.new_page())
        await found.page.goto(file.absolute().as_uri())
        yield found
        assert found.complaints == []
    finally:
        await context.close()

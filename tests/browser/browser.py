"""Debian's Chromium, driven by Playwright; axe-core, which judges whether everybody can use a page.

Requests of a page go to the application under test, in this process: no name is looked up, nothing leaves.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    Route,
    ViewportSize,
    async_playwright,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
PHONE: ViewportSize = {"width": 390, "height": 844}
SMALL_PHONE: ViewportSize = {"width": 320, "height": 568}
_GO = "<!doctype html><title>redirected</title><script>location.replace(%s)</script>"
_HOP = frozenset({"content-length", "content-encoding", "transfer-encoding"})


def needs_browser() -> None:
    """Skip where Chromium or axe-core is missing; under CI=true that is a failure."""
    missing = [str(path) for path in (CHROMIUM, AXE) if not path.exists()]
    if not missing:
        return
    what = f"needs {' and '.join(missing)}: apt install chromium, make test-tools"
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def reader(
    browser: Browser,
    app: ASGIApp,
    *,
    files: Mapping[str, bytes] | None = None,
    **options: Any,
) -> AsyncIterator[Page]:
    """A page of somebody who reads what `app` answers; `files` are pictures elsewhere, by URL."""
    context: BrowserContext = await browser.new_context(**{"viewport": PHONE, **options})
    transport = httpx2.ASGITransport(app=app, client=("203.0.113.77", 4711))
    async with httpx2.AsyncClient(transport=transport) as client:

        async def answer(route: Route) -> None:
            request = route.request
            if files and request.url in files:
                await route.fulfill(body=files[request.url], content_type="image/png")
                return
            asked = await request.all_headers()
            found = await client.request(request.method, request.url, headers=asked)
            if found.has_redirect_location:
                # A browser follows a redirect past whoever intercepts it: the page is told to go there.
                target = json.dumps(found.headers["location"])
                await route.fulfill(content_type="text/html", body=_GO % target)
                return
            headers = {name: value for name, value in found.headers.items() if name not in _HOP}
            await route.fulfill(status=found.status_code, headers=headers, body=found.content)

        await context.route("**/*", answer)
        try:
            yield await context.new_page()
        finally:
            await context.close()


async def opened(page: Page, url: str) -> None:
    """Open `url`, and wait until its redirects have ended on a page."""
    await page.goto(url)
    await page.wait_for_selector("main")
    await page.wait_for_load_state()


async def found_by_axe(page: Page) -> list[str]:
    """What axe-core finds wrong: each rule with where."""
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("axe.run()")
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]

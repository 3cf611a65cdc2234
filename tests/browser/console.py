"""A demo of the platform in a process of its own, and people who use its console in Chromium."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, expect

START_LIMIT_S = 120
NO_ID = "00000000-0000-0000-0000-000000000000"
WEBHOOK_URL = "https://erp.example/hooks/mintage"
"""A name that is never found (RFC 2606): nothing is sent anywhere."""
PAGES = {
    "overview": "",
    "mint": "mint",
    "mint-of-a-product": "mint?product_id={product}",
    "batches": "batches",
    "batch": "batches/{batch}",
    "units": "units",
    "unit": "units/{unit}",
    "exports": "exports",
    "export": "exports/{group}",
    "new-export": "exports/new?format=labels_pdf",
    "products": "products",
    "product": "products/{product}",
    "new-product": "products/new",
    "import-products": "products/import",
    "activity": "activity",
    "scans": "activity/scans",
    "settings": "settings",
    "webhooks": "settings/webhooks?webhook={webhook}",
    "search": "search?q=TABLE",
    "not-found": "batches/nonsense",
}


@dataclass(frozen=True)
class Demo:
    """`facts` are those of demo.json; `home` is the address of the brand's pages."""

    facts: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def home(self) -> str:
        return f"{self.url}/console/b/{self.facts['brand_slug']}/"

    def password(self, role: str) -> tuple[str, str]:
        """E-mail address and password of the person of a role."""
        return next(
            (user["email"], user["password"])
            for user in self.facts["users"]
            if user["role"] == role
        )


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """`mintage demo` on a free port, until the context ends."""
    command = [sys.executable, "-m", "mintage", "demo", "--port", "0", "--no-browser", "--json"]
    log = (folder / "demo.log").open("wb")
    with (
        log,
        subprocess.Popen(
            [*command, "--data", str(folder / "data")], stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield Demo(_facts_of(folder, process))
        finally:
            process.terminate()
            process.wait(60)


def _facts_of(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the demo prints once it serves."""
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit and process.poll() is None:
        told = (folder / "demo.log").read_text("utf-8", "replace")
        start = told.find("{")
        try:
            facts, _ = json.JSONDecoder().raw_decode(told[start:]) if start >= 0 else ({}, 0)
        except ValueError:
            facts = {}
        if facts:
            return dict(facts)
        time.sleep(0.1)
    raise AssertionError((folder / "demo.log").read_text("utf-8", "replace"))


async def signed_in(browser: Browser, demo: Demo, role: str, **options: Any) -> Page:
    """A page of the person of a role, who has signed in by the form; it keeps what goes wrong in it."""
    context: BrowserContext = await browser.new_context(
        **{"viewport": {"width": 1280, "height": 900}, "base_url": demo.url, **options}
    )
    page = await context.new_page()
    email, password = demo.password(role)
    await page.goto(f"{demo.url}/console/sign-in")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return page


async def ids_of(page: Page, demo: Demo) -> dict[str, str]:
    """Ids for the addresses of PAGES: of the newest batch, unit and export, a product and a webhook."""
    ids = {"product": str(demo.facts["products"][0]["id"])}
    for name, folder in (("batch", "batches"), ("unit", "units"), ("group", "exports")):
        await page.goto(demo.home + folder)
        link = page.locator(f'tbody a[href*="/{folder}/"]').first
        ids[name] = str(await link.get_attribute("href")).rpartition("/")[2]
    ids["webhook"] = await _webhook(page, demo)
    return ids


async def _webhook(page: Page, demo: Demo) -> str:
    """The id of the brand's webhook, made if there is none; of none for who may see none."""
    link = page.locator('a[href*="?webhook="]').first
    for _ in range(2):
        await page.goto(f"{demo.home}settings/webhooks")
        if await link.count():
            return str(await link.get_attribute("href")).rpartition("=")[2]
        if not await page.locator("#webhooks").count():
            break
        await page.get_by_label("Address", exact=True).fill(WEBHOOK_URL)
        await page.get_by_label("mint_job.completed").check()
        await page.get_by_role("button", name="Make a webhook").click()
        await expect(page.get_by_text("it is not shown again")).to_be_visible()
    return NO_ID

"""The console in Chromium: a brand's people mint, watch, export, trace and revoke; everybody can use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import chromium, found_by_axe, needs_browser
from tests.browser.console import PAGES, Demo, ids_of, running_demo, signed_in

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]


WATCH_THE_BAR = """
() => {
  const place = document.querySelector("#progress");
  const note = () => {
    const bar = place.querySelector("progress");
    if (bar) window.noteBar(bar.value);
  };
  note();
  new MutationObserver(note).observe(place, {childList: true, subtree: true});
}
"""
BEYOND_THE_SCREEN = """
[...document.querySelectorAll("td :is(a, button, select, input, summary), nav a")]
  .filter(control => control.checkVisibility() && control.getBoundingClientRect().right > innerWidth)
  .map(control => control.outerHTML)
"""
"""Controls of rows and of the navigation that a sideways scroll alone would reach."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    needs_browser()
    with running_demo(tmp_path_factory.mktemp("console")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(demo: Demo) -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def mint(
    page: Page, demo: Demo, sku: str, quantity: str, identity: str = "Serials of ours"
) -> None:
    """Go through the wizard to the batch's page."""
    await page.goto(f"{demo.home}mint")
    product = next(each for each in demo.facts["products"] if each["sku"] == sku)
    await page.get_by_label("Product", exact=True).select_option(str(product["id"]))
    await page.wait_for_url("**/mint?product_id=*")
    await page.locator("label", has_text=identity).locator("visible=true").first.click()
    if identity == "Lots":
        await page.get_by_role("textbox", name="Lots").fill("LOT-A 600\nLOT-B 400")
    else:
        await page.get_by_label("Quantity", exact=True).fill(quantity)
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Nothing is in the way.")).to_be_visible()
    await page.get_by_role("button", name="Review").click()
    await expect(page.get_by_role("heading", name="Review and confirm")).to_be_visible()
    await page.get_by_role("button", name=f"Mint {quantity} units").click()
    await page.wait_for_url("**/batches/*")


async def test_an_owner_mints_exports_downloads_searches_and_revokes(
    browser: Browser, demo: Demo, tmp_path: Path
) -> None:
    page = await signed_in(browser, demo, "owner")
    wrong: list[str] = []
    page.on(
        "console", lambda message: wrong.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await mint(page, demo, "LAMP-BRASS", "1,000")
    await expect(page.locator(".status-minted").first).to_be_visible()
    await expect(page.get_by_text("1,000 of 1,000 units")).to_be_visible()

    await page.get_by_role("button", name="Export", exact=True).click()
    await page.get_by_text("labels_pdf").click()
    await page.wait_for_url("**format=labels_pdf*")
    await page.get_by_role("button", name="Write the packs").click()
    await expect(page.locator("td .status-completed").first).to_be_visible(timeout=60_000)
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download").first.click()
    file = tmp_path / "labels.pdf"
    await (await started.value).save_as(file)
    assert file.read_bytes().startswith(b"%PDF-")

    await page.goto(f"{demo.home}units")
    serial = await page.locator("tbody a").first.inner_text()
    await page.keyboard.press("/")
    await page.keyboard.type(serial[:10])
    found = page.locator("#found a", has_text=serial)
    await expect(found).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=serial)).to_be_visible()
    address = await page.locator("dd a[href*='/21/']").inner_text()
    await page.locator(".symbol").screenshot(path=tmp_path / "symbol.png")
    symbol = zxingcpp.read_barcode(Image.open(tmp_path / "symbol.png"))
    assert symbol is not None
    assert symbol.text == address

    await page.get_by_text("Revoke this unit …").click()
    await page.get_by_label("Reason").fill("stolen")
    await page.get_by_label("Yes, revoke this unit for ever").check()
    await page.get_by_role("button", name="Revoke this unit").click()
    await expect(page.locator(".head .status-revoked")).to_be_visible()
    assert wrong == []


async def test_the_bar_of_a_large_batch_grows_until_it_is_minted(
    browser: Browser, demo: Demo
) -> None:
    page = await signed_in(browser, demo, "owner")
    bars: list[float] = []

    def note(value: float) -> None:
        bars.append(value)

    # The page is loaded anew at the end, and would forget them.
    await page.expose_function("noteBar", note)
    await mint(page, demo, "LAMP-BRASS", "600,000")
    await page.evaluate(WATCH_THE_BAR)
    await expect(page.get_by_text("600,000 of 600,000 units")).to_be_visible(timeout=120_000)
    await expect(page.locator("#progress progress")).to_have_count(0)
    assert len(set(bars)) >= 2, "nobody could see it grow"
    assert bars == sorted(bars)


async def test_a_code_that_is_pasted_after_ctrl_k_finds_its_unit(
    browser: Browser, demo: Demo
) -> None:
    page = await signed_in(browser, demo, "owner")
    ids = await ids_of(page, demo)
    await page.goto(demo.home + PAGES["unit"].format(**ids))
    serial = await page.locator("main h1").inner_text()
    address = await page.locator("dd a[href*='/21/']").inner_text()
    await page.goto(f"{demo.home}products")
    await page.keyboard.press("Control+k")
    await page.keyboard.insert_text(address)
    await expect(page.locator("#found a", has_text=serial)).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=serial)).to_be_visible()


async def test_an_admin_mints_lots_and_voids_them(browser: Browser, demo: Demo) -> None:
    page = await signed_in(browser, demo, "admin")
    await mint(page, demo, "LAMP-BRASS", "1,000", identity="Lots")
    await expect(page.locator(".status-minted").first).to_be_visible()
    await expect(page.get_by_role("cell", name="LOT-A")).to_be_visible()
    await page.get_by_text("Void this batch …").click()
    await page.get_by_label("Reason").fill("misprinted")
    await page.get_by_label("Type 1,000 to confirm").fill("1000")
    await page.get_by_role("button", name="Void this batch for ever").click()
    await expect(page.get_by_text("This batch is voided.")).to_be_visible()


async def test_what_blocks_is_told_live_and_leads_to_where_it_is_mended(
    browser: Browser, demo: Demo
) -> None:
    page = await signed_in(browser, demo, "owner")
    await page.goto(f"{demo.home}mint?product_id={demo.facts['products'][1]['id']}")
    await page.get_by_label("Production batch").select_option(index=1)
    await page.get_by_label("Quantity", exact=True).fill("900000")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("alert")).to_contain_text("QUANTITY_EXCEEDS_BATCH")
    await page.get_by_role("link", name="Mend it").click()
    await expect(page.get_by_role("heading", name="Production batches")).to_be_visible()


async def test_a_viewer_has_no_control_that_writes(browser: Browser, demo: Demo) -> None:
    page = await signed_in(browser, demo, "viewer")
    ids = await ids_of(page, demo)
    for path in PAGES.values():
        await page.goto(demo.home + path.format(**ids))
        forms = page.locator("main form[method=post]")
        await expect(forms).to_have_count(0)
    await page.goto(f"{demo.home}settings")
    await expect(page.get_by_role("heading", name="No access")).to_be_visible()


async def test_a_strangers_address_is_refused(browser: Browser, demo: Demo) -> None:
    page = await signed_in(browser, demo, "owner")
    answer = await page.goto(f"{demo.url}/console/b/somebody-else/batches")
    assert answer is not None
    assert answer.status == 403
    await expect(page.get_by_role("heading", name="No access")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
async def test_axe_finds_nothing_on_any_page(
    browser: Browser, demo: Demo, scheme: str, width: int
) -> None:
    viewport = {"width": width, "height": 900}
    page = await signed_in(browser, demo, "owner", color_scheme=scheme, viewport=viewport)
    ids = await ids_of(page, demo)
    found = []
    for name, path in PAGES.items():
        await page.goto(demo.home + path.format(**ids))
        for details in await page.locator("main details").all():
            await details.evaluate("node => { node.open = true }")
        found += [f"{name}: {violation}" for violation in await found_by_axe(page)]
    await page.context.clear_cookies()
    await page.goto(f"{demo.url}/console/sign-in")
    found += [f"sign-in: {violation}" for violation in await found_by_axe(page)]
    assert found == []


async def test_every_page_fits_a_narrow_phone(browser: Browser, demo: Demo) -> None:
    page = await signed_in(browser, demo, "owner", viewport={"width": 360, "height": 740})
    ids = await ids_of(page, demo)
    for name, path in PAGES.items():
        await page.goto(demo.home + path.format(**ids))
        for details in await page.locator("main details").all():
            await details.evaluate("node => { node.open = true }")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, name
        assert await page.evaluate(BEYOND_THE_SCREEN) == [], name


async def test_the_wizard_needs_no_mouse(browser: Browser, demo: Demo) -> None:
    page = await signed_in(browser, demo, "owner")
    await page.goto(f"{demo.home}mint")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Product", exact=True)).to_be_focused()
    await page.keyboard.type("LAMP")
    await page.wait_for_url("**/mint?product_id=*")
    quantity = page.get_by_label("Quantity", exact=True)
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await quantity.evaluate("node => node === document.activeElement"):
            break
    await page.keyboard.type("25")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Mint 25 units")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/batches/*")


async def test_forms_need_no_script(browser: Browser, demo: Demo) -> None:
    page = await signed_in(browser, demo, "owner", java_script_enabled=False)
    await page.goto(f"{demo.home}mint")
    await page.get_by_label("Product", exact=True).select_option(
        str(demo.facts["products"][2]["id"])
    )
    await page.get_by_role("button", name="Choose").click()
    await page.get_by_label("Quantity", exact=True).fill("12")
    await page.get_by_role("button", name="Review").click()
    await page.get_by_role("button", name="Mint 12 units").click()
    await expect(page.get_by_text("of 12 units")).to_be_visible()

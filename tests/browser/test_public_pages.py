"""The public pages as a person meets them: on a phone, in five languages, by light and in the dark."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from PIL import Image, ImageDraw

from mintage.resolver.app import build_resolver
from mintage.resolver.pages import message_page
from mintage.resolver.texts import LANGUAGES, TEXTS, Language
from tests.browser.browser import (
    PHONE,
    SMALL_PHONE,
    chromium,
    found_by_axe,
    needs_browser,
    opened,
    reader,
)
from tests.resolver.desk import BASE_URL, IPHONE, Desk
from tests.support.world import GTIN_TABLE

pytestmark = pytest.mark.long

PICTURE = "https://pictures.example/oak-table.png"
DESCRIPTION = (
    "Solid oak from managed woods in the Vosges, oiled by hand.\n"
    "Made in Alsace, repairable for life."
)


@dataclass(frozen=True)
class Stage:
    """The URLs of the pages by what they say."""

    desk: Desk
    urls: dict[str, str]


@pytest_asyncio.fixture
async def stage(desk: Desk) -> Stage:
    needs_browser()
    world = desk.world
    product_id = await world.product(
        gtin=GTIN_TABLE, name="Oak table “Vosges”", description=DESCRIPTION, image_url=PICTURE
    )
    for link_type, title, hreflang in (
        ("gs1:instructions", "Assembly and care", "en"),
        ("gs1:sustainabilityInfo", "Where the wood comes from", None),
        ("gs1:support", "Have it repaired", None),
        ("gs1:certificationInfo", "FSC certificate", None),
        ("gs1:certificationInfo", "Emission certificate", None),
    ):
        await world.rpc(
            "set_product_link",
            product_id=product_id,
            link_type=link_type,
            href=f"https://www.brand.example/{title.lower().replace(' ', '-')}",
            title=title,
            hreflang=hreflang,
        )
    minted = await world.submit(product_id, 2)
    await world.run(minted["mint_job_id"])
    genuine, withdrawn = await desk.urls(minted["mint_batch_id"])
    listed = await world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    await desk.revoke(UUID(str(listed["units"][1]["id"])))
    return Stage(
        desk,
        {
            "product": genuine,
            "plain product": f"/p/{await world.product(name='Stool', gtin=None)}",
            "not_issued": f"/01/0{GTIN_TABLE}/21/OAK-1",
            "revoked": withdrawn,
            "choices": f"/01/0{GTIN_TABLE}?linkType=gs1:certificationInfo",
            "bad_request": f"/01/0{int(GTIN_TABLE) + 1}",
            "no_such_link": f"/01/0{GTIN_TABLE}?linkType=gs1:recallStatus",
        },
    )


def _picture() -> bytes:
    """A table on a pale ground."""
    image = Image.new("RGB", (640, 480), "#f1ebe2")
    draw = ImageDraw.Draw(image)
    draw.ellipse((90, 380, 550, 430), fill="#e2d8c9")
    draw.rounded_rectangle((90, 190, 550, 222), 10, fill="#a8743f")
    for left in (120, 490):
        draw.polygon(
            [(left, 222), (left + 30, 222), (left + 24, 405), (left + 8, 405)], fill="#8d5f31"
        )
    written = io.BytesIO()
    image.save(written, "png")
    return written.getvalue()


@pytest.mark.parametrize(
    ("scheme", "language"),
    [("dark", "en"), *(("light", language) for language in LANGUAGES)],
)
async def test_axe_finds_nothing_on_any_page_in_any_language(
    stage: Stage, scheme: str, language: Language
) -> None:
    app = build_resolver(stage.desk.resolver)
    found = {}
    async with (
        chromium() as browser,
        reader(
            browser,
            app,
            files={PICTURE: _picture()},
            color_scheme=scheme,
            locale=language,
            user_agent=IPHONE,
            bypass_csp=True,  # axe itself is a script.
        ) as page,
    ):
        for name, path in stage.urls.items():
            await opened(page, BASE_URL + path)
            assert await page.locator("html").get_attribute("lang") == language
            if name in TEXTS[language].messages:
                heading = TEXTS[language].messages[name].heading  # type: ignore[index]
                assert await page.locator("h1").inner_text() == heading
            found[name] = await found_by_axe(page)
        for name, html in (await _pages_that_no_visit_reaches(stage, language)).items():
            await page.set_content(html)
            assert await page.locator("html").get_attribute("lang") == language
            if name in TEXTS[language].messages:
                heading = TEXTS[language].messages[name].heading  # type: ignore[index]
                assert await page.locator("h1").inner_text() == heading
            found[name] = await found_by_axe(page)
    assert len(found) == len(stage.urls) + 7
    assert {key: faults for key, faults in found.items() if faults} == {}


async def _pages_that_no_visit_reaches(stage: Stage, language: Language) -> dict[str, str]:
    """Pages that are answered to bots, to other methods, elsewhere, or when something is wrong."""
    once = replace(stage.desk.resolver.limits, misses_a_minute_max=1)
    hasty = replace(stage.desk, resolver=replace(stage.desk.resolver, limits=once))
    bot = {"User-Agent": "Googlebot/2.1"}
    async with stage.desk.phone() as phone, hasty.phone() as guesser:
        for client in (phone, guesser):
            client.headers["Accept-Language"] = language
        await guesser.get(stage.urls["not_issued"])
        answers = {
            "preview": await phone.get(stage.urls["product"], headers=bot),
            "method_not_allowed": await phone.post(stage.urls["product"]),
            "nothing_here": await phone.get("/"),
            "brand_not_found": await phone.get("/", headers={"Host": "other.example"}),
            "too_many": await guesser.get(stage.urls["not_issued"]),
        }
    assert [answer.status_code for answer in answers.values()] == [200, 405, 404, 404, 429]
    pages = {name: answer.text for name, answer in answers.items()}
    for name in ("unavailable", "internal"):
        pages[name] = message_page(language, name).html
    return pages


async def test_pages_fit_a_phone_and_are_styled_under_their_own_policy(
    stage: Stage, tmp_path: Path
) -> None:
    app = build_resolver(stage.desk.resolver)
    said: list[str] = []
    async with (
        chromium() as browser,
        reader(browser, app, files={PICTURE: _picture()}, user_agent=IPHONE, locale="de") as page,
    ):
        page.on("console", lambda message: said.append(message.text))
        for name, path in stage.urls.items():
            await opened(page, BASE_URL + path)
            for viewport in (SMALL_PHONE, PHONE):
                await page.set_viewport_size(viewport)
                width = await page.evaluate("document.documentElement.scrollWidth")
                assert width == viewport["width"], name
                for link in await page.locator("main .links a").all():
                    box = await link.bounding_box()
                    assert box is not None
                    assert box["height"] >= 44, name
            ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == "rgb(243, 244, 241)", name
            await page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
            with Image.open(tmp_path / f"{name}.png") as image:
                assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 8, name
    # What Chromium says of a 4xx answer is no fault of the page.
    assert [text for text in said if "server responded with a status" not in text] == []


async def test_a_scan_on_a_phone_ends_on_the_products_page_and_says_genuine(stage: Stage) -> None:
    app = build_resolver(stage.desk.resolver)
    async with (
        chromium() as browser,
        reader(browser, app, files={PICTURE: _picture()}, user_agent=IPHONE, locale="fr") as page,
    ):
        await opened(page, BASE_URL + stage.urls["product"])
        assert page.url.startswith(f"{BASE_URL}/p/")
        assert await page.locator(".genuine").inner_text() == (
            "Authentique, scanné pour la première fois le 24 novembre 2026"
        )
        picture = page.locator("img")
        assert await picture.evaluate("image => image.naturalWidth") == 640
        assert await page.locator(".links a").count() == 5
    assert await stage.desk.outcomes() == ["activated"]

"""Links of products: which one answers, the choices, the product's own page, the list of all."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from mintage.operations.resolving import Link
from mintage.resolver.negotiate import choose, links_with_page, preferred_json_type, wanted_of
from tests.resolver.desk import BASE_URL, IPHONE, Desk
from tests.resolver.test_conformance import GTIN14, VOC
from tests.support.world import GTIN_TABLE

PAGE = "https://acme.example.com/p/1"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def _link(href: str, link_type: str = "gs1:pip", **changes: object) -> Link:
    facts: dict[str, object] = {"hreflang": None, "media_type": None, "is_default": False}
    return Link(link_type, href, href.title(), **(facts | changes))  # type: ignore[arg-type]


LINKS = (
    _link("home", is_default=True, hreflang="en"),
    _link("startseite", hreflang="de"),
    _link("accueil", hreflang="fr-CH"),
    _link("manual", "gs1:instructions", media_type="text/html"),
    _link("manual.pdf", "gs1:instructions", media_type="application/pdf"),
    _link("iso", "gs1:certificationInfo"),
    _link("fsc", "gs1:certificationInfo"),
    _link("notice", "gs1:recallStatus", hreflang="es"),
    _link("return", "gs1:returnsInfo"),
    _link("return-de", "gs1:returnsInfo", hreflang="de", context="DE"),
    _link("return-de-en", "gs1:returnsInfo", hreflang="en", context="de"),
    _link("return-at", "gs1:returnsInfo", hreflang="de", context="AT"),
)


@pytest.mark.parametrize(
    ("query", "accept", "language", "found"),
    [
        ("", "", "", ["home"]),
        ("", "*/*", "en-US,en;q=0.9", ["home"]),
        ("", CHROME, "de", ["startseite"]),
        ("", "", "fr", ["accueil"]),
        ("", "", "fr-BE", ["home"]),
        ("", "", "ja", ["home"]),
        ("", "", "de, en;q=0, *;q=0.5", ["startseite"]),
        ("", "", "en;q=0, *;q=0.5", ["startseite", "accueil"]),
        ("", "", "de;q=0, *;q=0.5", ["home"]),
        ("", "", "de-AT;q=0.9, en;q=0.3, de;q=0.1", ["home"]),
        ("", "", "de-AT;q=0, de;q=0.4, en;q=0.3", ["startseite"]),
        ("", "", "de;q=0.2, en;q=0.7", ["home"]),
        ("", "", "de;q=oops, fr-CH;q=0.1", ["accueil"]),
        ("linkType=gs1:pip", "", "", ["home"]),
        ("linkType=gs1:pip", "", "de-AT", ["startseite"]),
        ("linkType=gs1:defaultLink", "", "de", ["home"]),
        ("linkType=gs1:instructions", CHROME, "", ["manual"]),
        ("linkType=gs1:instructions", "application/pdf", "de", ["manual.pdf"]),
        ("linkType=gs1:instructions", "", "", ["manual", "manual.pdf"]),
        ("linkType=gs1:certificationInfo", CHROME, "en", ["iso", "fsc"]),
        ("linkType=gs1:recallStatus", CHROME, "en", ["notice"]),
        ("linkType=gs1:returnsInfo", "", "", ["return"]),
        ("linkType=gs1:returnsInfo", "", "de", ["return"]),
        ("linkType=gs1:returnsInfo&context=DE", "", "", ["return-de", "return-de-en"]),
        ("linkType=gs1:returnsInfo&context=de", "", "en-GB", ["return-de-en"]),
        ("context=at&linkType=gs1:returnsInfo", "", "en", ["return-at"]),
        ("linkType=gs1:returnsInfo&context=CH", "", "de", ["return"]),
        ("context=DE", "", "de", ["startseite"]),
        ("linkType=gs1:nosuchtype", CHROME, "en", []),
        ("linkType=pip", "", "", []),
        ("a=1&linkType=https%3A%2F%2Fgs1.org%2Fvoc%2Fpip&b", "", "de", ["startseite"]),
    ],
)
def test_the_link_that_fits_best_answers(
    query: str, accept: str, language: str, found: list[str]
) -> None:
    chosen = choose(LINKS, wanted_of(query.encode(), accept, language))
    assert [link.href for link in chosen] == found


def test_the_most_exact_range_says_how_well_a_language_answers() -> None:
    links = [_link(tag, hreflang=tag, is_default=tag == "en-GB") for tag in ("en-GB", "en", "fr")]
    for header, href in (
        ("en-GB;q=0.2, en;q=0.9", "en"),
        ("en;q=0.2, en-GB;q=0.9", "en-GB"),
        ("en-GB;q=0, en;q=0.1", "en"),
        ("en;q=0, fr-CA;q=0.1", "fr"),
    ):
        [chosen] = choose(links, wanted_of(b"", "", header))
        assert chosen.href == href, header


def test_without_a_stored_default_the_products_page_is_it() -> None:
    [page] = links_with_page([], PAGE)
    assert (page.href, page.link_type, page.is_default) == (PAGE, "gs1:pip", True)
    stored = [link for link in LINKS if not link.is_default]
    links = links_with_page(stored, PAGE)
    assert choose(links, wanted_of(b"", "", "de"))[0].href == PAGE
    assert choose(links, wanted_of(b"linkType=gs1:pip", "", "de"))[0].href == "startseite"
    assert links_with_page(LINKS, PAGE) == LINKS


@pytest.mark.parametrize(
    ("query", "accept", "is_linkset"),
    [
        ("linkType=linkset", "", True),
        ("linkType=all", "text/html", True),
        ("", "application/linkset+json", True),
        ("", "application/linkset+json;q=0, text/html", False),
        ("", "text/html, application/linkset+json;q=0.01", False),
        ("", "text/html;q=0.01, application/linkset+json;q=0.02", True),
        ("", "text/html, application/linkset+json", True),
        ("", "application/linkset+json, */*;q=0.8", True),
        ("", "application/linkset+json;q=0.7, */*;q=0.8", False),
        ("", "application/json, application/linkset+json;q=0.9", True),
        ("", "Application/Linkset+JSON", True),
        ("", "TEXT/HTML;Q=0.5,APPLICATION/LINKSET+JSON;Q=0.6", True),
        ("linkType=gs1:pip", "application/linkset+json", False),
        ("linktype=all", "", False),
        ("", "*/*", False),
    ],
)
def test_the_list_of_all_links_is_asked_for_by_type_or_media_type(
    query: str, accept: str, is_linkset: bool
) -> None:
    assert wanted_of(query.encode(), accept, "").is_linkset == is_linkset


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/linkset+json"),
        (CHROME, "application/linkset+json"),
        ("application/json", "application/json"),
        ("application/ld+json, application/json;q=0.5", "application/ld+json"),
    ],
)
def test_a_linkset_is_served_as_the_json_that_is_preferred(accept: str, media_type: str) -> None:
    assert preferred_json_type(accept) == media_type


async def test_links_that_fit_equally_are_offered_as_choices(desk: Desk) -> None:
    product_id = await desk.world.product(gtin=GTIN_TABLE)
    for name in ("iso", "fsc"):
        await desk.world.rpc(
            "set_product_link",
            "admin",
            product_id=product_id,
            link_type="gs1:certificationInfo",
            href=f"https://brand.example/{name}?a=1&b=2",
            title=f"<{name}>",
        )
    async with desk.phone() as phone:
        answer = await phone.get(f"/01/{GTIN14}?linkType=gs1:certificationInfo")
        page = await phone.get(f"/p/{product_id}")
    assert answer.status_code == 300
    for shown in (answer, page):
        assert 'href="https://brand.example/fsc?a=1&amp;b=2"' in shown.text
        assert "&lt;iso&gt;" in shown.text
    assert await desk.outcomes() == []


async def test_a_units_own_page_is_one_url_in_its_redirect_and_its_linkset(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        redirected = await phone.get(path)
        asked = await phone.get(f"{path}?linkType=gs1:pip")
        linkset = (await phone.get(f"{path}?linkType=linkset")).json()["linkset"]
    location = redirected.headers["location"]
    assert "mintage_genuine=" in location
    assert asked.headers["location"] == location
    assert linkset[-1]["anchor"] == BASE_URL + path
    for name in ("defaultLink", "pip"):
        assert [link["href"] for link in linkset[-1][VOC + name]] == [location]
        assert "mintage_genuine" not in linkset[0][VOC + name][0]["href"]


async def test_the_proof_of_a_scan_is_given_to_no_other_site(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    await desk.world.rpc(
        "set_product_link",
        "admin",
        product_id=listed["units"][0]["product_id"],
        link_type="gs1:pip",
        href="https://brand.example/",
        title="Shop",
        is_default=True,
    )
    async with desk.phone() as phone:
        answer = await phone.get(listed["units"][0]["resolver_url"] + "?mintage_genuine=x")
    assert answer.headers["location"] == "https://brand.example/"
    assert await desk.outcomes() == ["activated"]


async def test_a_bot_that_asks_for_the_linkset_gets_it(desk: Desk) -> None:
    await desk.world.product(gtin=GTIN_TABLE)
    bot = {"User-Agent": "Googlebot/2.1"}
    async with desk.phone() as phone:
        answer = await phone.get(f"/01/{GTIN14}?linkType=linkset", headers=bot)
    assert answer.json()["linkset"][0]["anchor"] == f"{BASE_URL}/01/{GTIN14}"


async def test_a_withdrawn_unit_has_no_linkset(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    await desk.revoke(listed["units"][0]["id"])
    async with desk.phone() as phone:
        answer = await phone.get(listed["units"][0]["resolver_url"] + "?linkType=linkset")
    assert answer.status_code == 410


async def test_a_link_of_a_context_answers_who_asks_for_it(desk: Desk) -> None:
    product_id = await desk.world.product(gtin=GTIN_TABLE)
    for context in (None, "DE"):
        await desk.world.rpc(
            "set_product_link",
            product_id=product_id,
            link_type="gs1:serviceInfo",
            href=f"https://brand.example/returns/{context}",
            title="Returns",
            context=context,
        )
    asked = f"/01/{GTIN14}?linkType=gs1:serviceInfo"
    async with desk.phone() as phone:
        german = await phone.get(f"{asked}&context=de")
        plain = await phone.get(asked)
        linkset = (await phone.get(f"/01/{GTIN14}?linkType=all")).json()["linkset"]
    assert german.headers["location"] == "https://brand.example/returns/DE?context=de"
    assert plain.headers["location"] == "https://brand.example/returns/None"
    links = linkset[0][f"{VOC}serviceInfo"]
    assert [link.get("context") for link in links] == [None, ["DE"]]


async def test_markup_in_what_a_brand_writes_stays_text_on_its_pages(desk: Desk) -> None:
    markup = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    world = desk.world
    product_id = await world.product(gtin=GTIN_TABLE, name=markup, description=markup)
    await world.rpc("update_brand_settings", patch={"name": markup})
    for place in range(2):
        await world.rpc(
            "set_product_link",
            product_id=product_id,
            link_type="gs1:certificationInfo",
            href=f"https://example.com/{place}?a='%22%3Cb%3E",
            title=f"{place} {markup}",
        )
    paths = {
        f"/p/{product_id}": 200,
        f"/01/{GTIN_TABLE}?linkType=gs1:certificationInfo": 300,
        f"/01/{GTIN_TABLE}/21/{quote(markup[:8])}": 404,
        f"/01/{quote(markup)}": 400,
    }
    async with desk.phone() as phone:
        for path, status in paths.items():
            for agent in (IPHONE, "Googlebot/2.1"):
                answer = await phone.get(path, headers={"User-Agent": agent, "Accept": CHROME})
                assert answer.status_code in {status, 200 if agent != IPHONE else status}, path
                assert "<script>alert" not in answer.text, path
                assert "<img src=x" not in answer.text, path
        shown = (await phone.get(f"/p/{product_id}")).text
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4

"""Every page for every member of the cast: who sees it, what it may load, and what it never holds."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from uuid import UUID

import httpx2
import pytest

from mintage.api.middleware import RequestIds
from mintage.console.app import build_console
from mintage.console.render import HEADERS
from mintage.operations.rate_limits import CallRates
from tests.console.conftest import HOME, ORIGIN, Console, ids_in
from tests.support.minting import execute

PAGES = (
    "",
    "running",
    "mint",
    "batches",
    "batches/{batch}",
    "batches/{batch}/progress",
    "units",
    "units?mint_batch_id={batch}&status=minted",
    "units/{unit}",
    "units/{unit}/symbol.svg",
    "exports",
    "exports/new",
    "exports/new?mint_batch_id={batch}&format=rfid",
    "exports/{group}",
    "exports/{group}/progress",
    "products",
    "products/new",
    "products/import",
    "products/{product}",
    "activity",
    "activity.csv",
    "activity/scans",
    "activity/scans.csv",
    "settings",
    "settings/webhooks",
    "search",
    "search?q=SKU",
)
SCAN = """
insert into scan_event (brand_id, id, scanned_at, unit_id, outcome, traffic_class, severity)
values ($1, gen_random_uuid(), now(), $2, 'recorded', 'human', $3)
"""
ADMINS = frozenset(
    {
        "mint",
        "settings",
        "settings/webhooks",
        "exports/new",
        "exports/new?mint_batch_id={batch}&format=rfid",
    }
)
EDITORS = frozenset({"products/new", "products/import"})


async def stage(console: Console) -> dict[str, str]:
    """A minted batch, an export of it, and their ids."""
    submitted = await console.world.minted(3)
    batch = str(submitted["mint_batch_id"])
    group = await console.world.rpc("request_payload_packs", mint_batch_id=batch, format="csv")
    units = await console.world.rpc("list_mint_units", mint_batch_id=batch)
    return {
        "batch": batch,
        "group": str(group["export_group_id"]),
        "unit": str(units["units"][0]["id"]),
        "product": str(units["units"][0]["product_id"]),
    }


def expected(member: str, page: str) -> int:
    if page in ADMINS and member not in {"owner", "admin"}:
        return 403
    if page in EDITORS and member not in {"owner", "admin", "editor"}:
        return 403
    return 200


@pytest.mark.parametrize("member", ["viewer", "editor", "admin", "owner"])
async def test_a_member_sees_the_pages_of_his_role(console: Console, member: str) -> None:
    ids = await stage(console)
    browser = await console.signed_in(member)
    for page in PAGES:
        answer = await browser.get(HOME + page.format(**ids))
        assert answer.status_code == expected(member, page), page
        for name, value in HEADERS.items():
            if name != "cache-control":
                assert answer.headers[name] == value, page


async def test_a_stranger_is_refused_alike_everywhere(console: Console) -> None:
    ids = await stage(console)
    browser = await console.signed_in("stranger")
    for page in PAGES:
        answer = await browser.get(HOME + page.format(**ids))
        assert answer.status_code == 403, page
        assert "No access" in answer.text
    unknown = await browser.get("/console/b/there-is-none/batches")
    known = await browser.get(f"{HOME}batches")
    without_ids = re.compile(r"<code>[0-9a-f]{32}</code>|/console/[^\"]*")
    assert without_ids.sub("", unknown.text) == without_ids.sub("", known.text)


@pytest.mark.parametrize("identifier", [UUID(int=0), UUID(int=2**128 - 1)])
async def test_the_lowest_and_the_highest_id_are_not_found(
    console: Console, identifier: UUID
) -> None:
    browser = await console.signed_in("owner")
    for folder in ("batches", "units", "exports", "products"):
        assert (await browser.get(f"{HOME}{folder}/{identifier}")).status_code == 404, folder
    assert (await browser.get(f"{HOME}units/{identifier}/symbol.svg")).status_code == 404
    revoked = await browser.post(f"{HOME}units/{identifier}/revoke", {"reason": "lost"})
    assert revoked.status_code == 404


async def test_another_brands_ids_are_not_found(console: Console) -> None:
    ids = await stage(console)
    browser = await console.signed_in("stranger")
    for page in PAGES:
        if "{" in page and "?" not in page:
            answer = await browser.get("/console/b/rival/" + page.format(**ids))
            assert answer.status_code == 404, page


async def test_nobody_is_asked_to_sign_in(console: Console) -> None:
    browser = console.browser()
    for page in PAGES:
        answer = await browser.get(HOME + page)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/console/sign-in")
    part = await browser.get(f"{HOME}running", **{"hx-request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (
        204,
        "/console/sign-in?next=%2Fconsole%2Fb%2Facme%2Frunning",
    )


async def test_a_viewer_is_shown_no_form_that_changes_anything(console: Console) -> None:
    ids = await stage(console)
    browser = await console.signed_in("viewer")
    for page in PAGES:
        text = (await browser.get(HOME + page.format(**ids))).text
        posts = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', text)
        assert set(posts) <= {"/console/theme", "/console/sign-out"}, page
        assert f'href="{HOME}mint"' not in text


async def test_no_page_needs_anything_inline_or_from_elsewhere(console: Console) -> None:
    ids = await stage(console)
    browser = await console.signed_in("owner")
    for page in PAGES:
        text = (await browser.get(HOME + page.format(**ids))).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text), page
        for address in re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"', text):
            assert address.startswith("/console/"), address
            assert (await browser.get(address)).status_code == 200


async def test_a_file_that_is_not_ours_is_not_found(console: Console) -> None:
    browser = console.browser()
    for path in (
        "console.py",
        "../app.py",
        "%2e%2e/app.py",
        "vendor/",
        "vendor/HASHES.txt/",
        "texts/en.toml",
    ):
        assert (await browser.get(f"/console/static/{path}")).status_code in {303, 404}, path


@pytest.mark.parametrize(
    "path",
    [
        "batches/nonsense",
        "units/nonsense",
        "exports/nonsense",
        "products/nonsense",
        "exports/of-pack/nonsense",
        "download/nonsense",
        "nonsense",
    ],
)
async def test_what_is_not_there_is_a_page_that_says_so(console: Console, path: str) -> None:
    browser = await console.signed_in("owner")
    answer = await browser.get(HOME + path)
    assert answer.status_code == 404
    assert "<h1>" in answer.text


async def test_a_filter_that_is_none_is_told_beside_the_filters(console: Console) -> None:
    browser = await console.signed_in("owner")
    for page in (
        "batches?status=nonsense",
        "units?mint_batch_id=nonsense",
        "activity?from=nonsense",
        "exports?status=x",
        "batches?cursor=nonsense",
    ):
        answer = await browser.get(HOME + page)
        assert answer.status_code == 200, page
        assert 'role="alert"' in answer.text, page
        assert "Nothing fits" not in answer.text, page


async def test_the_pages_of_a_list_lead_to_all_rows(console: Console) -> None:
    submitted = await console.world.minted(60)
    browser = await console.signed_in("viewer")
    url = f"{HOME}units?mint_batch_id={submitted['mint_batch_id']}"
    seen = []
    while url:
        text = (await browser.get(url)).text
        seen += ids_in(text, "units")
        found = re.search(r'rel="next" href="([^"]*)"', text)
        url = found[1].replace("&amp;", "&") if found else ""
    assert len(seen) == len(set(seen)) == 60


async def test_search_finds_and_understands_a_scanned_address(console: Console) -> None:
    submitted = await console.world.minted(2)
    units = await console.world.rpc("list_mint_units", mint_batch_id=submitted["mint_batch_id"])
    unit = units["units"][0]
    browser = await console.signed_in("viewer")
    for given in (
        unit["serial_number"],
        unit["resolver_url"],
        unit["resolver_url"].removeprefix("https://"),
        str(unit["id"]),
        f"https://x.example/mu/{unit['id']}",
    ):
        answer = await browser.client.get(
            f"{HOME}search", params={"q": given}, headers={"hx-request": "true"}
        )
        assert ids_in(answer.text, "units") == [unit["id"]], given
        assert "<html" not in answer.text


async def test_a_spreadsheet_gets_all_events_and_no_formula(console: Console) -> None:
    submitted = await console.world.minted(2)
    await console.world.rpc(
        "set_mint_batch_status",
        mint_batch_id=submitted["mint_batch_id"],
        status="voided",
        reason="=cmd()",
    )
    browser = await console.signed_in("viewer")
    answer = await browser.get(f"{HOME}activity.csv?mint_batch_id={submitted['mint_batch_id']}")
    assert answer.headers["content-disposition"] == 'attachment; filename="acme-events.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0][:2] == ["created_at", "event_type"]
    assert any("=cmd()" in cell for row in rows for cell in row)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    listed = await console.world.rpc(
        "list_mint_events", mint_batch_id=submitted["mint_batch_id"], limit=200
    )
    assert len(rows) - 1 == len(listed["events"])


async def test_a_pack_is_downloaded_by_an_address_good_for_a_minute(console: Console) -> None:
    ids = await stage(console)
    browser = await console.signed_in("viewer")
    text = (await browser.get(f"{HOME}exports/{ids['group']}")).text
    assert "/download/" not in text
    assert (await browser.get(f"{HOME}download/{ids['group']}/0001-1.csv")).status_code == 404


async def test_scans_like_those_of_a_copy_are_told_on_the_overview_and_on_the_unit(
    console: Console,
) -> None:
    submitted = await console.world.minted(2)
    units = await console.world.rpc("list_mint_units", mint_batch_id=submitted["mint_batch_id"])
    suspected, calm = (str(unit["id"]) for unit in units["units"])
    browser = await console.signed_in("viewer")
    assert "None in the last 7 days." in (await browser.get(HOME)).text
    async with console.world.platform.database.pool.acquire() as connection:
        for severity in ("elevated", "high", "review"):
            await connection.execute(SCAN, console.world.brand_id, UUID(suspected), severity)
        await connection.execute(SCAN, console.world.brand_id, UUID(calm), None)
    overview = (await browser.get(HOME)).text
    signals = overview[overview.index('class="signals"') :]
    assert signals.count(f"/units/{suspected}") == 1
    assert f"/units/{calm}" not in signals
    assert "very much like those of a copy" in (await browser.get(f"{HOME}units/{suspected}")).text
    assert "of a copy" not in (await browser.get(f"{HOME}units/{calm}")).text


async def test_who_did_what_is_told_to_those_who_administer_them(console: Console) -> None:
    submitted = await console.world.minted(2)
    made = await console.world.rpc("create_api_key", name="ERP", scopes=["mint:read"])
    await execute(
        console.world,
        "update mint_event set actor_type = 'api_key', actor_id = $1 where event_type = 'mint_requested'",
        made["id"],
    )
    pages = ("activity", f"batches/{submitted['mint_batch_id']}")
    for member, is_told in (("admin", True), ("editor", False)):
        browser = await console.signed_in(member)
        for page in pages:
            text = (await browser.get(HOME + page)).text
            assert (">ERP · " in text) is is_told, (member, page)
            assert (">an API key · " in text) is not is_told, (member, page)
        text = (await browser.get(f"{HOME}activity")).text
        assert (">owner@example.com · " in text) is is_told, member
        assert (">a member · " in text) is not is_told, member


async def test_what_cannot_be_taken_back_asks_once_more(console: Console) -> None:
    await console.world.rpc("create_api_key", name="ERP", scopes=["mint:read"])
    browser = await console.signed_in("owner")
    text = (await browser.get(f"{HOME}settings")).text
    for action in ("members/remove", "keys/rotate", "keys/revoke"):
        before = text[: text.index(f'action="{HOME}settings/{action}"')]
        assert before.rindex("<details") > before.rindex("</td>"), action
    product = await console.world.product()
    await console.world.rpc(
        "set_product_link",
        product_id=product,
        link_type="gs1:pip",
        href="https://example.com/",
        title="Info",
    )
    text = (await browser.get(f"{HOME}products/{product}")).text
    before = text[: text.index(f'action="{HOME}products/{product}/links/remove"')]
    assert before.rindex("<details") > before.rindex("</td>")
    assert "Yes, remove Info" in text


async def test_beyond_the_limit_of_calls_a_page_tells_to_wait(console: Console) -> None:
    platform = console.world.platform
    limited = replace(
        platform, limits=replace(platform.limits, calls_a_minute=20), rates=CallRates()
    )
    application = RequestIds(build_console(replace(console.door, platform=limited)))
    signed_in = await console.signed_in("owner")
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(
        transport=transport, base_url=ORIGIN, cookies=signed_in.client.cookies
    ) as client:
        answers = [await client.get(HOME + "search") for _ in range(21)]
        assert [answer.status_code for answer in answers] == [200] * 20 + [429]
        assert answers[-1].headers["retry-after"] == "3"
        assert "wait and try again" in answers[-1].text
        posted = await client.post(
            HOME + "mint", data={"form_token": signed_in.form_token}, headers={"origin": ORIGIN}
        )
        assert posted.status_code == 429
        assert (await client.get("/console/")).status_code != 429, (
            "no brand has an account of its own"
        )

"""Pictures of every page of the console, and of what a scan leads to, in light and dark, for docs/gallery:
`make gallery`.

A demo of its own, with some variety: lots, a voided batch, a revoked unit, exports, scans of several days.
The pictures are of few colours and small; what differs from run to run is ids, serials and times.

    python -m tests.browser.gallery [--to FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
import httpx2
from PIL import Image
from playwright.async_api import Browser, Page

from mintage.app import DATABASE
from mintage.db import embedded
from tests.browser.browser import chromium
from tests.browser.console import PAGES, WEBHOOK_URL, Demo, ids_of, running_demo, signed_in

FOLDER = Path(__file__).parents[2] / "docs/gallery"
COLOURS = 64
BYTES_MAX = 60_000
HEIGHT_MAX = 1400
WIDE, NARROW = 1280, 390
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
ON_A_PHONE = ("overview", "mint-of-a-product", "unit", "batch", "exports")
SENTENCES = {
    "sign-in": ("Sign in", "By e-mail address and password."),
    "overview": ("Overview", "Figures, days, what is being minted, what looks like copies."),
    "mint": ("Mint: the product", "The wizard begins with the product."),
    "mint-of-a-product": (
        "Mint: quantity",
        "Serials of ours, brought ones, or lots; checked live.",
    ),
    "batches": ("Batches", "All of them, with filters."),
    "batch": ("A batch", "Its way, its lots, its packs, and everything that happened."),
    "units": ("Units", "Newest first, by batch and status."),
    "unit": ("A unit", "Its code, its address, its scans, and whether they look like a copy's."),
    "exports": ("Exports", "Every pack that was asked for."),
    "export": ("An export", "Its packs with size and SHA-256, while they are written and after."),
    "new-export": (
        "A new export",
        "Format, profile and options, with the first label as it prints.",
    ),
    "products": ("Products", "Their gates and identifiers."),
    "product": ("A product", "Gates, identifiers with their history, links, production batches."),
    "new-product": ("A new product", "What it is called and how it is identified."),
    "import-products": ("Import products", "From CSV or XLSX, with a dry run first."),
    "activity": ("Activity", "Every event, with filters, and as CSV."),
    "scans": ("Scans", "Every scan of a printed code."),
    "settings": ("Settings", "Members, API keys, defaults, thresholds, hosts."),
    "webhooks": ("Webhooks", "What is told to servers of yours, and how each delivery went."),
    "search": ("Search", "By the beginning of almost anything, or a pasted address."),
    "not-found": ("Not found", "What is not there says so."),
}
PUBLIC_SENTENCES = {
    "public-product": ("A product, scanned", "What the code of a genuine unit leads to."),
    "public-not-issued": ("A code that was not issued", "One page for every code that is none."),
    "public-revoked": ("A code that was withdrawn", "Of a revoked unit or a voided batch."),
}
PHONE_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
DELIVERIES = """
update webhook_delivery
set status = case when place = 2 then 'failed' else 'delivered' end,
  attempts = case when place = 2 then 9 else 1 end,
  next_try_at = null,
  lease_until = null,
  last_attempt_at = created_at + interval '1 second',
  delivered_at = case when place <> 2 then created_at + interval '1 second' end,
  failure = case when place = 2 then 'HTTP_STATUS' end,
  answer_code = case when place = 2 then 503 else 204 end,
  answer_excerpt = case when place = 2 then 'warehouse system is down' end
from (
  select brand_id as of_brand, id as of_id, row_number() over (order by created_at desc, id desc) as place
  from webhook_delivery
) as told
where brand_id = told.of_brand
  and id = told.of_id
"""
LAST_MONTH = "select ensure_scan_event_partitions(now() - interval '7 days', 2)"
"""Scans of some days ago may be of the month before this one."""
SCANS = """
insert into scan_event (
  brand_id, id, scanned_at, unit_id, mint_batch_id, product_id, outcome, traffic_class, country, browser, os,
  device, severity
)
select unit.brand_id, gen_random_uuid(), now() - n * interval '37 minutes', unit.id, unit.mint_batch_id,
  batch.product_id, case when n % 5 = 0 then 'activated' else 'already_active' end, 'human',
  (array['AT', 'DE', 'CH', 'IT'])[1 + n % 4], (array['Mobile Safari', 'Chrome Mobile'])[1 + n % 2],
  (array['iOS', 'Android'])[1 + n % 2], (array['iPhone', 'Pixel 8'])[1 + n % 2],
  case when n in (3, 4) then 'high' when n in (9, 21) then 'elevated' when n % 17 = 0 then 'review' end
from (
  select brand_id, id, mint_batch_id, row_number() over (order by id desc) as place
  from mint_unit
  where mint_batch_id = $1
  limit 40
) as unit
join generate_series(1, 240) as n on unit.place = case when n in (3, 4) then 1 else 1 + n % 40 end
join mint_batch as batch on batch.brand_id = unit.brand_id and batch.id = unit.mint_batch_id
"""
DAYS = """
insert into tally_delta (brand_id, day, metric, delta)
select $1, current_date - n, metric,
  case metric when 'scans' then 140 + (n * 97) % 260 else (n * 7919) % 38000 end
from generate_series(1, 26) as n, unnest(array['scans', 'units_minted']) as metric
where metric = 'scans' or n % 3 <> 0
"""


@dataclass(frozen=True)
class Picture:
    """One file: a page in a scheme, on a screen of `width`."""

    page: str
    scheme: str
    width: int

    @property
    def file(self) -> str:
        device = "" if self.width == WIDE else "phone-"
        return f"{self.page}-{device}{self.scheme}.png"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().to
    with (
        tempfile.TemporaryDirectory(prefix="mintage-gallery-") as data,
        running_demo(Path(data)) as demo,
    ):
        await furnish(demo, Path(data, "data"))
        async with chromium() as browser:
            pictures = await drawn(browser, demo)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    (folder / "README.md").write_text(index(), "utf-8")
    print(f"{len(pictures)} pictures, {sum(map(len, pictures.values())) / 1e6:.2f} MB, in {folder}")


async def furnish(demo: Demo, data: Path) -> None:
    """Lots, a voided batch, a revoked unit, packs, and scans of days that have been."""
    client = Service(demo)
    await client.call(
        "create_webhook",
        url=WEBHOOK_URL,
        event_types=["mint_job.completed", "mint_batch.status_changed", "export_group.completed"],
    )
    table, chair, lamp = (each["id"] for each in demo.facts["products"])
    for product_id, quantity, lots in (
        (chair, 4_000, None),
        (lamp, 900, [("2026-W46-A", 600), ("2026-W46-B", 300)]),
        (table, 12_000, None),
    ):
        batch_id = await client.mint(product_id, quantity, lots)
        if product_id == chair:
            await client.call(
                "set_mint_batch_status",
                mint_batch_id=batch_id,
                status="voided",
                reason="wrong sheet of labels",
            )
    await client.call("request_payload_packs", mint_batch_id=batch_id, format="labels_pdf")
    units = await client.call("list_mint_units", mint_batch_id=batch_id, limit=60)
    await client.call(
        "revoke_mint_units", unit_ids=[units["units"][50]["id"]], reason="reported as stolen"
    )
    for link_type, title in (
        ("gs1:pip", "Oak table"),
        ("gs1:instructions", "Assembly and care"),
        ("gs1:instructions", "Oiling the top"),
        ("gs1:support", "Have it repaired"),
        ("gs1:certificationInfo", "FSC certificate"),
    ):
        await client.call(
            "set_product_link",
            product_id=table,
            link_type=link_type,
            href=f"https://example.com/{title.lower().replace(' ', '-')}",
            title=title,
        )
    await client.call("create_api_key", name="ERP", scopes=["mint:read", "exports:read"])
    await client.packs_are_written()
    server = embedded.find(data)
    if server is None:
        raise RuntimeError("the demo has a database of its own")
    connection = await asyncpg.connect(await embedded.ensure_database(server, DATABASE))
    await connection.execute(LAST_MONTH)
    await connection.execute(SCANS, UUID(batch_id))
    await connection.execute(DAYS, UUID(demo.facts["brand_id"]))
    await connection.execute(DELIVERIES)
    await connection.close()


@dataclass(frozen=True)
class Service:
    """The demo's API, asked with its service key."""

    demo: Demo

    async def call(self, rpc: str, /, **arguments: object) -> dict[str, Any]:
        raw = {f"_{name}": value for name, value in arguments.items()}
        key = self.demo.facts["service_key"]
        async with httpx2.AsyncClient() as client:
            answer = await client.post(
                f"{self.demo.url}/rest/v1/rpc/{rpc}",
                json=raw | {"_brand_id": self.demo.facts["brand_id"]},
                headers={"authorization": f"Bearer {key}"},
            )
        content: dict[str, Any] = answer.json()
        if answer.status_code != 200 or content.get("ok") is False:
            raise RuntimeError(f"{rpc}: {content}")
        return content

    async def mint(self, product_id: str, quantity: int, lots: list[tuple[str, int]] | None) -> str:
        """Mint, and wait until it is done; the batch's id."""
        more: dict[str, object] = {"identity_mode": "serial"}
        if lots is not None:
            listed = [{"lot_code": code, "qty": count} for code, count in lots]
            more = {"identity_mode": "batch", "lots": listed}
        submitted = await self.call(
            "submit_mint_request",
            product_id=product_id,
            requested_quantity=quantity,
            activation_mode="first_scan",
            **more,
        )
        batch_id = str(submitted["mint_batch_id"])
        for _ in range(600):
            found = await self.call("get_mint_batch_by_id", mint_batch_id=batch_id)
            if found["batch"]["status"] == "minted":
                return batch_id
            await asyncio.sleep(0.1)
        raise RuntimeError("a batch was not minted within a minute")

    async def packs_are_written(self) -> None:
        """Wait until no pack is open."""
        for _ in range(600):
            listed = await self.call("list_payload_packs", limit=200)
            if all(pack["status"] == "completed" for pack in listed["packs"]):
                return
            await asyncio.sleep(0.1)
        raise RuntimeError("the packs were not written within a minute")


async def drawn(browser: Browser, demo: Demo) -> dict[str, bytes]:
    """Every picture by its file's name."""
    found: dict[str, bytes] = {}
    for scheme in SCHEMES:
        page = await signed_in(browser, demo, "owner", color_scheme=scheme)
        ids = await ids_of(page, demo)
        for width, names in ((WIDE, tuple(PAGES)), (NARROW, ON_A_PHONE)):
            await page.set_viewport_size({"width": width, "height": 800})
            for name in names:
                await page.goto(demo.home + PAGES[name].format(**ids))
                found[Picture(name, scheme, width).file] = await shot(page, width)
        await page.context.clear_cookies()
        await page.set_viewport_size({"width": WIDE, "height": 800})
        await page.goto(f"{demo.url}/console/sign-in")
        found[Picture("sign-in", scheme, WIDE).file] = await shot(page, WIDE)
        await page.context.close()
        found |= await drawn_in_public(browser, demo, scheme)
    return found


async def drawn_in_public(
    browser: Browser, demo: Demo, scheme: Literal["light", "dark"]
) -> dict[str, bytes]:
    """What a phone is shown that scans a genuine unit, a code of nobody's, and a revoked unit."""
    client = Service(demo)
    [product, *_] = demo.facts["products"]
    batch = (await client.call("list_mint_batches", product_id=product["id"]))["batches"][0]
    asked = {"mint_batch_id": batch["id"], "limit": 1}
    [genuine] = (await client.call("list_mint_units", **asked))["units"]
    [revoked] = (await client.call("list_mint_units", **asked, status="revoked"))["units"]
    genuine_url = str(genuine["resolver_url"])
    urls = {
        "public-product": genuine_url,
        "public-not-issued": genuine_url.rpartition("/")[0] + "/OAK-1",
        "public-revoked": str(revoked["resolver_url"]),
    }
    context = await browser.new_context(
        viewport={"width": NARROW, "height": 800}, color_scheme=scheme, user_agent=PHONE_AGENT
    )
    page = await context.new_page()
    found = {}
    for name, url in urls.items():
        await page.goto(url)
        if name == "public-product" and "/p/" not in page.url:
            raise RuntimeError(f"the scan led to {page.url}")
        found[Picture(name, scheme, NARROW).file] = await shot(page, NARROW)
    await context.close()
    return found


async def shot(page: Page, width: int) -> bytes:
    """The page as it stands once nothing is asked for any more, as a picture of few colours."""
    if await page.locator("#preview").count():
        await page.locator("#preview figure").wait_for()
    await page.set_viewport_size({"width": width, "height": 480})
    height = int(await page.evaluate("document.documentElement.scrollHeight"))
    await page.set_viewport_size({"width": width, "height": min(height, HEIGHT_MAX)})
    picture = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    for colours in (COLOURS, COLOURS // 2, COLOURS // 4):
        buffer = io.BytesIO()
        few = picture.quantize(colours, kmeans=2, dither=Image.Dither.NONE)
        few.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= BYTES_MAX:
            return buffer.getvalue()
    raise RuntimeError(f"{page.url} makes a picture of {buffer.tell():,} bytes")


def index() -> str:
    """The gallery's page: every page of the console with a sentence, light and dark."""
    lines = [
        "# The console in pictures",
        "",
        "Made by `make gallery` from a demo; looked at in light and dark. What the pages are for is in"
        " [The console](../console.md).",
    ]
    for name, (title, sentence) in SENTENCES.items():
        widths = [WIDE, *([NARROW] if name in ON_A_PHONE else [])]
        lines += ["", f"## {title}", "", sentence, ""]
        for width in widths:
            device = "" if width == WIDE else ", on a phone"
            lines += [
                f"![{title}{device}, {scheme}]({Picture(name, scheme, width).file})"
                for scheme in SCHEMES
            ]
    lines += [
        "",
        "## On the phone of who scans",
        "",
        "What the codes lead to: [The resolver](../concepts/resolver.md).",
    ]
    for name, (title, sentence) in PUBLIC_SENTENCES.items():
        lines += ["", f"### {title}", "", sentence, ""]
        lines += [
            f"![{title}, {scheme}]({Picture(name, scheme, NARROW).file})" for scheme in SCHEMES
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    asyncio.run(main())

"""What does each page of the console cost beside a bare page of the same server?

One server (uvicorn, uvloop, httptools) on an embedded database with 10,000,000 units of one brand in 200
batches, 200,000 events and scans, 100 products and an export. Every page, signed in, and the sign-in page (a
template, no database) in turns over one keep-alive connection of loopback: median of each, and their ratio.
Besides: the ratio of the least of each, which other load on the machine disturbs less.
Aim: ≤ 15 x.

    python -m bench.console [--units N] [--calls N] [--page NAME] [--data FOLDER]

With `--data` the database lies in that folder and stays there: the next run does not fill it again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, cast
from uuid import UUID

import asyncpg
import uvicorn
import uvloop
from tests.browser.console import PAGES

from bench import support
from bench.lists import Filled, fill, fill_events
from mintage.api.middleware import RequestIds
from mintage.console.app import build_console
from mintage.console.cookies import COOKIE, Cookies
from mintage.console.door import ConsoleDoor
from mintage.db.queries import query
from mintage.operations import accounts
from mintage.operations.call import ANONYMOUS, Call, Caller
from mintage.operations.tallies import METRICS
from mintage.secrets import Secrets, new_secrets_text, parse_secrets
from mintage.settings import read_settings
from mintage.storage import open_pack_store
from mintage.tokens import Session

BATCH_UNITS = 50_000
EVENTS = 200_000
SCANS = 200_000
PRODUCTS = 100
WARM_UP = 5
CALLS_A_MINUTE = 1_000_000
AIM = 15.0
BARE = "/console/sign-in"
LAST_MONTH = "select ensure_scan_event_partitions(now() - interval '7 days', 2)"
SCAN_ROWS = """
insert into scan_event (
  brand_id, id, scanned_at, unit_id, mint_batch_id, product_id, outcome, traffic_class, country, browser, os,
  device, severity
)
select $1, gen_random_uuid(), now() - n * interval '1 second', unit.id, unit.mint_batch_id, $2, 'recorded',
  'human',
  'AT', 'Safari', 'iOS', 'iPhone', case when n % 1000 = 0 then 'high' when n % 100 = 0 then 'elevated' end
from (
  select id, mint_batch_id, row_number() over () as n
  from mint_unit
  where brand_id = $1
  limit $3
) as unit
"""

WEBHOOK = """
with made as (
  insert into webhook (brand_id, id, url, event_types, status, secret_sealed, created_at)
  select $1, gen_random_uuid(), 'https://erp.example/hooks', '{mint_job.completed}', 'active', '\\x00', now()
  where not exists (select from webhook where brand_id = $1)
  returning brand_id, id
),
told as (
  insert into webhook_delivery (
    brand_id, id, webhook_id, event_id, event_type, data, status, attempts, delivered_at, created_at
  )
  select brand_id, gen_random_uuid(), made.id, gen_random_uuid(), 'mint_job.completed', '{}', 'delivered', 1,
    now(), now() - n * interval '1 minute'
  from made
  cross join generate_series(1, 1000) as n
)
select id from made
union all
select id from webhook where brand_id = $1
"""
DAYS = """
insert into brand_tally (brand_id, day, metric, value)
select $1, current_date - n, metric, 1000 + 37 * n
from generate_series(0, 89) as n
cross join unnest(array['scans', 'units_minted', 'units_activated']) as metric
on conflict do nothing
"""
TOTALS = """
insert into brand_total (brand_id, metric, value)
select $1, metric, 1000000
from unnest($2::text[]) as metric
on conflict do nothing
"""
KEPT = """
select
  pack.brand_id, member.user_id, batch.id as batch, batch.product_id as product,
  pack.export_group_id as "group", unit.id as unit, unit.serial_number as serial
from payload_pack as pack
join brand_member as member on member.brand_id = pack.brand_id
join mint_batch as batch on batch.brand_id = pack.brand_id and batch.id = pack.mint_batch_id
join lateral (
  select id, serial_number
  from mint_unit
  where brand_id = pack.brand_id and mint_batch_id = batch.id
  order by id
  limit 1
) as unit on true
order by pack.id
limit 1
"""


@dataclass(frozen=True)
class Stage:
    """A console that serves on `port`; `cookie` is the owner's, `ids` fill the addresses of PAGES."""

    port: int
    cookie: str
    slug: str
    ids: dict[str, str]


class Reader:
    """One keep-alive connection that asks for pages."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._stage.port)

    async def read(self, path: str, *, is_signed_in: bool) -> tuple[float, int, int]:
        """Seconds until the whole answer is there, its status, its bytes."""
        cookie = f"Cookie: {COOKIE}={self._stage.cookie}\r\n" if is_signed_in else ""
        request = f"GET {path} HTTP/1.1\r\nHost: mint.example.com\r\n{cookie}\r\n"
        started = time.perf_counter()
        self._writer.write(request.encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await self._reader.readexactly(length)
        return time.perf_counter() - started, int(head[9:12]), length

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def sign_in(filled: Filled, secrets: Secrets) -> str:
    """The cookie of a session of the brand's owner."""
    platform, user_id = filled.platform, filled.caller.id
    if user_id is None:
        raise LookupError("the brand has an owner")
    async with platform.database.transaction(ANONYMOUS.identity(None)) as connection:
        now = await connection.fetchval(query("access", "now"))
        call = Call(connection, ANONYMOUS, None, None, now, platform.limits, "bench")
        account = accounts.SignInAccount(user_id, "owner@example.com", "", now, now)
        opened = await accounts.open_session(call, account)
    return Cookies(secrets, is_https=True).session_token(Session(user_id, opened.id))


async def made(dsn: str, units: int) -> tuple[Filled, dict[str, str]]:
    """A database that is filled now, and the ids that addresses need."""
    filled = await fill(dsn, units, BATCH_UNITS)
    await fill_events(filled, EVENTS)
    return filled, await furnish(filled)


async def kept(dsn: str) -> tuple[Filled, dict[str, str]] | None:
    """As `made`, from a database that an earlier run has filled and kept; None for an empty one."""
    connection = await asyncpg.connect(dsn)
    row = await connection.fetchrow(KEPT)
    await connection.close()
    if row is None:
        return None
    platform = await support.open_platform(dsn)
    caller = Caller("user", row["user_id"])
    filled = Filled(
        dsn, platform, row["brand_id"], caller, row["batch"], row["serial"], row["unit"]
    )
    return filled, {name: str(row[name]) for name in ("product", "batch", "unit", "group")}


async def furnish(filled: Filled) -> dict[str, str]:
    """More products, scans and an export; the ids that addresses need."""
    for number in range(PRODUCTS - 1):
        await _ask(filled, "create_product", sku=f"TABLE-{number}", name=f"Table {number}")
    connection = await asyncpg.connect(filled.dsn)
    product_id = await connection.fetchval(
        "select product_id from mint_batch where brand_id = $1 limit 1", filled.brand_id
    )
    await connection.execute(LAST_MONTH)
    await connection.execute(SCAN_ROWS, filled.brand_id, product_id, SCANS)
    await connection.execute("vacuum analyze")
    await connection.close()
    group = await _ask(
        filled, "request_payload_packs", mint_batch_id=filled.batch_id, format="labels_pdf"
    )
    return {
        "product": str(product_id),
        "batch": str(filled.batch_id),
        "unit": str(filled.unit_id),
        "group": str(group["export_group_id"]),
    }


async def complete(filled: Filled) -> UUID:
    """Figures of the brand and of its days, and a webhook that has been told a thousand things: its id."""
    connection = await asyncpg.connect(filled.dsn)
    await connection.execute(DAYS, filled.brand_id)
    await connection.execute(TOTALS, filled.brand_id, list(METRICS))
    webhook_id: UUID = await connection.fetchval(WEBHOOK, filled.brand_id)
    await connection.close()
    return webhook_id


async def _ask(filled: Filled, name: str, /, **arguments: object) -> dict[str, object]:
    return await support.rpc(
        filled.platform, filled.caller, name, brand_id=filled.brand_id, **arguments
    )


async def measure(reader: Reader, path: str, calls: int) -> tuple[list[float], list[float], int]:
    """Seconds of the bare page and of `path`, in turns after a warm-up; and the page's bytes."""
    bare: list[float] = []
    page: list[float] = []
    size = 0
    for number in range(calls + WARM_UP):
        bare_s, status, _ = await reader.read(BARE, is_signed_in=False)
        page_s, page_status, size = await reader.read(path, is_signed_in=True)
        if status != 200 or page_status not in {200, 404}:
            raise RuntimeError(f"{path} answers {page_status}, the bare page {status}")
        if number >= WARM_UP:
            bare.append(bare_s)
            page.append(page_s)
    return bare, page, size


async def compare(stage: Stage, calls: int, only: str | None) -> None:
    """Print each page's milliseconds and ratio, and the highest ratio."""
    reader = Reader(stage)
    await reader.connect()
    ratios: dict[str, float] = {}
    for name, path in PAGES.items():
        if only not in {None, name}:
            continue
        url = f"/console/b/{stage.slug}/{path.format(**stage.ids)}"
        bare, page, size = await measure(reader, url, calls)
        ratios[name] = median(page) / median(bare)
        print(
            f"{name:20} {median(page) * 1000:6.2f} ms, bare {median(bare) * 1000:.2f} ms, "
            f"{size / 1000:.0f} kB; ratio {ratios[name]:.1f}; of the least of each "
            f"({min(page) * 1000:.2f} and {min(bare) * 1000:.2f} ms) {min(page) / min(bare):.1f}",
            flush=True,
        )
    await reader.close()
    worst = max(ratios, key=lambda name: ratios[name])
    print(
        f"console: {len(ratios)} pages, the highest ratio to a bare page is {ratios[worst]:.1f} x "
        f"({worst}; aim: at most {AIM:.0f}); medians of {calls} calls each"
    )


async def run(options: argparse.Namespace) -> None:
    logging.disable(logging.CRITICAL)
    secrets = parse_secrets(new_secrets_text())
    async with support.server(options.data) as dsn:
        filled, ids = await kept(dsn) or await made(dsn, options.units)
        ids |= {"webhook": str(await complete(filled))}
        # Calls are counted as ever, but the bench asks for more of them a minute than one person may.
        unhurried = replace(filled.platform.limits, calls_a_minute=CALLS_A_MINUTE)
        filled = replace(filled, platform=replace(filled.platform, limits=unhurried))
        with tempfile.TemporaryDirectory(prefix="mintage-bench-") as folder:
            door = _door(filled, secrets, Path(folder))
            listener = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(_config(RequestIds(build_console(door))))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            answer = await support.rpc(filled.platform, filled.caller, "list_my_brands")
            (brand,) = cast("list[dict[str, str]]", answer["brands"])
            port = listener.getsockname()[1]
            stage = Stage(port, await sign_in(filled, secrets), brand["slug"], ids)
            await compare(stage, options.calls, options.page)
            server.should_exit = True
            await serving
        await filled.platform.database.close()


def _door(filled: Filled, secrets: Secrets, folder: Path) -> ConsoleDoor:
    settings = read_settings(
        {"MINTAGE_DATA": str(folder), "MINTAGE_URL": "https://mint.example.com"}
    )

    async def nobody_signs_in(*_: Any) -> None:
        raise RuntimeError("the bench brings its own session")

    store = open_pack_store(None, settings.data_dir)
    return ConsoleDoor(filled.platform, settings, secrets, store, nobody_signs_in)


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=10_000_000)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--page", choices=sorted(PAGES))
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    uvloop.run(run(options))


if __name__ == "__main__":
    main()

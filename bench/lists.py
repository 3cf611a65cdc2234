"""Does a late page cost what the first costs, and a search in ten million tokens what it costs in few?

Two databases: one with 10,000,000 units and 2,000,000 events of one brand, one with 10,000 units. Units lie
as the minting core lays them, by its own COPY. Page 1 and page 10,000 (50 rows) of `list_mint_units` and of
`list_mint_events`, and searches by serial and by id in both databases, in turns through `perform`: median of
each, and their ratio. Aim: each ≤ 1.3. The plans are looked at as the application's role.

    python -m bench.lists [--units N] [--events N] [--calls N]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import uvloop

from bench import support
from mintage.db.copy_buffers import COLUMNS, pieces
from mintage.db.migrate import migrate
from mintage.db.paging import ListKey, encode_cursor
from mintage.db.queries import query
from mintage.operations.call import Caller
from mintage.operations.listing import BEGINNING, END, HIGHEST_ID, LOWEST_ID
from mintage.operations.mint_chunks import ChunkPlan, build_chunk
from mintage.perform import Platform
from mintage.rules.prefixes import id_range, text_range
from mintage.rules.serials import draw_prefix
from mintage.rules.unit_ids import draw_unit_id_low

SMALL_UNITS = 10_000
BATCH_UNITS_MAX = 1_000_000
CHUNK_UNITS = 20_000
PAGE_ROWS = 50
LATE_PAGE = 10_000
LARGE_TABLES = {"mint_unit", "mint_event"}
BATCH = """
with job as (
  insert into mint_job (
    brand_id, id, operation, arguments, arguments_sha256, status, product_id, requested_quantity,
    identity_mode, activation_mode, created_by_type, created_at, updated_at, finished_at
  )
  values (
    $1, $2, 'submit_mint_request', '{}', '', 'COMPLETED', $3, $4, 'serial', 'first_scan', 'user', $7, $7, $7
  )
)
insert into mint_batch (
  brand_id, id, mint_job_id, product_id, identity_mode, activation_mode, status, requested_quantity,
  minted_quantity, unit_id_low, serial_prefix, serial_strata, created_by_type, created_at, updated_at,
  minted_at
)
values ($1, $2, $2, $3, 'serial', 'first_scan', 'minted', $4, $4, $5, $6, $4, 'user', $7, $7, $7)
"""
EVENTS = """
insert into mint_event (
  brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, payload, created_at
)
select $1, gen_random_uuid(), $2, $2, 'mint_units_created', 'system', '{"count": 20000}',
  now() - n * interval '1 second'
from generate_series(1, $3::integer) as n
"""
LATE_EVENT = """
select created_at, id
from mint_event
where brand_id = $1
order by created_at desc, id desc
offset $2
limit 1
"""
LATE_UNIT = "select id from mint_unit where brand_id = $1 order by id desc offset $2 limit 1"


@dataclass(frozen=True)
class Filled:
    """A database with units of one brand; `serial` and `unit_id` are of one in their midst."""

    dsn: str
    platform: Platform
    brand_id: UUID
    caller: Caller
    batch_id: UUID
    serial: str
    unit_id: UUID


async def fill(dsn: str, units: int, batch_units: int = BATCH_UNITS_MAX) -> Filled:
    """A brand with `units`, in batches of `batch_units` at most."""
    started = time.perf_counter()
    platform = await support.open_platform(dsn)
    brand_id, caller = await support.make_brand(platform.database)
    product_id = await support.make_product(platform, caller, brand_id)
    connection = await asyncpg.connect(dsn)
    batch_id = uuid4()
    for first in range(0, units, batch_units):
        batch_id = uuid4()
        count = min(batch_units, units - first)
        await _mint(connection, brand_id, product_id, batch_id, count)
    await connection.execute("vacuum analyze")
    row = await connection.fetchrow(
        "select id, serial_number from mint_unit where brand_id = $1 order by id offset $2 limit 1",
        brand_id,
        units // 2,
    )
    await connection.close()
    if row is None:
        raise LookupError("no unit was made")
    print(f"{units:,} units in {time.perf_counter() - started:.0f} s", flush=True)
    return Filled(dsn, platform, brand_id, caller, batch_id, row["serial_number"], row["id"])


async def _mint(
    connection: asyncpg.Connection[asyncpg.Record],
    brand_id: UUID,
    product_id: UUID,
    batch_id: UUID,
    count: int,
) -> None:
    """A batch and its units, as the minting core lays them."""
    now = datetime.now(UTC)
    low = draw_unit_id_low(int(now.timestamp() * 1000), os.urandom)
    prefix = draw_prefix(os.urandom)
    await connection.execute(BATCH, brand_id, batch_id, product_id, count, low, prefix, now)
    plan: ChunkPlan | None = ChunkPlan(
        brand_id=brand_id,
        mint_batch_id=batch_id,
        unit_id_low=low,
        requested_quantity=count,
        first_unit_no=0,
        count=min(CHUNK_UNITS, count),
        serial_prefix=prefix,
        serial_strata=count,
    )
    while plan is not None:
        buffer = build_chunk(plan, None, now)
        await connection.copy_to_table(
            "mint_unit", columns=COLUMNS, source=pieces(buffer), format="binary"
        )
        plan = plan.next(CHUNK_UNITS)


async def fill_events(filled: Filled, events: int) -> None:
    """Events of the brand's last batch, a second between any two."""
    started = time.perf_counter()
    connection = await asyncpg.connect(filled.dsn)
    await connection.execute(EVENTS, filled.brand_id, filled.batch_id, events)
    await connection.execute("vacuum analyze mint_event")
    await connection.close()
    print(f"{events:,} events in {time.perf_counter() - started:.0f} s", flush=True)


async def late_cursor(filled: Filled, rpc: str, statement: str) -> str:
    """The cursor with which page 10,000 begins, as the list itself would make it."""
    names = {
        "list_mint_units": ("batch", "lot", "status"),
        "list_mint_events": ("batch", "job", "type", "from", "to"),
    }[rpc]
    connection = await asyncpg.connect(filled.dsn)
    row = await connection.fetchrow(statement, filled.brand_id, (LATE_PAGE - 1) * PAGE_ROWS - 1)
    await connection.close()
    if row is None:
        raise LookupError(f"there are no {LATE_PAGE:,} pages")
    place = [
        value.isoformat() if isinstance(value, datetime) else str(value) for value in row.values()
    ]
    return encode_cursor(ListKey(rpc, filled.brand_id, dict.fromkeys(names)), place)


async def compare(
    title: str,
    calls: int,
    first: Callable[[], Awaitable[int]],
    second: Callable[[], Awaitable[int]],
) -> None:
    """Time both in turns, after a warm-up; they answer as many rows each."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(calls + 20):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        rows = [0, 0]
        for side in order:
            started = time.perf_counter()
            rows[side] = await (first, second)[side]()
            if number >= 20:
                times[side].append(time.perf_counter() - started)
        if rows[0] != rows[1] or not rows[0]:
            raise RuntimeError(f"{title}: {rows[0]} and {rows[1]} rows are not the same work")
    near, far = (median(side) * 1000 for side in times)
    print(f"{title}: {near:.2f} ms and {far:.2f} ms; ratio {far / near:.3f} x", flush=True)


def pages(filled: Filled, rpc: str, key: str, cursor: str | None) -> Callable[[], Awaitable[int]]:
    """A call that reads one page, and says how many rows it has."""

    async def call() -> int:
        answer = await support.rpc(
            filled.platform,
            filled.caller,
            rpc,
            brand_id=filled.brand_id,
            limit=PAGE_ROWS,
            cursor=cursor,
        )
        rows = answer[key]
        return len(rows) if isinstance(rows, list) else 0

    return call


def searches(filled: Filled, text: str) -> Callable[[], Awaitable[int]]:
    """A call that searches, and says how many tokens were found."""

    async def call() -> int:
        answer = await support.rpc(
            filled.platform,
            filled.caller,
            "search_brand_objects_v1",
            brand_id=filled.brand_id,
            query=text,
        )
        results = answer["results"]
        if not isinstance(results, list):
            return 0
        return sum(result["object_type"] == "token" for result in results)

    return call


async def assert_plans(filled: Filled) -> None:
    """Each statement reads its index, as the application's role; `RuntimeError` otherwise."""
    ids, serials = id_range(str(filled.unit_id)[:14]), text_range(filled.serial[:4])
    if ids is None:
        raise ValueError("an id begins with its own beginning")
    first = (filled.brand_id, LOWEST_ID, HIGHEST_ID, PAGE_ROWS + 1, None)
    newest = (filled.brand_id, BEGINNING, END, HIGHEST_ID, PAGE_ROWS + 1)
    found = (filled.brand_id, ids.lowest, ids.highest, serials.lowest, serials.end, None, None)
    cases: tuple[tuple[str, str, tuple[object, ...], set[str]], ...] = (
        ("mint_unit", "list", first, {"mint_unit_pkey"}),
        ("mint_event", "list_newest", newest, {"mint_event_newest"}),
        ("search", "tokens", found, {"mint_unit_pkey", "mint_unit_serial"}),
    )
    identity = filled.caller.identity(filled.brand_id)
    for noun, name, values, indexes in cases:
        async with filled.platform.database.transaction(identity, read_only=True) as connection:
            told = await connection.fetchval(f"explain (format json) {query(noun, name)}", *values)
        nodes = list(_nodes(json.loads(told)[0]["Plan"]))
        used = {node.get("Index Name") for node in nodes}
        read_through = {
            node.get("Relation Name") for node in nodes if node["Node Type"] == "Seq Scan"
        }
        if not indexes <= used or read_through & LARGE_TABLES:
            raise RuntimeError(f"{noun}.{name} does not use {indexes - used}: {told}")
    print(f"plans of {len(cases)} statements as mintage_app: ranges of their indexes", flush=True)


def _nodes(node: dict[str, object]) -> list[dict[str, object]]:
    inner = node.get("Plans", [])
    below = inner if isinstance(inner, list) else []
    return [node, *(each for plan in below for each in _nodes(plan))]


async def run(units: int, events: int, calls: int) -> None:
    async with support.server() as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("create database small")
        await connection.close()
        small_dsn = urlunsplit(urlsplit(dsn)._replace(path="/small"))
        await migrate(small_dsn)
        small, large = await fill(small_dsn, SMALL_UNITS), await fill(dsn, units)
        await fill_events(large, events)
        await assert_plans(large)
        for title, rpc, key, statement in (
            ("units", "list_mint_units", "units", LATE_UNIT),
            ("events", "list_mint_events", "events", LATE_EVENT),
        ):
            cursor = await late_cursor(large, rpc, statement)
            await compare(
                f"{title}, page 1 and page {LATE_PAGE:,}",
                calls,
                pages(large, rpc, key, None),
                pages(large, rpc, key, cursor),
            )
        await compare(
            f"search by serial, in {SMALL_UNITS:,} and {units:,} tokens",
            calls,
            searches(small, small.serial[:4]),
            searches(large, large.serial[:4]),
        )
        await compare(
            f"search by id, in {SMALL_UNITS:,} and {units:,} tokens",
            calls,
            searches(small, str(small.unit_id)[:14]),
            searches(large, str(large.unit_id)[:14]),
        )
        for filled in (small, large):
            await filled.platform.database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    uvloop.run(run(options.units, options.events, options.calls))


if __name__ == "__main__":
    main()

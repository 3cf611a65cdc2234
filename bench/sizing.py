"""What does a million identities take, on disk and in the log, and how fast is each part of the road here?

The figures that docs/running.md plans with, on an embedded PostgreSQL of its own: units are minted, serials
are brought, packs are written, units are activated and scanned. Sizes are of tables with their indexes, after
a vacuum; log is what the server writes ahead, full-page images as they came. Rates are of this machine and
this run: `bench.mint`, `bench.packs` and `bench.resolve` compare with yardsticks.

    python -m bench.sizing [--units N] [--scans N]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import uvloop

from bench import support
from mintage.operations.call import SERVICE, SYSTEM, Call, Caller, new_id
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import Subject
from mintage.operations.scanning import FirstScan, Scan, activate_units, record_scans
from mintage.perform import Platform
from mintage.storage import open_pack_store

UNITS = 1_000_000
SCANS = 200_000
SCANS_TOGETHER = 500
SIZES = "select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint from pg_partition_tree($1::regclass)"
PARTITIONED = {"scan_event"}


class Scale:
    """Weighs what a stage of the road leaves in a table and in the log."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def weighed(self, what: str, count: int, table: str, deed: Awaitable[object]) -> None:
        """Do the deed, which makes `count` things of one kind in `table`; print what each took."""
        size, log = await self._size(table), await self._log()
        started = time.perf_counter()
        await deed
        elapsed_s = time.perf_counter() - started
        log_bytes = await self._log() - log
        await self._connection.execute(f"vacuum analyze {table}")
        size_bytes = await self._size(table) - size
        print(
            f"{what:34} {count / elapsed_s:12,.0f} a second · {size_bytes / count:7.1f} bytes each in "
            f"{table} · {log_bytes / count:7.1f} bytes each in the log",
            flush=True,
        )

    async def _size(self, table: str) -> int:
        if table in PARTITIONED:
            found = await self._connection.fetchval(SIZES, table)
        else:
            found = await self._connection.fetchval(
                "select pg_total_relation_size($1::regclass)", table
            )
        return int(found)

    async def _log(self) -> int:
        found = await self._connection.fetchval(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        )
        return int(found)


async def minted(
    platform: Platform, caller: Caller, brand_id: UUID, product_id: UUID, units: int, **more: object
) -> UUID:
    """A batch of `units`, minted; its id."""
    submitted = await support.rpc(
        platform,
        caller,
        "submit_mint_request",
        brand_id=brand_id,
        product_id=product_id,
        requested_quantity=units,
        identity_mode="serial",
        activation_mode="first_scan",
        **more,
    )
    while not (await support.rpc(platform, SERVICE, "process_mint_job_batch"))["done"]:
        pass
    return UUID(str(submitted["mint_batch_id"]))


async def packed(platform: Platform, brand_id: UUID, batch_id: UUID, folder: Path) -> None:
    """Every csv pack of a batch, in a folder; prints the bytes."""
    store = open_pack_store(None, folder)
    started = time.perf_counter()
    await support.rpc(
        platform, SERVICE, "request_payload_packs", brand_id=brand_id, mint_batch_id=batch_id
    )
    while (
        await process_payload_pack(platform.transactions(SYSTEM, "bench"), store)
    ).result != "idle":
        pass
    elapsed_s = time.perf_counter() - started
    sizes = [path.stat().st_size for path in folder.rglob("*.csv")]
    rows = sum(path.read_bytes().count(b"\n") - 1 for path in folder.rglob("*.csv"))
    print(
        f"{'packed as csv':34} {rows / elapsed_s:12,.0f} a second · {sum(sizes) / rows:7.1f} bytes each "
        f"in files"
    )


async def activated(platform: Platform, brand_id: UUID, subjects: list[Subject]) -> None:
    now = datetime.now(UTC)
    for chunk in _chunks(subjects):
        async with platform.transactions(SERVICE, "bench").call(brand_id) as call:
            await activate_units(call, [FirstScan(subject, now) for subject in chunk])


async def scanned(platform: Platform, brand_id: UUID, subjects: list[Subject]) -> None:
    dice = random.Random(1)  # noqa: S311
    for chunk in _chunks(subjects):
        async with platform.transactions(SERVICE, "bench").call(brand_id) as call:
            await record_scans(call, [_scan(call, subject, dice) for subject in chunk])


def _scan(call: Call, subject: Subject, dice: random.Random) -> Scan:
    return Scan(
        id=new_id(call.now),
        scanned_at=call.now,
        subject=subject,
        outcome="already_active",
        traffic_class="human",
        ip_prefix=f"198.51.{dice.randrange(256)}.0/24",
        browser="Mobile Safari 17",
        os="iOS 17",
        device="iPhone",
        path="/01/09506000134352/21/AYH8AZZYV7VZ0XEJ",
        country="AT",
    )


def _chunks(subjects: list[Subject]) -> list[list[Subject]]:
    return [
        subjects[start : start + SCANS_TOGETHER]
        for start in range(0, len(subjects), SCANS_TOGETHER)
    ]


async def main(units: int, scans: int) -> None:
    async with support.server() as dsn:
        platform = await support.open_platform(dsn)
        brand_id, caller = await support.make_brand(platform.database)
        product_id = await support.make_product(platform, caller, brand_id)
        connection = await asyncpg.connect(dsn)
        scale = Scale(connection)
        subject = (platform, caller, brand_id, product_id)
        await scale.weighed("minted", units, "mint_unit", minted(*subject, units))
        serials = [f"BROUGHT{number:09d}" for number in range(units // 10)]
        await scale.weighed(
            "minted from brought serials",
            len(serials),
            "serial_registry",
            minted(*subject, len(serials), serials=serials),
        )
        batch_id = await connection.fetchval(
            "select id from mint_batch order by requested_quantity desc limit 1"
        )
        with tempfile.TemporaryDirectory() as folder:
            await packed(platform, brand_id, batch_id, Path(folder))
        rows = await connection.fetch(
            "select id from mint_unit where brand_id = $1 and mint_batch_id = $2 order by md5(id::text) "
            "limit $3",
            brand_id,
            batch_id,
            scans,
        )
        subjects = [
            Subject(product_id, status="minted", mint_batch_id=batch_id, unit_id=row["id"])
            for row in rows
        ]
        await scale.weighed(
            "activated", len(subjects), "unit_state", activated(platform, brand_id, subjects)
        )
        await scale.weighed(
            "scans stored", len(subjects), "scan_event", scanned(platform, brand_id, subjects)
        )
        await connection.close()
        await platform.database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--scans", type=int, default=SCANS)
    chosen = parser.parse_args()
    uvloop.run(main(chosen.units, chosen.scans))

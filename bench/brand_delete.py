"""Does deleting a brand stay bounded, however many units it has, and does it go on where it was killed?

A brand of --units (1,000,000) is deleted by a process of its own that is killed with SIGKILL half way and
started again; then everything of it is counted, and everything of the brand beside it. Printed: the time by
unit against the yardstick, one transaction that deletes as many units with one bare statement; the longest
transaction, and the most rows of one; the peak memory of the process against that of one that deletes a
tenth as many.

    python -m bench.brand_delete [--units N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop

from bench import support
from mintage.operations.brand_delete import TABLES, delete_brand
from mintage.operations.call import SERVICE
from mintage.perform import Platform
from mintage.storage import open_pack_store
from mintage.telemetry import configure_logs

UNITS = 1_000_000
CYCLE_UNITS = 20_000


@dataclass
class Told:
    """What deleting processes have told: a transaction each, by its table, with its rows and seconds."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    peak_mib: float = 0.0

    def units(self) -> int:
        return sum(step["rows"] for step in self.steps if step["what"] == "mint_unit")

    def unit_s(self) -> float:
        """Seconds a unit, of the transactions that deleted units."""
        seconds: float = sum(s["seconds"] for s in self.steps if s["what"] == "mint_unit")
        return seconds / max(1, self.units())


async def deleting(dsn: str, folder: Path, slug: str) -> None:
    """The process that deletes: a line for each transaction, and one for what it has used."""
    configure_logs(level="error")
    platform = await support.open_platform(dsn)
    began = time.perf_counter()

    def tell(what: str, rows: int) -> None:
        nonlocal began
        seconds = time.perf_counter() - began
        print(json.dumps({"what": what, "rows": rows, "seconds": seconds}), flush=True)
        began = time.perf_counter()

    await delete_brand(platform.database, open_pack_store(None, folder), slug, told=tell)
    print(json.dumps(support.used()), flush=True)
    await platform.database.close()


async def delete(dsn: str, folder: Path, slug: str, told: Told, kill_at: int | None = None) -> int:
    """Run such a process, and kill it once that many units are gone; its exit code."""
    words = ("-m", "bench.brand_delete", "--deleting", dsn, str(folder), slug)
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE)
    assert process.stdout is not None
    async for line in process.stdout:
        step = json.loads(line)
        if "what" not in step:
            told.peak_mib = step["peak_mib"]
            continue
        told.steps.append(step)
        if kill_at is not None and told.units() >= kill_at:
            process.send_signal(signal.SIGKILL)
            kill_at = None
    return await process.wait()


async def brand_of(platform: Platform, units: int) -> tuple[UUID, str]:
    """A brand with so many minted units; its id and slug."""
    brand_id, caller = await support.make_brand(platform.database)
    product_id = await support.make_product(platform, caller, brand_id)
    await support.rpc(
        platform,
        caller,
        "submit_mint_request",
        brand_id=brand_id,
        product_id=product_id,
        requested_quantity=units,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    is_done: object = False
    while not is_done:
        answer = await support.rpc(
            platform, SERVICE, "process_mint_job_batch", batch_size=CYCLE_UNITS
        )
        is_done = answer["done"]
    return brand_id, f"bench-{brand_id.hex[:8]}"


async def rows_of(platform: Platform, brand_id: UUID) -> int:
    """All rows of a brand, in all its tables."""
    counts = [
        await platform.database.pool.fetchval(
            f"select count(*) from {table} where brand_id = $1", brand_id
        )
        for table in TABLES
    ]
    return sum(counts)


async def run(units: int) -> str:
    with tempfile.TemporaryDirectory(prefix="mintage-bench-packs-") as name:
        folder = Path(name)
        async with support.server() as dsn:
            platform = await support.open_platform(dsn)
            bare, _ = await brand_of(platform, units)
            kept, _ = await brand_of(platform, CYCLE_UNITS)
            _, small = await brand_of(platform, max(1, units // 10))
            brand_id, slug = await brand_of(platform, units)
            for statement in ("vacuum analyze", "checkpoint"):
                await platform.database.pool.execute(statement)
            kept_rows = await rows_of(platform, kept)

            little, much = Told(), Told()
            if await delete(dsn, folder, small, little) != 0:
                raise RuntimeError("the small brand was not deleted")
            if await delete(dsn, folder, slug, much, kill_at=units // 2) != -signal.SIGKILL:
                raise RuntimeError("the process was not killed")
            left = await rows_of(platform, brand_id)
            if not units // 4 < left < units * 3 // 4 + CYCLE_UNITS:
                raise RuntimeError(f"{left} rows are left of {units} units, half way")
            if await delete(dsn, folder, slug, much) != 0:
                raise RuntimeError("the second process did not go on")
            if await rows_of(platform, brand_id) != 0 or await rows_of(platform, kept) != kept_rows:
                raise RuntimeError("rows are left of the brand, or gone of another")

            began = time.perf_counter()
            await platform.database.pool.execute(
                "delete from mint_unit where brand_id = $1", bare, timeout=600
            )
            bare_s = (time.perf_counter() - began) / units
            await platform.database.close()
    longest = max(much.steps, key=lambda step: step["seconds"])
    return (
        f"brand_delete: {units:,} units, killed half way: {1 / much.unit_s():,.0f} a second, "
        f"ratio {much.unit_s() / bare_s:.2f} x one bare statement; {len(much.steps)} transactions, "
        f"the longest {longest['seconds'] * 1000:.0f} ms ({longest['what']}), "
        f"at most {max(step['rows'] for step in much.steps):,} rows; "
        f"peak {much.peak_mib:.0f} MiB, {much.peak_mib / little.peak_mib:.3f} x that of a tenth"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--deleting", nargs=3, metavar=("DSN", "FOLDER", "SLUG"))
    options = parser.parse_args()
    if options.deleting:
        dsn, folder, slug = options.deleting
        uvloop.run(deleting(dsn, Path(folder), slug))
    else:
        print(uvloop.run(run(options.units)))


if __name__ == "__main__":
    main()

"""Does a chunk take longer in a large database than in a small one?

A chunk of 20,000 units is minted in a database with 1,000,000 units and in one that has grown to 10,000,000
(and further, by --millions): jobs of 5 chunks, one here, one there, on one server. Both are filled by
minting, as a platform of that age is. Aim: ≤ 1.2 times the small one's time.

    python -m bench.mint_growth [--millions 10,50] [--pairs N] [--data DIR]

With --data the server's directory is kept, and a later run goes on with its units; 10 million take
about 3 GiB.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import UUID

import uvloop

from bench import support
from mintage.db import embedded
from mintage.db.migrate import migrate
from mintage.operations.call import SERVICE, Caller
from mintage.perform import Platform

MILLION = 1_000_000
CYCLE_UNITS = 20_000
JOB_CHUNKS = 5


@dataclass(frozen=True)
class Grown:
    """A database with one brand that mints."""

    platform: Platform
    brand_id: UUID
    caller: Caller
    product_id: UUID

    async def mint(self, units: int) -> list[float]:
        """Mint a job of `units`; the seconds of each chunk."""
        await support.rpc(
            self.platform,
            self.caller,
            "submit_mint_request",
            brand_id=self.brand_id,
            product_id=self.product_id,
            requested_quantity=units,
            identity_mode="serial",
            activation_mode="first_scan",
        )
        chunks_s = []
        is_done: object = False
        while not is_done:
            started = time.perf_counter()
            answer = await support.rpc(
                self.platform, SERVICE, "process_mint_job_batch", batch_size=CYCLE_UNITS
            )
            chunks_s.append(time.perf_counter() - started)
            is_done = answer["done"]
        return chunks_s

    async def units(self) -> int:
        counted: int = await self.platform.database.pool.fetchval(
            "select coalesce(sum(minted_quantity), 0)::bigint from mint_batch"
        )
        return counted

    async def grow_to(self, units: int) -> None:
        while (missing := units - await self.units()) > 0:
            await self.mint(min(missing, MILLION))
            print(f"\r{await self.units():,} units", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        await self.platform.database.pool.execute("analyze")

    async def sizes(self) -> str:
        """The table and its indexes, in GiB."""
        table, indexes = await self.platform.database.pool.fetchrow(
            "select pg_table_size('mint_unit') / 2.0 ^ 30, pg_indexes_size('mint_unit') / 2.0 ^ 30"
        ) or (0, 0)
        return f"table {table:.1f} GiB, indexes {indexes:.1f} GiB"


async def opened(dsn: str) -> Grown:
    """The brand of a database, made if it has none."""
    await migrate(dsn)
    platform = await support.open_platform(dsn)
    row = await platform.database.pool.fetchrow(
        "select product.brand_id, product.id, brand_member.user_id "
        "from product join brand_member on brand_member.brand_id = product.brand_id"
    )
    if row is not None:
        return Grown(platform, row["brand_id"], Caller("user", row["user_id"]), row["id"])
    brand_id, caller = await support.make_brand(platform.database)
    product_id = await support.make_product(platform, caller, brand_id)
    return Grown(platform, brand_id, caller, product_id)


@asynccontextmanager
async def databases(folder: Path) -> AsyncIterator[tuple[Grown, Grown]]:
    server = await embedded.start(folder)
    try:
        small = await opened(await embedded.ensure_database(server, "small"))
        large = await opened(await embedded.ensure_database(server, "large"))
        yield small, large
        await small.platform.database.close()
        await large.platform.database.close()
    finally:
        await embedded.stop(server)


async def compare(small: Grown, large: Grown, pairs: int) -> str:
    """`pairs` jobs in each, by turns; a job's first chunk, which was not built ahead, is left out."""
    ratios, small_s, large_s = [], [], []
    await large.platform.database.pool.execute("checkpoint")
    for pair in range(pairs + 1):
        turns: Sequence[Grown] = (small, large) if pair % 2 == 0 else (large, small)
        taken = {id(turn): await turn.mint(JOB_CHUNKS * CYCLE_UNITS) for turn in turns}
        if pair == 0:
            continue  # What stood still for a while is read in again.
        here, there = (median(taken[id(which)][1:]) for which in (small, large))
        ratios.append(there / here)
        small_s.append(here)
        large_s.append(there)
    return (
        f"ratio {support.spread(ratios)} x; a chunk takes "
        f"{median(small_s) * 1000:.0f} ms and {median(large_s) * 1000:.0f} ms"
    )


async def run(folder: Path, millions: list[int], pairs: int) -> None:
    async with databases(folder) as (small, large):
        await small.grow_to(MILLION)
        for size in millions:
            await large.grow_to(size * MILLION)
            figures = await compare(small, large, pairs)
            here, there = await small.units() / MILLION, await large.units() / MILLION
            print(
                f"mint_growth: {there:.1f} against {here:.1f} million units "
                f"({await large.sizes()}): {figures}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", default="10", help="sizes to grow to, by comma, rising")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--data", type=Path, help="a directory that is kept")
    options = parser.parse_args()
    millions = [int(size) for size in options.millions.split(",")]
    folder = options.data or Path(tempfile.mkdtemp(prefix="mintage-bench-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    try:
        uvloop.run(run(folder.absolute(), millions, options.pairs))
    finally:
        if options.data is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

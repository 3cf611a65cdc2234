"""How close to the bare database does exporting come?

The csv packs of 1,000,000 units: the engine's whole work (claims, queries, URLs, bytes, SHA-256, files
that are made to last, closing), by as many steps at once as a worker makes; against one bare
`copy (select …) to stdout` of the same six columns, which the client throws away. Alternating, median of
3 pairs; each side runs in a process of its own, whose CPU and peak memory are printed. Aim: ≥ 0.80 ×,
the client under 200 MiB.

    python -m bench.packs [--units N] [--pairs N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from uuid import UUID

import asyncpg
import uvloop

from bench import support
from mintage.operations.call import SERVICE, SYSTEM
from mintage.operations.pack_execution import process_payload_pack
from mintage.storage import PackStore, open_pack_store


async def mint(dsn: str, units: int) -> tuple[UUID, UUID]:
    """A brand with one minted batch of `units`; their ids."""
    platform = await support.open_platform(dsn)
    brand_id, caller = await support.make_brand(platform.database)
    product_id = await support.make_product(platform, caller, brand_id)
    submitted = await support.rpc(
        platform,
        caller,
        "submit_mint_request",
        brand_id=brand_id,
        product_id=product_id,
        requested_quantity=units,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    while not (await support.rpc(platform, SERVICE, "process_mint_job_batch"))["done"]:
        pass
    async with platform.database.pool.acquire() as connection:
        await connection.execute("vacuum analyze mint_unit")
    await platform.database.close()
    return brand_id, UUID(str(submitted["mint_batch_id"]))


async def product_side(dsn: str, brand_id: UUID, batch_id: UUID, folder: Path) -> float:
    """Seconds from the request to the last pack's closing."""
    platform = await support.open_platform(dsn)
    store = open_pack_store(None, folder)

    async def step_by_step(store: PackStore) -> int:
        count = 0
        while True:
            outcome = await process_payload_pack(platform.transactions(SYSTEM, "bench"), store)
            if outcome.result == "idle":
                return count
            if outcome.result != "completed":
                raise RuntimeError(f"a pack is {outcome}")
            count += 1

    started = time.perf_counter()
    requested = await support.rpc(
        platform, SERVICE, "request_payload_packs", brand_id=brand_id, mint_batch_id=batch_id
    )
    counts = await asyncio.gather(
        *(step_by_step(store) for _ in range(platform.limits.packs_at_once))
    )
    elapsed_s = time.perf_counter() - started
    # The last one is the group's manifest, which is not counted.
    if sum(counts) - 1 != requested["pack_count"]:
        raise RuntimeError(f"{counts} packs were written of {requested['pack_count']}")
    await platform.database.close()
    return elapsed_s


async def yardstick_side(dsn: str, brand_id: UUID, batch_id: UUID) -> float:
    """Seconds for the bare COPY of the same columns, its bytes thrown away."""
    connection = await asyncpg.connect(dsn)
    received = 0

    async def throw_away(data: bytes) -> None:
        nonlocal received
        received += len(data)

    started = time.perf_counter()
    await connection.copy_from_query(
        "select id, 'https://bench.example.com/01/09506000134352/21/' || serial_number, serial_number,"
        " '09506000134352', 'minted', created_at"
        f" from mint_unit where brand_id = '{brand_id}' and mint_batch_id = '{batch_id}' order by id",
        output=throw_away,
        format="csv",
        force_quote=True,
    )
    elapsed_s = time.perf_counter() - started
    await connection.close()
    return elapsed_s


def measure(side: str, arguments: list[str]) -> dict[str, float]:
    return support.in_process("bench.packs", ["--side", side, *arguments])


async def compare(units: int, pairs: int) -> None:
    async with support.server() as dsn:
        brand_id, batch_id = await mint(dsn, units)
        common = ["--dsn", dsn, "--brand", str(brand_id), "--batch", str(batch_id)]
        rows = []
        for pair, order in enumerate(support.turns(pairs, "product", "yardstick")):
            figures = {side: measure(side, common) for side in order}
            rows.append(figures)
            print(
                f"pair {pair + 1}: packed in {figures['product']['wall_s']:.2f} s, "
                f"bare COPY in {figures['yardstick']['wall_s']:.2f} s",
                flush=True,
            )
    ratios = [row["yardstick"]["wall_s"] / row["product"]["wall_s"] for row in rows]
    rates = [units / row["product"]["wall_s"] for row in rows]
    print(
        f"csv packs: {median(rates):,.0f} units/s; ratio to bare COPY {support.spread(ratios)} x; "
        f"client CPU {median(row['product']['cpu_s'] for row in rows):.2f} s; "
        f"client peak {max(row['product']['peak_mib'] for row in rows):.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--side", choices=("product", "yardstick"))
    for name in ("dsn", "brand", "batch"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    if options.side is None:
        uvloop.run(compare(options.units, options.pairs))
        return
    brand_id, batch_id = UUID(options.brand), UUID(options.batch)
    with tempfile.TemporaryDirectory(prefix="mintage-bench-") as folder:
        if options.side == "product":
            side = product_side(options.dsn, brand_id, batch_id, Path(folder))
        else:
            side = yardstick_side(options.dsn, brand_id, batch_id)
        wall_s = uvloop.run(side)
    print(json.dumps({"wall_s": wall_s} | support.used()))


if __name__ == "__main__":
    main()

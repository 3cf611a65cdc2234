"""How close to the bare database does minting come?

1,000,000 units through submit and cycles of 20,000, against a bare binary COPY of prebuilt buffers of the
same rows into the same table, one COPY a transaction: alternating, median of 5 pairs. Each side runs in a
process of its own, whose CPU and peak memory are printed. Aim: ≥ 0.90 ×, the client under 200 MiB.

    python -m bench.mint [--units N] [--pairs N]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import UTC, datetime
from statistics import median
from uuid import UUID, uuid4

import asyncpg
import uvloop

from bench import support
from mintage.db.copy_buffers import COLUMNS, pieces
from mintage.operations.call import SERVICE, Caller
from mintage.operations.mint_chunks import ChunkPlan, build_chunk
from mintage.rules.serials import draw_prefix
from mintage.rules.unit_ids import draw_unit_id_low

CYCLE_UNITS = 20_000


async def product_side(
    dsn: str, brand_id: UUID, user_id: UUID, product_id: UUID, units: int
) -> float:
    """Seconds from submit to COMPLETED."""
    platform = await support.open_platform(dsn)
    caller = Caller("user", user_id)
    await support.rpc(platform, SERVICE, "process_mint_job_batch")
    started = time.perf_counter()
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
    while True:
        answer = await support.rpc(
            platform, SERVICE, "process_mint_job_batch", batch_size=CYCLE_UNITS
        )
        if answer["done"]:
            break
    elapsed_s = time.perf_counter() - started
    if answer["minted_quantity"] != units or answer["mint_job_id"] != submitted["mint_job_id"]:
        raise RuntimeError(f"not all units were minted: {answer}")
    await platform.database.close()
    return elapsed_s


async def yardstick_side(dsn: str, brand_id: UUID, units: int) -> float:
    """Seconds for the bare COPYs; the buffers are built before the clock starts."""
    buffers = yardstick_buffers(brand_id, units)
    connection = await asyncpg.connect(dsn)
    started = time.perf_counter()
    for buffer in buffers:
        await connection.copy_to_table(
            "mint_unit", columns=COLUMNS, source=pieces(buffer), format="binary"
        )
    elapsed_s = time.perf_counter() - started
    await connection.close()
    return elapsed_s


def yardstick_buffers(brand_id: UUID, units: int) -> list[bytearray]:
    """The rows of a batch, a buffer for each cycle."""
    now = datetime.now(UTC)
    plan: ChunkPlan | None = ChunkPlan(
        brand_id=brand_id,
        mint_batch_id=uuid4(),
        unit_id_low=draw_unit_id_low(int(now.timestamp() * 1000), os.urandom),
        requested_quantity=units,
        first_unit_no=0,
        count=min(CYCLE_UNITS, units),
        serial_prefix=draw_prefix(os.urandom),
        serial_strata=units,
    )
    buffers = []
    while plan is not None:
        buffers.append(build_chunk(plan, None, now))
        plan = plan.next(CYCLE_UNITS)
    return buffers


def measure(side: str, arguments: list[str]) -> dict[str, float]:
    return support.in_process("bench.mint", ["--side", side, *arguments])


async def compare(units: int, pairs: int) -> None:
    async with support.server() as dsn:
        platform = await support.open_platform(dsn)
        brand_id, caller = await support.make_brand(platform.database)
        product_id = await support.make_product(platform, caller, brand_id)
        await platform.database.close()
        common = ["--dsn", dsn, "--brand", str(brand_id), "--units", str(units)]
        product = [*common, "--user", str(caller.id), "--product", str(product_id)]
        measure("product", [*product[:5], str(units // 10), *product[6:]])  # warm-up
        rows = []
        for pair, order in enumerate(support.turns(pairs, "product", "yardstick")):
            figures = {
                side: measure(side, product if side == "product" else common) for side in order
            }
            rows.append(figures)
            print(
                f"pair {pair + 1}: minted in {figures['product']['wall_s']:.2f} s, "
                f"bare COPY in {figures['yardstick']['wall_s']:.2f} s",
                flush=True,
            )
    ratios = [row["yardstick"]["wall_s"] / row["product"]["wall_s"] for row in rows]
    rates = [units / row["product"]["wall_s"] for row in rows]
    print(
        f"mint: {median(rates):,.0f} units/s; ratio to bare COPY {support.spread(ratios)} x; "
        f"client CPU {median(row['product']['cpu_s'] for row in rows):.2f} s; "
        f"client peak {max(row['product']['peak_mib'] for row in rows):.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--side", choices=("product", "yardstick"))
    for name in ("dsn", "brand", "user", "product"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    if options.side is None:
        uvloop.run(compare(options.units, options.pairs))
        return
    brand_id = UUID(options.brand)
    if options.side == "product":
        side = product_side(
            options.dsn, brand_id, UUID(options.user), UUID(options.product), options.units
        )
    else:
        side = yardstick_side(options.dsn, brand_id, options.units)
    wall_s = uvloop.run(side)
    print(json.dumps({"wall_s": wall_s} | support.used()))


if __name__ == "__main__":
    main()

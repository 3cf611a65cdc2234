"""What does a second worker add?

Two jobs of 400,000 units minted by one worker process, and by two, by turns. Beside it the same with bare
COPY, one connection after the other and two at once: what the machine's cores and disk have to give. Aim: two
workers ≥ 1.3 times one, where the bare COPY shows that they could.

    python -m bench.mint_workers [--units N] [--pairs N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median
from uuid import UUID

import asyncpg
import uvloop

from bench import support
from bench.mint import CYCLE_UNITS, yardstick_buffers
from mintage.db.copy_buffers import COLUMNS, pieces
from mintage.operations.call import SERVICE, Caller
from mintage.perform import Platform

JOBS = 2


async def worker_side(dsn: str) -> None:
    """Cycles until there is no work."""
    platform = await support.open_platform(dsn)
    await support.rpc(platform, SERVICE, "process_mint_job_batch")
    _wait_for_start()
    status: object = ""
    while status != "IDLE":
        answer = await support.rpc(
            platform, SERVICE, "process_mint_job_batch", batch_size=CYCLE_UNITS
        )
        status = answer["status"]
    await platform.database.close()


async def copy_side(dsn: str, brand_id: UUID, units: int, jobs: int) -> None:
    """As many jobs' rows by bare COPY."""
    buffers = [buffer for _ in range(jobs) for buffer in yardstick_buffers(brand_id, units)]
    connection = await asyncpg.connect(dsn)
    _wait_for_start()
    for buffer in buffers:
        await connection.copy_to_table(
            "mint_unit", columns=COLUMNS, source=pieces(buffer), format="binary"
        )
    await connection.close()


def _wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def time_together(commands: list[list[str]]) -> float:
    """Seconds from a common start until all have ended; their own start is not counted."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.mint_workers", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    for process in started:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise RuntimeError("a side did not start")
    begun = time.perf_counter()
    for process in started:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    codes = [process.wait() for process in started]
    if any(codes):
        raise RuntimeError(f"a side failed: {codes}")
    return time.perf_counter() - begun


async def submit(
    platform: Platform, caller: Caller, brand_id: UUID, product_id: UUID, units: int
) -> None:
    for _ in range(JOBS):
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


async def compare(units: int, pairs: int) -> None:
    async with support.server() as dsn:
        platform = await support.open_platform(dsn)
        brand_id, caller = await support.make_brand(platform.database)
        product_id = await support.make_product(platform, caller, brand_id)
        common = ["--dsn", dsn, "--brand", str(brand_id), "--units", str(units)]
        gains, copy_gains, rates = [], [], []
        for pair in range(pairs + 1):
            workers_s, copies_s = {}, {}
            for count in (1, 2) if pair % 2 == 0 else (2, 1):
                await submit(platform, caller, brand_id, product_id, units)
                workers_s[count] = time_together([[*common, "--side", "worker"]] * count)
                each = [*common, "--side", "copy", "--jobs", str(JOBS // count)]
                copies_s[count] = time_together([each] * count)
            if pair == 0:
                continue
            gains.append(workers_s[1] / workers_s[2])
            copy_gains.append(copies_s[1] / copies_s[2])
            rates.append(JOBS * units / workers_s[2])
        left = await platform.database.pool.fetchval("select count(*) from work_item")
        if left:
            raise RuntimeError(f"{left} jobs were left")
        await platform.database.close()
    print(
        f"mint_workers: two workers {support.spread(gains)} x one, {median(rates):,.0f} units/s; "
        f"two bare COPYs {support.spread(copy_gains)} x one"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=400_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--side", choices=("worker", "copy"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--dsn")
    parser.add_argument("--brand")
    options = parser.parse_args()
    if options.side == "worker":
        uvloop.run(worker_side(options.dsn))
    elif options.side == "copy":
        uvloop.run(copy_side(options.dsn, UUID(options.brand), options.units, options.jobs))
    else:
        uvloop.run(compare(options.units, options.pairs))


if __name__ == "__main__":
    main()

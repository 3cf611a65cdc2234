"""A worker process killed at any moment: after a restart there is exactly what was asked for, once."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.exactly import assert_minted_exactly
from tests.support.minting import (
    batch_of,
    broken_invariants,
    event_types_of,
    events_of,
    execute,
    item_of,
    job_of,
    rows,
    units_of,
    value,
)
from tests.support.waiting import until_nobody_waits, until_somebody_waits
from tests.support.world import World

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
LOTS = [{"lot_code": "A", "qty": 900}, {"lot_code": "B", "qty": 100}]
MINTED = "select coalesce(sum(minted_quantity), 0) from mint_batch"
OPEN = "select count(*) from work_item"


async def _start(dsn: str, batch_size: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.worker_process",
        dsn,
        str(batch_size),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


@asynccontextmanager
async def _working(dsn: str, batch_size: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process, which is killed at the end unless it has ended."""
    process = await _start(dsn, batch_size)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until(world: World, statement: str, wanted: bool = True) -> None:
    """Return once `statement` gives true."""
    while bool(await value(world, statement)) is not wanted:
        await asyncio.sleep(0.005)


async def _until_claimed(world: World, epoch: int) -> None:
    """Return once the job was claimed for the `epoch`-th time and somebody waits for the batch's lock.

    The folding of figures may be who waits: a claim is what a worker must have begun with.
    """
    await _until(world, f"select lease_epoch >= {epoch} from work_item")
    await until_somebody_waits(world)


async def _jobs(world: World, quantity: int) -> list[dict[str, Any]]:
    """A job of each kind."""
    product_id = await world.product()
    serials = [f"S{number}" for number in range(quantity)]
    share = quantity // 1000
    lots = [lot | {"qty": lot["qty"] * share} for lot in LOTS if share]  # type: ignore[operator]
    return [
        await world.submit(product_id, quantity),
        await world.submit(product_id, quantity, serials=serials),
        await world.submit(product_id, quantity, identity_mode="batch", lots=lots),
    ]


async def _kill_and_restart(
    world: World, dsn: str, *, quantity: int, batch_size: int, kills: int, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311
    jobs = await _jobs(world, quantity)
    for _ in range(kills):
        before = await value(world, MINTED)
        async with _working(dsn, batch_size) as process:
            # After progress, so that attempts begin anew: a job that loses three workers in a row fails.
            await _until(world, f"select ({MINTED}) > {before}")
            await asyncio.sleep(dice.uniform(0, 0.1))
            process.kill()
            await process.wait()
    assert await value(world, OPEN) > 0, "all was minted before the last kill: ask for more units"
    async with _working(dsn, 20_000) as process:
        await _until(world, OPEN, wanted=False)
        process.terminate()
        assert await process.wait() == 0
    for job in jobs:
        await assert_minted_exactly(world, job, quantity)
    units = await rows(world, "select count(*) n, count(distinct id) ids from mint_unit")
    assert units == [{"n": 3 * quantity, "ids": 3 * quantity}]
    serials = await value(world, "select count(distinct serial_number) from mint_unit")
    assert serials == 2 * quantity
    assert await broken_invariants(world) == {}


async def test_killed_at_random_moments_a_worker_loses_and_doubles_nothing(
    world: World, dsn: str
) -> None:
    await _kill_and_restart(world, dsn, quantity=4000, batch_size=20, kills=6, seed=1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [2])
async def test_killed_many_times_a_worker_loses_and_doubles_nothing(
    world: World, dsn: str, seed: int
) -> None:
    await _kill_and_restart(world, dsn, quantity=40_000, batch_size=200, kills=15, seed=seed)


async def test_killed_between_its_copy_and_its_closing_a_worker_leaves_nothing(
    world: World, dsn: str
) -> None:
    submitted = await world.submit(await world.product(), 100)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute("select from mint_batch for update")
        async with _working(dsn, 50) as process:
            await _until_claimed(world, 1)
            process.kill()
            await process.wait()
        assert (await job_of(world, submitted))["status"] == "RESERVED"
        await holder.execute("commit")
    async with _working(dsn, 50) as process:
        await _until(world, OPEN, wanted=False)
    await assert_minted_exactly(world, submitted, 100)
    assert len(await units_of(world, submitted)) == 100
    assert await broken_invariants(world) == {}


async def test_a_job_that_kills_three_workers_fails(world: World, dsn: str) -> None:
    submitted = await world.submit(await world.product(), 100)
    for epoch in (1, 2, 3):
        async with world.platform.database.pool.acquire() as holder:
            await holder.execute("begin")
            await holder.execute("select from mint_batch for update")
            async with _working(dsn, 50) as process:
                await _until_claimed(world, epoch)
                process.kill()
                await process.wait()
            await holder.execute("commit")
        # The next holder must not overtake the dead worker's statement, which would be taken for the next's.
        await until_nobody_waits(world)
    async with _working(dsn, 50) as process:
        await _until(world, OPEN, wanted=False)
    job = await job_of(world, submitted)
    assert (job["status"], job["attempts"], job["last_error"]) == ("FAILED", 3, "LEASE_LOST")
    assert await event_types_of(world, submitted) == [
        "mint_requested",
        "mint_job_started",
        "mint_job_failed",
    ]
    assert await broken_invariants(world) == {}


async def test_an_orderly_stop_finishes_the_cycle_and_leaves_no_lease(
    world: World, dsn: str
) -> None:
    submitted = await world.submit(await world.product(), 100)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute("select from mint_batch for update")
        async with _working(dsn, 50) as process:
            await _until_claimed(world, 1)
            process.terminate()
            await execute(world, "select pg_sleep(0.2)")
            assert process.returncode is None
            await holder.execute("commit")
            assert await process.wait() == 0
    item = await item_of(world, submitted)
    assert item is not None
    assert (item["lease_owner"], item["attempts"]) == (None, 0)
    assert (await batch_of(world, submitted))["minted_quantity"] == 50
    created = [each for each in await events_of(world, submitted) if "count" in each["payload"]]
    assert [each["payload"]["count"] for each in created] == [50]
    assert await broken_invariants(world) == {}


async def test_two_worker_processes_share_the_work(world: World, dsn: str) -> None:
    jobs = await _jobs(world, 2000)
    async with _working(dsn, 100), _working(dsn, 100):
        await _until(world, OPEN, wanted=False)
    for job in jobs:
        await assert_minted_exactly(world, job, 2000)
        created = (await event_types_of(world, job)).count("mint_units_created")
        assert created == 20
    assert await broken_invariants(world) == {}

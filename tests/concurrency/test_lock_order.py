"""Rows are locked in one order: work_item → mint_job → mint_batch → mint_lot → product_batch (DATA-MODEL).

Each test holds one table's row, lets the operation run into it, and looks which rows it holds by then:
those of the tables before, and none of those after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from mintage.operations import mint_execution
from tests.support.minting import (
    broken_cycles,
    claimed,
    cycle,
    let_leases_lapse,
    production_batch,
    transactions,
    with_limits,
)
from tests.support.waiting import until_somebody_waits
from tests.support.world import World

ORDER = ("work_item", "mint_job", "mint_batch", "mint_lot", "product_batch")


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself, and the first failure is the last."""
    return with_limits(world, job_lease_s=3600.0, attempts_max=1)


async def _submitted(world: World) -> dict[str, Any]:
    product_id = await world.product()
    source = await production_batch(world, product_id)
    return await world.submit(product_id, 10, product_batch_id=source, identity_mode="batch")


async def _held_tables(world: World) -> set[str]:
    """Tables of which the operation under test holds a row: ours cannot be locked at once."""
    held = set()
    async with world.platform.database.pool.acquire() as connection:
        for table in ORDER:
            try:
                async with connection.transaction():
                    await connection.execute(f"select from {table} for update nowait")
            except asyncpg.LockNotAvailableError:
                held.add(table)
    return held


async def _held_while_waiting_for(
    world: World, table: str, operation: Callable[[], Awaitable[Any]]
) -> set[str]:
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute(f"select from {table} for no key update")
        running = asyncio.ensure_future(operation())
        await until_somebody_waits(world)
        held = await _held_tables(world)
        await holder.execute("rollback")
    assert (await running)["status"] in {"COMPLETED", "FAILED", "QUEUED"}
    return held - {table}


@pytest.mark.parametrize("table", ["work_item", "mint_job", "mint_batch"])
async def test_a_closing_locks_in_order(world: World, table: str) -> None:
    await _submitted(world)
    claim = await claimed(world)

    async def close() -> Any:
        return await mint_execution._work(transactions(world), claim, 10)

    held = await _held_while_waiting_for(world, table, close)
    assert held == set(ORDER[: ORDER.index(table)])


@pytest.mark.parametrize("table", ["mint_job", "mint_batch", "product_batch"])
async def test_a_failing_by_a_lapse_locks_in_order(world: World, table: str) -> None:
    await _submitted(world)
    await claimed(world)
    await let_leases_lapse(world)
    held = await _held_while_waiting_for(world, table, lambda: cycle(world))
    assert held == set(ORDER[: ORDER.index(table)]) - {"mint_lot"}


@pytest.mark.parametrize("table", ["mint_batch", "product_batch"])
async def test_a_failing_by_a_failed_cycle_locks_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    await _submitted(world)
    with broken_cycles(monkeypatch):
        held = await _held_while_waiting_for(world, table, lambda: cycle(world))
    assert held == set(ORDER[: ORDER.index(table)]) - {"mint_lot"}


async def test_a_submit_locks_the_production_batch_last(world: World) -> None:
    """Its own new rows nobody can see; of the rows that were there it holds none while it waits."""
    submitted = await _submitted(world)
    await cycle(world, submitted)
    product_id = await world.product()
    source = await production_batch(world, product_id)
    held = await _held_while_waiting_for(
        world, "product_batch", lambda: world.submit(product_id, 10, product_batch_id=source)
    )
    assert held == set()

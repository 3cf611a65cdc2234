"""Workers are killed at random moments of a hundred packs: each is there once, none is built twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from mintage.operations.pack_sweep import sweep_orphans
from mintage.settings import Limits
from mintage.storage import open_pack_store
from tests.support.exactly import assert_packed_exactly
from tests.support.faults import Orders, worker
from tests.support.minting import (
    broken_invariants,
    let_leases_lapse,
    rows,
    transactions,
    value,
    with_limits,
)
from tests.support.world import World

PACKS = 100
PACK_UNITS = 20
KILLS_MIN = 5
COMPLETED = (
    "select id, storage_path, byte_size, sha256, completed_at from payload_pack "
    "where status = 'completed' order by id"
)


async def _a_life(world: World, orders: Orders, chance: random.Random, *, is_last: bool) -> None:
    """Two workers; they are killed while packs are being completed, unless it is their last life."""
    before = await value(world, "select count(*) from payload_pack where status = 'completed'")
    async with worker(orders) as first, worker(orders) as second:
        if is_last:
            await asyncio.gather(*(asyncio.to_thread(each.join) for each in (first, second)))
            return
        completed = "select count(*) from payload_pack where status = 'completed'"
        while await value(world, completed) == before and first.is_alive():
            await asyncio.sleep(0.005)
        for each in (first, second):
            await asyncio.sleep(chance.uniform(0, 0.1))
            if each.pid is not None and each.is_alive():
                os.kill(each.pid, signal.SIGKILL)


@pytest.mark.long
async def test_a_hundred_packs_whose_workers_are_killed_are_there_once_and_never_rebuilt(
    world: World, dsn: str, tmp_path: Path
) -> None:
    world = with_limits(world, pack_units=PACK_UNITS, attempts_max=PACKS)
    submitted = await world.minted(PACKS * PACK_UNITS)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    limits = replace(
        Limits(backoff_s=(0.0, 0.0)),
        pack_lease_s=3600.0,
        attempts_max=PACKS,
    )
    orders = Orders(dsn, tmp_path, limits=limits)
    chance = random.Random(7)  # noqa: S311 - moments of death, the same in every run
    stated: dict[object, object] = {}
    kills = 0
    while await value(world, "select count(*) from work_item"):
        await _a_life(world, orders, chance, is_last=kills >= 3 * KILLS_MIN)
        kills += 1
        await let_leases_lapse(world)
        now = {each["id"]: dict(each) for each in await rows(world, COMPLETED)}
        assert {pack_id: now[pack_id] for pack_id in stated} == stated
        stated.update(now)
    assert kills >= KILLS_MIN
    assert len(stated) == PACKS + 1
    store = open_pack_store(None, tmp_path)
    await sweep_orphans(transactions(world), store)
    files = {
        str(file.relative_to(tmp_path / "payload-packs"))
        for file in (tmp_path / "payload-packs").rglob("*")
        if file.is_file() and "#" not in file.name
    }
    assert files == {str(each["storage_path"]) for each in await rows(world, COMPLETED)}
    await assert_packed_exactly(world, submitted, tmp_path, PACKS)
    assert await broken_invariants(world) == {}

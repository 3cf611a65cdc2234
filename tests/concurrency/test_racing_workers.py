"""Many workers on one queue: each cycle of each job is done once."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from mintage.db.connection import open_database
from mintage.perform import Platform
from tests.support.minting import (
    batch_of,
    broken_invariants,
    cycle,
    event_types_of,
    events_of,
    item_of,
    units_of,
    value,
    with_limits,
)
from tests.support.world import World


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, job_lease_s=3600.0)


async def _until_all_is_done(world: World, batch_size: int) -> list[dict[str, Any]]:
    """A worker that goes on until no job is left, whoever runs it."""
    answers = []
    while await value(world, "select count(*) from work_item"):
        answer = await cycle(world, batch_size=batch_size)
        answers.append(answer)
        if answer["status"] == "IDLE":
            await asyncio.sleep(0.002)
    return answers


async def _assert_minted_once(
    world: World, submitted: dict[str, Any], quantity: int, batch_size: int
) -> None:
    cycles = -(-quantity // batch_size)
    types = await event_types_of(world, submitted)
    assert {name: types.count(name) for name in set(types) - {"mint_lots_confirmed"}} == {
        "mint_requested": 1,
        "mint_job_started": 1,
        "mint_units_created": cycles,
        "mint_job_completed": 1,
    }
    assert types.count("mint_lots_confirmed") <= 1
    firsts = [
        event["payload"]["first_unit_no"]
        for event in await events_of(world, submitted)
        if event["event_type"] == "mint_units_created"
    ]
    assert firsts == list(range(0, quantity, batch_size))
    units = await units_of(world, submitted)
    assert [unit["unit_no"] for unit in units] == list(range(quantity))
    assert (await batch_of(world, submitted))["status"] == "minted"
    assert await item_of(world, submitted) is None


async def test_two_workers_with_pools_of_their_own_do_each_cycle_once(
    world: World, dsn: str
) -> None:
    product_id = await world.product()
    jobs = []
    for mode in ("serial", "batch", "serial", "batch"):
        jobs.append(await world.submit(product_id, 200, identity_mode=mode))
    other = await open_database(dsn, connections=3, statement_timeout_s=30, application="other")
    try:
        second = world.with_platform(Platform(other, world.platform.limits))
        answers = await asyncio.gather(
            _until_all_is_done(world, 20), _until_all_is_done(second, 20)
        )
    finally:
        await other.close()
    done = [answer for each in answers for answer in each if answer["status"] != "IDLE"]
    assert len(done) == 40
    assert all(answer["ok"] for answer in done)
    assert all(any(answer["status"] != "IDLE" for answer in each) for each in answers)
    for job in jobs:
        await _assert_minted_once(world, job, 200, 20)
    assert await broken_invariants(world) == {}


async def test_six_workers_on_one_job_do_each_cycle_once(world: World) -> None:
    submitted = await world.submit(
        await world.product(), 120, serials=[f"S{number}" for number in range(120)]
    )

    async def insist() -> int:
        made = 0
        while True:
            answer = await cycle(world, submitted, batch_size=10)
            assert answer["ok"]
            made += answer["units_created"]
            if answer["done"]:
                return int(made)
            await asyncio.sleep(0)

    assert sum(await asyncio.gather(*(insist() for _ in range(6)))) == 120
    await _assert_minted_once(world, submitted, 120, 10)
    assert await broken_invariants(world) == {}


async def test_workers_that_change_the_size_of_their_cycles_leave_no_gap(world: World) -> None:
    """A chunk built ahead for one size is no chunk of another."""
    submitted = await world.submit(await world.product(), 3000)
    dice = random.Random(8)  # noqa: S311
    while not (await cycle(world, submitted, batch_size=dice.choice([1, 7, 100, 101])))["done"]:
        pass
    units = await units_of(world, submitted)
    assert [unit["unit_no"] for unit in units] == list(range(3000))
    assert len({unit["serial_number"] for unit in units}) == 3000
    assert await broken_invariants(world) == {}


async def test_submits_and_workers_at_once_agree_in_the_end(world: World) -> None:
    product_id = await world.product()
    stop = asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            if (await cycle(world, batch_size=30))["status"] == "IDLE":
                await asyncio.sleep(0.002)

    async def ask(number: int) -> dict[str, Any]:
        mode = "batch" if number % 3 == 0 else "serial"
        return await world.submit(product_id, 10 + number, identity_mode=mode)

    workers = [asyncio.create_task(work()) for _ in range(3)]
    jobs = await asyncio.gather(*(ask(number) for number in range(20)))
    while await value(world, "select count(*) from work_item"):
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*workers)
    for number, job in enumerate(jobs):
        assert len(await units_of(world, job)) == 10 + number
    assert await broken_invariants(world) == {}

"""Whose turn it is: the brand served longest ago goes first, one cycle at a time; FIFO inside a brand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from mintage.settings import Limits
from tests.support.minting import (
    broken_invariants,
    claimed,
    cycle,
    execute,
    item_of,
    value,
    with_limits,
)
from tests.support.world import World


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, job_lease_s=3600.0)


async def _brand(world: World, number: int) -> UUID:
    made = await world.rpc(
        "create_brand",
        "service",
        slug=f"brand-{number}",
        name=f"Brand {number}",
        owner_email="owner@example.com",
    )
    identifier: UUID = made["brand_id"] if "brand_id" in made else made["brand"]["id"]
    return identifier


async def _submitted(world: World, brand_id: UUID, quantity: int) -> dict[str, Any]:
    made = await world.rpc(
        "create_product", "service", brand_id=brand_id, sku=f"P{quantity}", name="P"
    )
    product_id = made["product"]["id"]
    ready = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}
    await world.rpc(
        "update_product", "service", brand_id=brand_id, product_id=product_id, patch=ready
    )
    return await world.rpc(
        "submit_mint_request",
        "service",
        brand_id=brand_id,
        product_id=product_id,
        requested_quantity=quantity,
        identity_mode="serial",
        activation_mode="first_scan",
    )


async def _served(world: World, **more: Any) -> list[UUID]:
    """Run everything; the job of each cycle, in order."""
    jobs: list[UUID] = []
    while (answer := await cycle(world, **more))["mint_job_id"] is not None:
        jobs.append(answer["mint_job_id"])
    return jobs


async def test_jobs_of_a_brand_are_started_in_the_order_they_came(world: World) -> None:
    product_id = await world.product()
    jobs = [(await world.submit(product_id, 5))["mint_job_id"] for _ in range(4)]
    served = await _served(world, batch_size=2)
    assert served == [job for job in jobs for _ in range(3)]


async def test_another_worker_takes_the_brands_next_job(world: World) -> None:
    product_id = await world.product()
    jobs = [(await world.submit(product_id, 5))["mint_job_id"] for _ in range(3)]
    assert [(await claimed(world)).mint_job_id for _ in range(3)] == jobs
    assert (await cycle(world))["status"] == "IDLE"


async def test_a_brand_with_one_job_does_not_wait_for_anothers_many_cycles(world: World) -> None:
    product_id = await world.product()
    for _ in range(3):
        await world.submit(product_id, 200)
    for _ in range(5):
        await cycle(world, batch_size=1)
    small = await _submitted(world, world.other_brand_id, 1)
    first, second = await cycle(world, batch_size=1), await cycle(world, batch_size=1)
    assert first["mint_job_id"] == small["mint_job_id"]
    assert first["done"]
    assert second["mint_job_id"] != small["mint_job_id"]


async def test_a_hundred_behind_anothers_million_are_done_within_three_cycles(
    world: World,
) -> None:
    """Counted in cycles; the million has begun long before."""
    big = await world.submit(await world.product(), 1_000_000)
    for _ in range(3):
        await cycle(world, batch_size=50)
    small = await _submitted(world, world.other_brand_id, 100)
    answers = [await cycle(world, batch_size=50) for _ in range(3)]
    done = [answer["mint_job_id"] for answer in answers if answer["done"]]
    assert done == [small["mint_job_id"]]
    assert (await cycle(world))["mint_job_id"] == big["mint_job_id"]


async def test_an_idle_worker_that_hears_nothing_looks_twice_a_second() -> None:
    """A runnable job is started within 1 s (SPEC §6): by NOTIFY at once, and without it at the next look."""
    assert 2 * Limits().poll_interval_s <= 1


async def test_two_brands_with_much_work_take_turns_cycle_by_cycle(world: World) -> None:
    ours = await world.submit(await world.product(), 6)
    theirs = await _submitted(world, world.other_brand_id, 4)
    served = await _served(world, batch_size=1)
    assert len(served) == 10
    for turn in range(0, 8, 2):
        assert set(served[turn : turn + 2]) == {ours["mint_job_id"], theirs["mint_job_id"]}


async def test_a_dozen_brands_are_each_served_once_a_round(world: World) -> None:
    brands = [await _brand(world, number) for number in range(12)]
    jobs = [(await _submitted(world, brand_id, 3))["mint_job_id"] for brand_id in brands]
    served = await _served(world, batch_size=1)
    rounds = [served[start : start + 12] for start in range(0, 36, 12)]
    assert len(served) == 36
    assert all(sorted(each) == sorted(jobs) for each in rounds)
    assert rounds[0] == rounds[1] == rounds[2]


async def test_a_worker_that_holds_a_brands_turn_holds_up_no_other_brand(world: World) -> None:
    await world.submit(await world.product(), 5)
    theirs = await _submitted(world, world.other_brand_id, 5)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute("select from work_item where brand_id = $1 for update", world.brand_id)
        answer = await cycle(world)
        assert answer["mint_job_id"] == theirs["mint_job_id"]
        assert (await cycle(world))["status"] == "IDLE"
        await holder.execute("rollback")


async def test_a_named_job_takes_its_brands_turn_too(world: World) -> None:
    ours = await world.submit(await world.product(), 5)
    theirs = await _submitted(world, world.other_brand_id, 5)
    await cycle(world, ours, batch_size=1)
    assert (await cycle(world, batch_size=1))["mint_job_id"] == theirs["mint_job_id"]


async def test_a_job_whose_time_has_not_come_is_not_run(world: World) -> None:
    ours = await world.submit(await world.product(), 5)
    await execute(world, "update work_item set runnable_at = now() + interval '1 hour'")
    assert (await cycle(world))["status"] == "IDLE"
    assert await value(world, "select count(*) from brand_turn") == 0
    assert (await cycle(world, ours))["status"] == "COMPLETED"


async def test_a_lapsed_job_keeps_its_place_before_younger_ones(world: World) -> None:
    product_id = await world.product()
    first, second = [await world.submit(product_id, 5) for _ in range(2)]
    await claimed(world)
    await execute(
        world,
        "update work_item set lease_until = clock_timestamp() where lease_until is not null",
    )
    assert await _served(world, batch_size=3) == [
        first["mint_job_id"],
        first["mint_job_id"],
        second["mint_job_id"],
        second["mint_job_id"],
    ]
    assert await item_of(world, first) is None
    assert await broken_invariants(world) == {}

"""Who reaches for one job or product at once: kick and scheduler, retry and cycle, submit and end of sale."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.exactly import assert_minted_exactly
from tests.support.minting import (
    allocated,
    broken_cycles,
    broken_invariants,
    cycle,
    drained,
    event_types_of,
    job_of,
    production_batch,
    with_limits,
)
from tests.support.refusals import blocked_by, raced
from tests.support.waiting import until_somebody_waits
from tests.support.world import World


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, job_lease_s=3600.0)


async def test_kicks_and_schedulers_on_one_job_do_each_cycle_once(world: World) -> None:
    submitted = await world.submit(await world.product(), 200)

    async def go_on(kicked: dict[str, Any] | None) -> int:
        made = 0
        while (await job_of(world, submitted))["status"] != "COMPLETED":
            answer = await cycle(world, kicked, batch_size=10)
            assert answer["ok"]
            made += answer.get("units_created", 0)
            await asyncio.sleep(0)
        return made

    made = await asyncio.gather(
        *(go_on(submitted) for _ in range(3)), *(go_on(None) for _ in range(3))
    )
    assert sum(made) == 200
    assert (await event_types_of(world, submitted)).count("mint_units_created") == 20
    await assert_minted_exactly(world, submitted, 200)
    assert await broken_invariants(world) == {}


async def test_a_job_that_is_held_is_busy_for_the_kick_and_nothing_for_the_scheduler(
    world: World,
) -> None:
    submitted = await world.submit(await world.product(), 20)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin; select from mint_batch for update")
        held = asyncio.create_task(cycle(world, batch_size=10))
        await until_somebody_waits(world)
        kicked, idle = await cycle(world, submitted), await cycle(world)
        await holder.execute("commit")
    assert (kicked["busy"], kicked["units_created"], kicked["done"]) == (True, 0, False)
    assert idle["status"] == "IDLE"
    assert (await held)["units_created"] == 10


async def test_racing_retries_and_cycles_resume_a_failed_job_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, attempts_max=1)
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=60)
    submitted = await world.submit(product_id, 60, product_batch_id=source)
    await cycle(world, batch_size=10)
    with broken_cycles(monkeypatch):
        assert (await cycle(world))["status"] == "FAILED"
    assert await allocated(world, source) == 10
    retries = [world.rpc("retry_mint_job", mint_job_id=submitted["mint_job_id"]) for _ in range(4)]
    named = [cycle(world, submitted, batch_size=10) for _ in range(4)]
    answers, errors = await raced(*retries, *named)
    assert not errors
    assert [answer["ok"] for answer in answers[:4]].count(True) == 1
    await drained(world, batch_size=10)
    assert await allocated(world, source) == 60
    assert (await event_types_of(world, submitted)).count("mint_job_retried") == 1
    await assert_minted_exactly(world, submitted, 60)
    assert await broken_invariants(world) == {}


async def test_submits_that_race_with_the_end_of_a_product_are_whole_or_refused(
    world: World,
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=1000)
    end = world.rpc(
        "update_product", product_id=product_id, patch={"commercial_status": "DISCONTINUED"}
    )
    submits = [world.submit(product_id, 10, product_batch_id=source) for _ in range(16)]
    answers, errors = await raced(*submits[:8], end, *submits[8:])
    assert not errors
    made = [answer for answer in answers if answer["ok"] and "mint_job_id" in answer]
    codes = {reason["code"] for answer in answers for reason in answer.get("blocking_reasons", [])}
    assert codes <= {"COMMERCIAL_STATUS_NOT_ACTIVE"}
    assert await allocated(world, source) == 10 * len(made)
    assert await blocked_by(world.submit(product_id, 10)) == ["COMMERCIAL_STATUS_NOT_ACTIVE"]
    await drained(world)
    for job in made:
        await assert_minted_exactly(world, job, 10)
    assert await broken_invariants(world) == {}


async def test_eight_submitters_take_the_last_units_of_a_production_batch_and_not_one_more(
    world: World,
) -> None:
    product_id = await world.product()
    for turn in range(5):
        source = await production_batch(
            world, product_id, batch_number=f"LAST-{turn}", quantity=100
        )
        await world.submit(product_id, 93, product_batch_id=source)
        answers, errors = await raced(
            *(world.submit(product_id, 1 + turn % 2, product_batch_id=source) for _ in range(8))
        )
        assert not errors
        taken = sum(1 + turn % 2 for answer in answers if answer["ok"])
        assert taken == (7 if turn % 2 == 0 else 6)
        assert await allocated(world, source) == 93 + taken
    await drained(world)
    assert await broken_invariants(world) == {}

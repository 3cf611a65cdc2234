"""Submits that race: one key is one job, a cap holds to the unit, a serial goes to one of them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from mintage.operations import mint_submission
from mintage.operations.call import Call
from mintage.operations.mint_preconditions import Ask, Preconditions, check_preconditions
from tests.support.minting import (
    allocated,
    broken_invariants,
    counts,
    drained,
    production_batch,
    rows,
    value,
)
from tests.support.refusals import raced
from tests.support.waiting import until_somebody_waits, waiting
from tests.support.world import World

KEY = "order 4711"


def _codes(answers: list[dict[str, Any]]) -> list[str]:
    return [reason["code"] for answer in answers for reason in answer.get("blocking_reasons", [])]


async def test_fifty_racing_submits_of_one_key_make_one_job(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    before = await counts(world)
    answers, errors = await raced(
        *(
            world.submit(product_id, 10, product_batch_id=source, idempotency_key=KEY)
            for _ in range(50)
        )
    )
    assert not errors
    assert all(answer["ok"] for answer in answers)
    assert len({(answer["mint_job_id"], answer["mint_batch_id"]) for answer in answers}) == 1
    assert [answer["is_duplicate"] for answer in answers].count(False) == 1
    after = await counts(world)
    more = {table: after[table] - before[table] for table in after if after[table] != before[table]}
    assert more == {"mint_job": 1, "mint_batch": 1, "mint_event": 1, "work_item": 1}
    assert await allocated(world, source) == 10


async def test_racing_submits_of_one_key_and_the_same_serials_make_one_job(world: World) -> None:
    product_id = await world.product()
    serials = [f"S{number}" for number in range(100)]
    answers, errors = await raced(
        *(world.submit(product_id, 100, serials=serials, idempotency_key=KEY) for _ in range(20))
    )
    assert not errors
    assert len({answer["mint_job_id"] for answer in answers}) == 1
    assert (await counts(world))["serial_registry"] == 100


async def test_racing_submits_of_one_key_and_other_arguments_make_one_job(world: World) -> None:
    product_id = await world.product()
    answers, errors = await raced(
        *(world.submit(product_id, quantity, idempotency_key=KEY) for quantity in range(1, 21))
    )
    assert len(answers) == 1
    assert {error.kind.status for error in errors} == {409}
    assert (await counts(world))["mint_job"] == 1


@pytest.mark.parametrize(
    "more", [{}, {"serials": [f"S{number}" for number in range(10)]}], ids=["cap", "serials"]
)
async def test_a_retry_that_overtakes_its_first_finds_nothing_of_it_in_its_way(
    world: World, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    """The retry looks for the key before the first commits, and for the quantity after."""
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    asked = {"product_batch_id": source, "idempotency_key": KEY} | more
    retry_has_looked, first_is_done = asyncio.Event(), asyncio.Event()

    async def check_late(call: Call, ask: Ask) -> Preconditions:
        retry_has_looked.set()
        await first_is_done.wait()
        return await check_preconditions(call, ask)

    monkeypatch.setattr(mint_submission, "check_preconditions", check_late)
    retry = asyncio.create_task(world.submit(product_id, 10, **asked))
    await retry_has_looked.wait()
    monkeypatch.setattr(mint_submission, "check_preconditions", check_preconditions)
    first = await world.submit(product_id, 10, **asked)
    first_is_done.set()
    assert await retry == first | {"is_duplicate": True}
    assert await allocated(world, source) == 10


async def test_a_submit_waits_for_the_one_before_it_with_its_key(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    asked = {"product_batch_id": source, "idempotency_key": KEY}
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute("select from product_batch where id = $1 for update", source)
        first = asyncio.create_task(world.submit(product_id, 10, **asked))
        await until_somebody_waits(world)
        second = asyncio.create_task(world.submit(product_id, 10, **asked))
        while await waiting(world) < 2:
            await asyncio.sleep(0.01)
        await holder.execute("commit")
    answers = [await first, await second]
    assert [answer["is_duplicate"] for answer in answers] == [False, True]
    assert len({answer["mint_job_id"] for answer in answers}) == 1


async def test_forty_racers_of_ninety_against_a_thousand_are_eleven(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=1000)
    answers, errors = await raced(
        *(world.submit(product_id, 90, product_batch_id=source) for _ in range(40))
    )
    assert not errors
    assert [answer["ok"] for answer in answers].count(True) == 11
    assert _codes(answers) == ["BATCH_QUANTITY_EXHAUSTED"] * 29
    assert await allocated(world, source) == 990
    assert (await counts(world))["mint_job"] == 11
    assert (await world.submit(product_id, 10, product_batch_id=source))["ok"]
    await drained(world)
    assert await broken_invariants(world) == {}


async def test_a_production_batch_closed_while_a_request_waits_takes_nothing(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=1000)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute("update product_batch set status = 'CLOSED' where id = $1", source)
        waiter = asyncio.create_task(world.submit(product_id, 10, product_batch_id=source))
        await until_somebody_waits(world)
        await holder.execute("commit")
    assert _codes([await waiter]) == ["PRODUCT_BATCH_NOT_READY"]
    assert (await counts(world))["mint_job"] == 0


async def test_racers_that_bring_overlapping_serials_get_them_whole_or_not_at_all(
    world: World,
) -> None:
    product_id = await world.product()
    lists = [[f"S{(start + step) % 60:02}" for step in range(20)] for start in range(0, 60, 3)]
    answers, errors = await raced(
        *(world.submit(product_id, 20, serials=serials[:: (-1) ** turn])
          for turn, serials in enumerate(lists))
    )  # fmt: skip
    assert not errors
    assert any(answer["ok"] for answer in answers)
    assert set(_codes(answers)) == {"SERIALS_NOT_UNIQUE"}
    registered = await rows(
        world, "select mint_batch_id, count(*) as n from serial_registry group by 1"
    )
    taken = [answer["mint_batch_id"] for answer in answers if answer["ok"]]
    assert {each["mint_batch_id"]: each["n"] for each in registered} == dict.fromkeys(taken, 20)
    await drained(world)
    assert await broken_invariants(world) == {}


async def test_a_racer_is_told_which_serial_another_took_meanwhile(world: World) -> None:
    product_id = await world.product()
    other = await world.submit(product_id, 1, serials=["Z"])
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute(
            "insert into serial_registry (brand_id, serial_number, mint_batch_id, unit_no) "
            "values ($1, 'B', $2, 1)",
            world.brand_id,
            other["mint_batch_id"],
        )
        waiter = asyncio.create_task(world.submit(product_id, 3, serials=["A", "B", "C"]))
        await until_somebody_waits(world)
        await holder.execute("commit")
    (reason,) = (await waiter)["blocking_reasons"]
    assert reason["details"] == {"count": 1, "first": [{"index": 1, "serial": "B"}]}
    assert await value(world, "select count(*) from serial_registry") == 2


async def test_a_submit_that_dies_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id)
    before = await counts(world)

    async def die(*_: object) -> None:
        raise RuntimeError("no power")

    monkeypatch.setattr(mint_submission, "_take_quantity", die)
    asked = {"product_batch_id": source, "identity_mode": "batch", "idempotency_key": KEY}
    with pytest.raises(RuntimeError, match="no power"):
        await world.submit(product_id, 10, **asked)
    monkeypatch.undo()
    assert await counts(world) == before
    assert (await world.submit(product_id, 10, **asked))["is_duplicate"] is False


async def test_requests_of_many_products_do_not_wait_for_each_other(world: World) -> None:
    """A product batch that is held back holds back its own requests only."""
    held, free = await world.product(), await world.product()
    source = await production_batch(world, held)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await execute_on(holder, source)
        waiter = asyncio.create_task(world.submit(held, 10, product_batch_id=source))
        await until_somebody_waits(world)
        assert (await world.submit(free, 10))["ok"]
        assert (await world.submit(held, 10))["ok"]
        await holder.execute("commit")
    assert (await waiter)["ok"]


async def execute_on(holder: Any, source: UUID) -> None:
    await holder.execute("select from product_batch where id = $1 for update", source)

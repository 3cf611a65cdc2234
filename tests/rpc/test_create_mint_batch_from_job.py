"""create_mint_batch_from_job: deprecated, and exact all the same."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import SUBJECT_NOT_FOUND
from mintage.rpcs import RPCS
from tests.support.minting import (
    allocated,
    batch_of,
    broken_invariants,
    counts,
    cycle,
    event_types_of,
    execute,
    job_of,
    production_batch,
    rows,
)
from tests.support.refusals import bad_arguments, blocked_by, raced, refused_with
from tests.support.world import GTIN_TABLE, World

KEYS = ["ok", "mint_job_id", "mint_batch_id", "status", "is_duplicate"]


async def _preflight(world: World, product_id: UUID, quantity: int | None = 10, **more: Any) -> Any:
    answer = await world.rpc(
        "preflight_mint_batch", product_id=product_id, requested_quantity=quantity, **more
    )
    assert answer["ok"], answer
    return answer["id"]


async def _create(world: World, job_id: object) -> dict[str, Any]:
    return await world.rpc("create_mint_batch_from_job", mint_job_id=job_id)


def test_it_is_deprecated_and_no_other_rpc_is() -> None:
    assert [name for name, rpc in RPCS.items() if rpc.is_deprecated] == [
        "create_mint_batch_from_job"
    ]


async def test_a_preflight_gets_a_draft_batch_and_is_queued(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE)
    source = await production_batch(world, product_id, quantity=10)
    job_id = await _preflight(world, product_id, batch_id=source)
    answer = await _create(world, job_id)
    assert list(answer) == KEYS
    assert answer | {"mint_batch_id": 0} == {
        "ok": True,
        "mint_job_id": job_id,
        "mint_batch_id": 0,
        "status": "QUEUED",
        "is_duplicate": False,
    }
    batch = await batch_of(world, answer)
    assert (batch["status"], batch["requested_quantity"], batch["gtin14"]) == (
        "draft",
        10,
        GTIN_TABLE.zfill(14),
    )
    assert (batch["product_batch_id"], batch["allocated_quantity"]) == (source, 10)
    assert await allocated(world, source) == 10
    assert await event_types_of(world, answer) == ["mint_requested"]
    assert await broken_invariants(world) == {}


async def test_a_draft_is_processed_and_minted_like_any_other(world: World) -> None:
    answer = await _create(world, await _preflight(world, await world.product()))
    statuses = []
    for size in (4, 6):
        await cycle(world, answer, batch_size=size)
        statuses.append((await batch_of(world, answer))["status"])
    assert statuses == ["processing", "minted"]
    assert (await job_of(world, answer))["status"] == "COMPLETED"
    assert await broken_invariants(world) == {}


async def test_batch_mode_makes_one_lot_of_the_batch_number(world: World) -> None:
    await execute(world, "update brand set default_identity_mode = 'batch'")
    product_id = await world.product()
    source = await production_batch(world, product_id, batch_number="B-7")
    answer = await _create(world, await _preflight(world, product_id, batch_id=source))
    lots = await rows(
        world, "select * from mint_lot where mint_batch_id = $1", answer["mint_batch_id"]
    )
    assert [(lot["lot_code"], lot["quantity"]) for lot in lots] == [("B-7", 10)]


async def test_a_queued_job_is_answered_with_its_batch(world: World) -> None:
    product_id = await world.product()
    first = await _create(world, await _preflight(world, product_id))
    submitted = await world.submit(product_id)
    before = await counts(world)
    for known in (first, submitted):
        again = await _create(world, known["mint_job_id"])
        assert again == known | {"is_duplicate": True}
    assert await counts(world) == before


async def test_a_job_of_any_other_status_is_not_eligible(world: World) -> None:
    submitted = await world.submit(await world.product())
    statuses = ["RESERVED", "PROCESSING", "COMPLETED", "FAILED"]
    for status in statuses:
        await execute(
            world,
            "update mint_job set status = $1, "
            "finished_at = case when $1 in ('COMPLETED', 'FAILED') then now() end",
            status,
        )
        answer = await _create(world, submitted["mint_job_id"])
        (reason,) = answer["blocking_reasons"]
        assert (reason["code"], reason["details"]) == (
            "JOB_STATUS_NOT_ELIGIBLE",
            {"status": status},
        )


async def test_a_preflight_without_a_quantity_is_named(world: World) -> None:
    job_id = await _preflight(world, await world.product(), None)
    told = await bad_arguments(_create(world, job_id))
    assert told == {
        "_mint_job_id": "is a preflight without a quantity; "
        "must be a preflight that had a _requested_quantity"
    }


async def test_what_was_passed_is_checked_again(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    job_id = await _preflight(world, product_id, batch_id=source)
    await world.submit(product_id, 5, product_batch_id=source)
    before = await counts(world)
    assert await blocked_by(_create(world, job_id)) == ["BATCH_QUANTITY_EXHAUSTED"]
    assert await counts(world) == before
    await world.rpc("update_product_batch", product_batch_id=source, patch={"quantity": 15})
    assert (await _create(world, job_id))["ok"]


async def test_an_unknown_job_is_not_found(world: World) -> None:
    await refused_with(SUBJECT_NOT_FOUND, _create(world, uuid4()))


@pytest.mark.parametrize("turn", range(3))
async def test_racing_calls_make_one_batch(world: World, turn: int) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10 + turn)
    job_id = await _preflight(world, product_id, batch_id=source)
    answers, errors = await raced(*(_create(world, job_id) for _ in range(10)))
    assert not errors
    assert len({answer["mint_batch_id"] for answer in answers}) == 1
    assert [answer["is_duplicate"] for answer in answers].count(False) == 1
    assert await allocated(world, source) == 10
    assert await broken_invariants(world) == {}

"""preflight_mint_batch: submit's checks without minting; a pass is kept for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import IDEMPOTENCY_CONFLICT
from mintage.operations.mint_preflight import remove_old_preflights
from tests.support.minting import (
    allocated,
    broken_invariants,
    counts,
    execute,
    production_batch,
    row,
    transactions,
    value,
)
from tests.support.refusals import bad_arguments, raced, refused_with
from tests.support.world import World

KEYS = [
    "ok",
    "id",
    "status",
    "preflight_result",
    "blocking_reasons",
    "scope_type",
    "requested_quantity",
    "created_at",
]


async def _preflight(world: World, product_id: object, **more: Any) -> dict[str, Any]:
    return await world.rpc("preflight_mint_batch", product_id=product_id, **more)


def _codes(answer: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in answer["blocking_reasons"]]


async def test_a_pass_is_kept_as_a_preflighted_job_and_nothing_else(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    before = await counts(world)
    answer = await _preflight(world, product_id, batch_id=source, requested_quantity=10)
    assert list(answer) == KEYS
    assert isinstance(answer["id"], UUID)
    assert isinstance(answer["created_at"], datetime)
    assert answer | {"id": 0, "created_at": 0} == {
        "ok": True,
        "id": 0,
        "status": "preflight_pass",
        "preflight_result": "pass",
        "blocking_reasons": [],
        "scope_type": "product_batch",
        "requested_quantity": 10,
        "created_at": 0,
    }
    job = await row(world, "select * from mint_job where id = $1", answer["id"])
    assert (job["status"], job["identity_mode"], job["activation_mode"]) == (
        "PREFLIGHTED",
        "serial",
        "first_scan",
    )
    assert (job["product_id"], job["product_batch_id"]) == (product_id, source)
    assert await counts(world) == before | {"mint_job": 1}
    assert await allocated(world, source) == 0
    assert await broken_invariants(world) == {}


async def test_the_modes_are_the_brands_defaults(world: World) -> None:
    await execute(
        world,
        "update brand set default_identity_mode = 'batch', default_activation_mode = 'active_at_mint'",
    )
    answer = await _preflight(world, await world.product())
    job = await row(world, "select * from mint_job where id = $1", answer["id"])
    assert (job["identity_mode"], job["activation_mode"]) == ("batch", "active_at_mint")


async def test_a_product_alone_is_a_scope_of_its_own(world: World) -> None:
    answer = await _preflight(world, await world.product())
    assert (answer["scope_type"], answer["requested_quantity"]) == ("product", None)


async def test_what_is_blocked_says_all_reasons_and_is_not_stored(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10, status="DRAFT")
    await world.rpc(
        "update_product", product_id=product_id, patch={"mint_readiness_status": "NOT_READY"}
    )
    before = await counts(world)
    answer = await _preflight(world, product_id, batch_id=source, requested_quantity=11)
    assert list(answer) == KEYS
    assert (answer["ok"], answer["id"], answer["status"], answer["preflight_result"]) == (
        False,
        None,
        "preflight_blocked",
        "blocked",
    )
    assert _codes(answer) == [
        "MINT_READINESS_NOT_READY",
        "PRODUCT_BATCH_NOT_READY",
        "QUANTITY_EXCEEDS_BATCH",
    ]
    assert answer["created_at"] is None
    assert await counts(world) == before


@pytest.mark.parametrize("quantity", [None, 3])
async def test_the_reasons_are_those_of_submit(world: World, quantity: int | None) -> None:
    product_id, other_id = await world.product(), await world.product()
    full = await production_batch(world, product_id, quantity=4, batch_number="B-1")
    await world.submit(product_id, 2, product_batch_id=full)
    closed = await production_batch(world, product_id, batch_number="B-2", status="CLOSED")
    for asked in (
        {"product_id": product_id, "batch_id": full},
        {"product_id": product_id, "batch_id": closed},
        {"product_id": other_id, "batch_id": full},
        {"product_id": uuid4(), "batch_id": uuid4()},
    ):
        answer = await world.rpc("preflight_mint_batch", requested_quantity=quantity, **asked)
        if quantity is not None:
            submitted = await world.submit(
                asked["product_id"], quantity, product_batch_id=asked["batch_id"]
            )
            assert answer["blocking_reasons"] == submitted["blocking_reasons"]
        else:
            assert set(_codes(answer)) <= {
                "PRODUCT_NOT_FOUND",
                "PRODUCT_BATCH_NOT_FOUND",
                "PRODUCT_BATCH_MISMATCH",
                "PRODUCT_BATCH_NOT_READY",
            }


async def test_a_number_that_names_no_lot_blocks_where_batch_mode_is_the_default(
    world: World,
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, batch_number="number 1")
    assert _codes(await _preflight(world, product_id, batch_id=source)) == []
    await execute(world, "update brand set default_identity_mode = 'batch'")
    answer = await _preflight(world, product_id, batch_id=source)
    assert _codes(answer) == ["BATCH_NUMBER_NOT_ENCODABLE"]


async def test_a_key_answers_the_first_pass_whatever_has_become_of_the_product(
    world: World,
) -> None:
    product_id = await world.product()
    asked = {"requested_quantity": 5, "idempotency_key": "check"}
    first = await _preflight(world, product_id, **asked)
    await world.rpc(
        "update_product", product_id=product_id, patch={"commercial_status": "DISCONTINUED"}
    )
    assert await _preflight(world, product_id, **asked) == first
    assert await value(world, "select count(*) from mint_job") == 1


async def test_a_key_with_other_arguments_is_a_conflict_that_names_them(world: World) -> None:
    product_id = await world.product()
    await _preflight(world, product_id, idempotency_key="check")
    error = await refused_with(
        IDEMPOTENCY_CONFLICT,
        _preflight(world, product_id, idempotency_key="check", requested_quantity=1),
    )
    assert error.message.endswith(": _requested_quantity")


async def test_keys_of_preflights_and_of_submits_are_two_spaces(world: World) -> None:
    product_id = await world.product()
    preflight = await _preflight(world, product_id, requested_quantity=5, idempotency_key="one")
    submitted = await world.submit(product_id, 5, idempotency_key="one")
    assert submitted["is_duplicate"] is False
    assert submitted["mint_job_id"] != preflight["id"]


async def test_a_blocked_preflight_does_not_use_its_key_up(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, status="DRAFT")
    asked = {"batch_id": source, "idempotency_key": "check"}
    assert (await _preflight(world, product_id, **asked))["ok"] is False
    await world.rpc("update_product_batch", product_batch_id=source, patch={"status": "READY"})
    assert (await _preflight(world, product_id, **asked))["ok"] is True


async def test_racing_preflights_of_one_key_are_one(world: World) -> None:
    product_id = await world.product()
    answers, errors = await raced(
        *(_preflight(world, product_id, idempotency_key="check") for _ in range(20))
    )
    assert not errors
    assert len({answer["id"] for answer in answers}) == 1
    assert await value(world, "select count(*) from mint_job") == 1


async def test_a_quantity_out_of_range_is_named(world: World) -> None:
    asked = _preflight(world, await world.product(), requested_quantity=1_000_001)
    assert list(await bad_arguments(asked)) == ["_requested_quantity"]


async def test_the_executor_has_nothing_to_do_for_a_preflight(world: World) -> None:
    preflight = await _preflight(world, await world.product(), requested_quantity=5)
    answer = await world.rpc("process_mint_job_batch", "service", mint_job_id=preflight["id"])
    assert (answer["status"], answer["done"], answer["units_created"]) == ("PREFLIGHTED", True, 0)
    assert "busy" not in answer
    assert (await world.rpc("process_mint_job_batch", "service"))["status"] == "IDLE"


async def test_a_preflight_is_removed_after_thirty_days_unless_it_was_used(world: World) -> None:
    product_id = await world.product()
    kept, used, old = [
        (await _preflight(world, product_id, requested_quantity=2))["id"] for _ in range(3)
    ]
    await world.rpc("create_mint_batch_from_job", mint_job_id=used)
    theirs = await world.rpc(
        "preflight_mint_batch", "stranger", product_id=await world.product("stranger")
    )
    age = "update mint_job set created_at = clock_timestamp() - make_interval(hours => $2) where id = $1"
    await execute(world, age, kept, 30 * 24 - 1)
    for identifier in (used, old, theirs["id"]):
        await execute(world, age, identifier, 30 * 24 + 1)
    assert await remove_old_preflights(transactions(world)) == 2
    left = await value(world, "select array_agg(id) from mint_job")
    assert set(left) == {kept, used}
    assert await remove_old_preflights(transactions(world)) == 0

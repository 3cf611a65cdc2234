"""submit_mint_request again: one idempotency key is one request, for ever."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import IDEMPOTENCY_CONFLICT
from tests.support.minting import (
    allocated,
    counts,
    cycle,
    execute,
    production_batch,
    with_limits,
)
from tests.support.refusals import bad_arguments, blocked_by, refused_with
from tests.support.world import World

KEY = "order 4711"
LOTS = [{"lot_code": "A", "qty": 4}, {"lot_code": "B", "qty": 6}]


async def _request(world: World, **more: Any) -> dict[str, Any]:
    """Arguments of a request with a key."""
    return {"product_id": await world.product(), "quantity": 10, "idempotency_key": KEY} | more


async def test_the_same_request_again_answers_the_first_ids_and_makes_nothing(
    world: World,
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    asked: dict[str, Any] = {"product_batch_id": source, "idempotency_key": KEY}
    first = await world.submit(product_id, **asked)
    before = await counts(world)
    again = await world.submit(product_id, **asked)
    assert again == first | {"is_duplicate": True}
    assert list(again) == list(first)
    assert await counts(world) == before
    assert await allocated(world, source) == 10


async def test_a_hit_answers_the_status_now(world: World) -> None:
    request = await _request(world)
    first = await world.submit(**request)
    statuses = []
    for _ in range(2):
        await cycle(world, first, batch_size=5)
        statuses.append((await world.submit(**request))["status"])
    assert statuses == ["PROCESSING", "COMPLETED"]


async def test_a_hit_on_a_failed_job_answers_failed_and_starts_nothing(world: World) -> None:
    world = with_limits(world, attempts_max=1)
    request = await _request(world)
    first = await world.submit(**request)
    await execute(world, "update work_item set lease_owner = 'gone', lease_until = now()")
    await cycle(world, first)
    again = await world.submit(**request)
    assert again == first | {"status": "FAILED", "is_duplicate": True}
    assert (await counts(world))["work_item"] == 0


async def test_a_retry_after_the_product_went_inactive_still_answers_the_first_ids(
    world: World,
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    asked: dict[str, Any] = {"product_batch_id": source, "idempotency_key": KEY}
    first = await world.submit(product_id, **asked)
    states = {"commercial_status": "DISCONTINUED", "mint_readiness_status": "NOT_READY"}
    await world.rpc("update_product", product_id=product_id, patch=states)
    await world.rpc("update_product_batch", product_batch_id=source, patch={"status": "CLOSED"})
    again = await world.submit(product_id, **asked)
    assert again == first | {"is_duplicate": True}


async def test_a_retry_with_serials_does_not_find_its_own_serials_taken(world: World) -> None:
    request = await _request(world, quantity=2, serials=["A", "B"])
    first = await world.submit(**request)
    assert await world.submit(**request) == first | {"is_duplicate": True}


async def test_another_member_with_the_same_key_asks_the_same(world: World) -> None:
    request = await _request(world)
    first = await world.submit(**request)
    request["requested_quantity"] = request.pop("quantity")
    again = await world.rpc(
        "submit_mint_request",
        "admin",
        identity_mode="serial",
        activation_mode="first_scan",
        **request,
    )
    assert again == first | {"is_duplicate": True}


@pytest.mark.parametrize(
    ("more", "changes", "named"),
    [
        ({}, {"quantity": 11}, ["_requested_quantity"]),
        ({}, {"product_id": uuid4()}, ["_product_id"]),
        ({}, {"product_batch_id": uuid4()}, ["_product_batch_id"]),
        ({}, {"activation_mode": "active_at_mint"}, ["_activation_mode"]),
        ({}, {"identity_mode": "batch"}, ["_identity_mode"]),
        ({}, {"quantity": 1, "serials": ["A"]}, ["_requested_quantity", "_serials"]),
        (
            {"identity_mode": "batch"},
            {"lots": [{"lot_code": "A", "qty": 10}]},
            ["_lots"],
        ),
        (
            {"identity_mode": "batch", "lots": LOTS},
            {"lots": LOTS[::-1]},
            ["_lots"],
        ),
        ({"quantity": 2, "serials": ["A", "B"]}, {"serials": ["B", "A"]}, ["_serials"]),
        ({"quantity": 2, "serials": ["A", "B"]}, {"serials": None}, ["_serials"]),
    ],
)
async def test_the_same_key_with_other_arguments_is_a_conflict_that_names_them(
    world: World, more: dict[str, Any], changes: dict[str, Any], named: list[str]
) -> None:
    request = await _request(world, **more)
    first = await world.submit(**request)
    before = await counts(world)
    error = await refused_with(IDEMPOTENCY_CONFLICT, world.submit(**request | changes))
    assert (error.kind.status, error.kind.code) == (409, "23505")
    assert error.message.rsplit(": ", 1)[1].split(", ") == named
    assert await counts(world) == before
    assert await world.submit(**request) == first | {"is_duplicate": True}


async def test_arguments_are_compared_after_reading_them(world: World) -> None:
    request = await _request(world, identity_mode="batch", lots=LOTS)
    first = await world.submit(**request)
    request["product_id"] = str(request["product_id"]).upper()
    request |= {"serials": None, "product_batch_id": None}
    request["lots"] = [{"qty": lot["qty"], "lot_code": lot["lot_code"]} for lot in LOTS]
    assert await world.submit(**request) == first | {"is_duplicate": True}


async def test_a_blocked_request_does_not_use_the_key_up(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=9)
    request: dict[str, Any] = {
        "product_id": product_id,
        "product_batch_id": source,
        "idempotency_key": KEY,
    }
    assert await blocked_by(world.submit(**request)) == ["QUANTITY_EXCEEDS_BATCH"]
    await world.rpc("update_product_batch", product_batch_id=source, patch={"quantity": 10})
    assert (await world.submit(**request))["is_duplicate"] is False


async def test_a_bad_request_does_not_use_the_key_up(world: World) -> None:
    request = await _request(world)
    await bad_arguments(world.submit(**request | {"quantity": 0}))
    await bad_arguments(world.submit(**request | {"lots": []}))
    assert (await world.submit(**request))["is_duplicate"] is False


async def test_a_bad_request_with_a_used_key_is_a_bad_request(world: World) -> None:
    request = await _request(world)
    await world.submit(**request)
    assert list(await bad_arguments(world.submit(**request | {"lots": []}))) == ["_lots"]


async def test_keys_are_compared_as_they_are(world: World) -> None:
    request = await _request(world)
    keys = ["k", "K", " k", "k ", "é", "e\u0301", "k" * 255]
    answers = [await world.submit(**request | {"idempotency_key": key}) for key in keys]
    assert not any(answer["is_duplicate"] for answer in answers)
    assert len({answer["mint_job_id"] for answer in answers}) == len(keys)


async def test_without_a_key_every_request_is_a_new_one(world: World) -> None:
    request = await _request(world, idempotency_key=None)
    assert (await world.submit(**request)) != (await world.submit(**request))
    assert (await counts(world))["mint_job"] == 2


async def test_brands_do_not_share_keys(world: World) -> None:
    first = await world.submit(**await _request(world))
    theirs = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=await world.product("stranger"),
        requested_quantity=3,
        identity_mode="batch",
        activation_mode="first_scan",
        idempotency_key=KEY,
    )
    assert theirs["is_duplicate"] is False
    assert isinstance(theirs["mint_job_id"], UUID)
    assert theirs["mint_job_id"] != first["mint_job_id"]

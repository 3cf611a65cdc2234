"""list_product_batches: production batches, newest first, by product and status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN
from mintage.operations.arguments import parse_arguments
from mintage.operations.arguments_catalogue import ListProductBatches
from mintage.operations.product_lists import list_product_batches
from tests.support.catalogue import at
from tests.support.lists import assert_cursor_holds_here_only, ids_of_pages, pages, statements_of
from tests.support.minting import production_batch
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

RPC = "list_product_batches"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _ids(world: World, limit: int = 200, **more: Any) -> list[UUID]:
    return await ids_of_pages(world, RPC, "product_batches", limit=limit, **more)


async def _batches(world: World, product_id: UUID, count: int, **more: Any) -> list[UUID]:
    """Ids of that many production batches, newest first."""
    made = [
        await production_batch(world, product_id, batch_number=str(uuid4()), **more)
        for _ in range(count)
    ]
    return made[::-1]


async def test_a_batch_is_the_one_that_update_answers_with_what_is_allocated(world: World) -> None:
    product_id = await world.product()
    made = await production_batch(world, product_id, attributes={"line": 4})
    await world.submit(product_id, 10, product_batch_id=made)
    updated = await world.rpc(
        "update_product_batch", product_batch_id=made, patch={"facility_ref": "Plant 3"}
    )
    ((listed,),) = await pages(world, RPC, "product_batches", limit=20)
    assert listed == updated["product_batch"]
    assert listed["allocated_quantity"] == 10


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    product_id = await world.product()
    await _batches(at(world, NOON), product_id, 4)
    await _batches(at(world, NOON + timedelta(microseconds=1)), product_id, 3)
    (rows,) = await pages(world, RPC, "product_batches", limit=200)
    assert await _ids(world, limit) == [row["id"] for row in rows]
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


async def test_what_comes_while_pages_are_read_repeats_and_skips_nothing(world: World) -> None:
    product_id = await world.product()
    made = await _batches(world, product_id, 7)

    async def come_between(_: int) -> None:
        await _batches(world, product_id, 1)

    assert await _ids(world, 2, between=come_between) == made


async def test_batches_are_found_by_product_by_status_and_by_both(world: World) -> None:
    oak, elm = await world.product(), await world.product()
    ready = await _batches(world, oak, 2)
    draft = await _batches(world, oak, 2, status="DRAFT")
    closed = await _batches(world, elm, 1, status="CLOSED")
    other = await _batches(world, elm, 1)
    for filters, expected in (
        ({}, other + closed + draft + ready),
        ({"product_id": oak}, draft + ready),
        ({"status": "READY"}, other + ready),
        ({"product_id": oak, "status": "READY"}, ready),
        ({"product_id": oak, "status": "CLOSED"}, []),
    ):
        assert await _ids(world, 2, **filters) == expected, filters


async def test_a_filter_that_fits_nothing_gives_an_empty_page(world: World) -> None:
    foreign = await world.product("stranger")
    await production_batch(world, foreign, "stranger")
    empty = {"ok": True, "product_batches": [], "has_more": False, "next_cursor": None}
    for product_id in (uuid4(), foreign):
        assert await world.rpc(RPC, product_id=product_id) == empty
    assert await world.rpc(RPC) == empty


async def test_a_page_is_one_query_however_many_rows_it_has(world: World) -> None:
    await _batches(world, await world.product(), 5)
    for limit in (1, 5):
        raw = {"_brand_id": str(world.brand_id), "_limit": limit}
        arguments = parse_arguments(ListProductBatches, raw)
        assert len(await statements_of(world, list_product_batches, arguments)) == 1


async def test_a_cursor_holds_for_one_list_brand_and_filter(world: World) -> None:
    await _batches(world, await world.product(), 3)
    await assert_cursor_holds_here_only(
        world, RPC, {"status": "READY"}, {"product_id": uuid4()}, other_rpc="list_products"
    )


async def test_bad_arguments_are_named_at_once(world: World) -> None:
    call = world.rpc(RPC, product_id="x", status="ready", limit=201, cursor=7)
    assert set(await bad_arguments(call)) == {"_product_id", "_status", "_limit", "_cursor"}


async def test_every_member_sees_them_and_a_stranger_does_not(world: World) -> None:
    made = await _batches(world, await world.product(), 1)
    for caller in ("owner", "admin", "editor", "viewer", "service"):
        assert await _ids(world, caller=caller) == made
    assert await _ids(world, caller="stranger") == []
    await refused_with(FORBIDDEN, world.rpc(RPC, "stranger", brand_id=world.brand_id))

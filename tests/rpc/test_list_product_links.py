"""list_product_links: a product's links, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from tests.support.catalogue import at, link_of
from tests.support.lists import forgeries, ids_of_pages, pages
from tests.support.refusals import bad_arguments, refused_with, same_bytes
from tests.support.world import World

RPC = "list_product_links"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def test_links_are_those_that_were_set_newest_first(world: World) -> None:
    product_id = await world.product()
    made = [await link_of(world, product_id, title=f"Link {number}") for number in range(3)]
    await link_of(world, await world.product())
    assert await pages(world, RPC, "links", limit=20, product_id=product_id) == [made[::-1]]


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    product_id = await world.product()
    for moment in (NOON, NOON + timedelta(microseconds=1)):
        for _ in range(3):
            await link_of(at(world, moment), product_id)
    (rows,) = await pages(world, RPC, "links", limit=200, product_id=product_id)
    listed = await ids_of_pages(world, RPC, "links", limit=limit, product_id=product_id)
    assert listed == [row["id"] for row in rows]
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


async def test_a_product_without_links_has_an_empty_page(world: World) -> None:
    assert await world.rpc(RPC, product_id=await world.product()) == {
        "ok": True,
        "links": [],
        "has_more": False,
        "next_cursor": None,
    }


async def test_an_unknown_product_and_another_brands_are_the_same(world: World) -> None:
    foreign = await world.product("stranger")
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=uuid4()))
    other = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=foreign))
    assert same_bytes(unknown, other)


async def test_a_cursor_holds_for_one_product(world: World) -> None:
    product_id, other = await world.product(), await world.product()
    for _ in range(2):
        await link_of(world, product_id)
    cursor = (await world.rpc(RPC, product_id=product_id, limit=1))["next_cursor"]
    calls = [
        world.rpc(RPC, product_id=other, cursor=cursor),
        world.rpc("list_products", cursor=cursor),
    ]
    calls += [world.rpc(RPC, product_id=product_id, cursor=forged) for forged in forgeries(cursor)]
    for call in calls:
        assert list(await bad_arguments(call)) == ["_cursor"]


async def test_every_member_sees_them_and_a_stranger_does_not(world: World) -> None:
    product_id = await world.product()
    link = await link_of(world, product_id)
    for caller in ("owner", "admin", "editor", "viewer", "service"):
        assert (await world.rpc(RPC, caller, product_id=product_id))["links"] == [link]
    call = world.rpc(RPC, "stranger", brand_id=world.brand_id, product_id=product_id)
    await refused_with(FORBIDDEN, call)

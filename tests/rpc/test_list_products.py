"""list_products: a brand's products, newest first, by status, each with identifiers and links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from mintage.errors import FORBIDDEN
from mintage.operations.arguments import parse_arguments
from mintage.operations.arguments_catalogue import ListProducts
from mintage.operations.product_lists import list_products
from tests.support.catalogue import at, link_of
from tests.support.lists import assert_cursor_holds_here_only, ids_of_pages, pages, statements_of
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import GTIN_TABLE, World

RPC = "list_products"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _ids(world: World, limit: int = 200, **more: Any) -> list[UUID]:
    return await ids_of_pages(world, RPC, "products", limit=limit, **more)


async def _products(world: World, count: int) -> list[UUID]:
    """Ids of that many products, newest first."""
    return [await world.product() for _ in range(count)][::-1]


async def test_a_product_of_the_list_is_that_of_get_product(world: World) -> None:
    plain = await world.product()
    rich = await world.product(gtin=GTIN_TABLE)
    await link_of(world, rich)
    await world.rpc("set_product_identifier", product_id=rich, identifier_type="sku", raw_value="B")
    ((first, second),) = await pages(world, RPC, "products", limit=200)
    assert [first, second] == [
        (await world.rpc("get_product", product_id=each))["product"] for each in (rich, plain)
    ]
    assert len(first["identifiers"]) == 3
    assert len(first["links"]) == 1


async def test_a_brand_without_products_has_an_empty_page(world: World) -> None:
    assert await world.rpc(RPC) == {
        "ok": True,
        "products": [],
        "has_more": False,
        "next_cursor": None,
    }


async def test_the_newest_come_first_twenty_a_page(world: World) -> None:
    made = await _products(world, 21)
    answer = await world.rpc(RPC)
    assert [product["id"] for product in answer["products"]] == made[:20]
    assert answer["has_more"] is True


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    await _products(at(world, NOON), 4)
    await _products(at(world, NOON + timedelta(microseconds=1)), 3)
    (rows,) = await pages(world, RPC, "products", limit=200)
    assert await _ids(world, limit) == [row["id"] for row in rows]
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


async def test_what_comes_while_pages_are_read_repeats_and_skips_nothing(world: World) -> None:
    made = await _products(world, 7)

    async def come_between(_: int) -> None:
        await world.product()
        await world.rpc("update_product", product_id=made[-1], patch={"name": "Elm"})

    assert await _ids(world, 2, between=come_between) == made


async def test_products_are_found_by_either_status_and_by_both(world: World) -> None:
    ready = await world.product()
    draft = (await world.rpc("create_product", sku="A", name="a"))["product"]["id"]
    ended = await world.product()
    await world.rpc("update_product", product_id=ended, patch={"commercial_status": "DISCONTINUED"})
    unready = await world.product()
    await world.rpc(
        "update_product", product_id=unready, patch={"mint_readiness_status": "NOT_READY"}
    )
    for filters, expected in (
        ({"commercial_status": "ACTIVE"}, [unready, ready]),
        ({"commercial_status": "DRAFT"}, [draft]),
        ({"mint_readiness_status": "READY"}, [ended, ready]),
        ({"mint_readiness_status": "NOT_READY"}, [unready, draft]),
        ({"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}, [ready]),
        ({"commercial_status": "DRAFT", "mint_readiness_status": "READY"}, []),
    ):
        assert await _ids(world, 1, **filters) == expected, filters


async def test_a_page_is_three_statements_however_many_products_it_has(world: World) -> None:
    await _products(world, 5)
    for limit in (1, 5):
        raw = {"_brand_id": str(world.brand_id), "_limit": limit}
        arguments = parse_arguments(ListProducts, raw)
        assert len(await statements_of(world, list_products, arguments)) == 3


async def test_a_cursor_holds_for_one_list_brand_and_filter(world: World) -> None:
    await _products(world, 3)
    await assert_cursor_holds_here_only(
        world,
        RPC,
        {"commercial_status": "ACTIVE"},
        {"mint_readiness_status": "READY"},
        other_rpc="list_mint_events",
    )


async def test_bad_arguments_are_named_at_once(world: World) -> None:
    call = world.rpc(
        RPC, commercial_status="active", mint_readiness_status="", limit=0, cursor=7, status="x"
    )
    assert set(await bad_arguments(call)) == {
        "_commercial_status",
        "_mint_readiness_status",
        "_limit",
        "_cursor",
        "_status",
    }


async def test_a_brand_sees_its_own_only(world: World) -> None:
    mine, theirs = await world.product(), await world.product("stranger")
    assert await _ids(world) == [mine]
    assert await _ids(world, caller="stranger") == [theirs]
    await refused_with(FORBIDDEN, world.rpc(RPC, "stranger", brand_id=world.brand_id))

"""get_product: a product with its GTIN, identifiers and links."""

from __future__ import annotations

from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED, SUBJECT_NOT_FOUND
from tests.support.catalogue import link_of
from tests.support.refusals import bad_arguments, refused_with, same_bytes
from tests.support.world import GTIN_TABLE, World

RPC = "get_product"
KEYS = [
    "id",
    "sku",
    "name",
    "gtin",
    "commercial_status",
    "mint_readiness_status",
    "description",
    "image_url",
    "created_at",
    "updated_at",
    "identifiers",
    "links",
]


async def test_a_product_is_told_with_all_its_keys(world: World) -> None:
    product_id = await world.product(sku="OAK-1", gtin=GTIN_TABLE, description="Four legs")
    answer = await world.rpc(RPC, product_id=product_id)
    assert list(answer) == ["ok", "product"]
    product = answer["product"]
    assert list(product) == KEYS
    assert {name: product[name] for name in KEYS[:8]} == {
        "id": product_id,
        "sku": "OAK-1",
        "name": "Oak table",
        "gtin": GTIN_TABLE,
        "commercial_status": "ACTIVE",
        "mint_readiness_status": "READY",
        "description": "Four legs",
        "image_url": None,
    }
    assert product["updated_at"] > product["created_at"]
    # Two that were made in one call stand in any order.
    assert {(each["identifier_type"], each["status"]) for each in product["identifiers"]} == {
        ("sku", "active"),
        ("gtin", "active"),
    }
    assert product["links"] == []


async def test_links_are_told_newest_first_as_they_were_set(world: World) -> None:
    product_id, other = await world.product(), await world.product()
    first = await link_of(world, product_id)
    second = await link_of(world, product_id, link_type="gs1:dpp", is_default=True)
    await link_of(world, other)
    product = (await world.rpc(RPC, product_id=product_id))["product"]
    assert product["links"] == [second, first]
    updated = await world.rpc("update_product", product_id=product_id, patch={"name": "Elm"})
    assert updated["product"]["links"] == [second, first]


async def test_the_gtin_is_the_active_gtin_else_ean_else_upc(world: World) -> None:
    product_id = await world.product()

    async def gtin() -> str | None:
        found: str | None = (await world.rpc(RPC, product_id=product_id))["product"]["gtin"]
        return found

    assert await gtin() is None
    for kind, value in (("upc", "614141000036"), ("ean", "9506000134369"), ("gtin", GTIN_TABLE)):
        await world.rpc(
            "set_product_identifier", product_id=product_id, identifier_type=kind, raw_value=value
        )
        assert await gtin() == value


async def test_an_unknown_product_and_another_brands_are_the_same(world: World) -> None:
    foreign = await world.product("stranger")
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=uuid4()))
    other = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=foreign))
    assert same_bytes(unknown, other)


@pytest.mark.parametrize("caller", ["owner", "admin", "editor", "viewer", "service"])
async def test_every_member_and_the_service_read_it(world: World, caller: str) -> None:
    product_id = await world.product()
    assert (await world.rpc(RPC, caller, product_id=product_id))["product"]["id"] == product_id


async def test_strangers_and_the_anonymous_do_not(world: World) -> None:
    product_id = await world.product()
    for caller, kind in (
        ("stranger", FORBIDDEN),
        ("nobody", FORBIDDEN),
        ("anonymous", NOT_AUTHENTICATED),
    ):
        call = world.rpc(RPC, caller, brand_id=world.brand_id, product_id=product_id)
        await refused_with(kind, call)


async def test_a_bad_argument_is_named(world: World) -> None:
    assert set(await bad_arguments(world.rpc(RPC, product_id="x", name="y"))) == {
        "_product_id",
        "_name",
    }

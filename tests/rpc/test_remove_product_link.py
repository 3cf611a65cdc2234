"""remove_product_link: a link goes for good, once."""

from __future__ import annotations

from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from tests.support.catalogue import HREF, link_of
from tests.support.refusals import bad_arguments, payloads, raced, refused_with, same_bytes
from tests.support.world import World

RPC = "remove_product_link"


async def test_a_link_that_was_removed_is_gone(world: World) -> None:
    product_id = await world.product()
    kept, removed = await link_of(world, product_id), await link_of(world, product_id)
    assert await world.rpc(RPC, link_id=removed["id"]) == {"ok": True, "removed": True}
    links = (await world.rpc("list_product_links", product_id=product_id))["links"]
    assert links == [kept]
    await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, link_id=removed["id"]))


async def test_a_default_that_is_removed_leaves_none_and_makes_room(world: World) -> None:
    product_id = await world.product()
    first = await link_of(world, product_id, is_default=True)
    await link_of(world, product_id)
    await world.rpc(RPC, link_id=first["id"])
    product = (await world.rpc("get_product", product_id=product_id))["product"]
    assert [link["is_default"] for link in product["links"]] == [False]
    assert (await link_of(world, product_id, is_default=True))["is_default"] is True


async def test_of_eight_who_remove_a_link_at_once_one_does(world: World) -> None:
    link = await link_of(world, await world.product())
    answers, errors = await raced(*(world.rpc(RPC, link_id=link["id"]) for _ in range(8)))
    assert (len(answers), len(errors)) == (1, 7)
    assert {error.kind for error in errors} == {SUBJECT_NOT_FOUND}
    removals = [p for p in await payloads(world, "settings_changed") if p["change"] == "removed"]
    assert len(removals) == 1


async def test_a_link_changed_and_removed_at_once_is_gone(world: World) -> None:
    product_id = await world.product()
    link = await link_of(world, product_id)
    change = {"link_type": "gs1:pip", "href": HREF, "title": "b", "link_id": link["id"]}
    _, errors = await raced(
        *(world.rpc("set_product_link", product_id=product_id, **change) for _ in range(3)),
        world.rpc(RPC, link_id=link["id"]),
    )
    assert {error.kind for error in errors} <= {SUBJECT_NOT_FOUND}
    assert (await world.rpc("list_product_links", product_id=product_id))["links"] == []


async def test_an_event_tells_what_the_link_was(world: World) -> None:
    product_id = await world.product()
    link = await link_of(world, product_id, is_default=True)
    await world.rpc(RPC, "editor", link_id=link["id"])
    assert (await payloads(world, "settings_changed"))[0] == {
        "subject": "product_link",
        "product_link_id": str(link["id"]),
        "product_id": str(product_id),
        "change": "removed",
        "link_type": "gs1:pip",
        "href": HREF,
        "is_default": True,
    }


async def test_an_unknown_link_and_another_brands_are_the_same(world: World) -> None:
    foreign = await link_of(world, await world.product("stranger"), caller="stranger")
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, link_id=uuid4()))
    other = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, link_id=foreign["id"]))
    assert same_bytes(unknown, other)


@pytest.mark.parametrize("caller", ["viewer", "stranger", "nobody"])
async def test_others_remove_no_link(world: World, caller: str) -> None:
    link = await link_of(world, await world.product())
    call = world.rpc(RPC, caller, brand_id=world.brand_id, link_id=link["id"])
    await refused_with(FORBIDDEN, call)
    assert set(await bad_arguments(world.rpc(RPC, link_id="x"))) == {"_link_id"}

"""list_my_brands: the brands that the caller may work in, newest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.call import Caller
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World


async def _brands(world: World, count: int) -> None:
    for number in range(count):
        await world.rpc(
            "create_brand",
            "service",
            slug=f"brand-{number}",
            name=f"Brand {number}",
            owner_email="owner@example.com",
        )


async def _key(world: World, *scopes: str, **times: datetime) -> World:
    """The world with a caller `key`: an API key with these scopes."""
    key_id = uuid4()
    await world.platform.database.pool.execute(
        "insert into api_key "
        "(brand_id, id, client_id, secret_hash, name, scopes, created_at, expires_at, revoked_at) "
        "values ($1, $2, $3, '', 'key', $4, now(), $5, $6)",
        world.brand_id,
        key_id,
        f"mk_live_{key_id.hex}",
        list(scopes),
        times.get("expires_at"),
        times.get("revoked_at"),
    )
    caller = Caller("api_key", key_id, world.brand_id, frozenset())
    return replace(world, callers={**world.callers, "key": caller})


async def test_a_member_sees_his_brand_and_role(world: World) -> None:
    assert await world.rpc("list_my_brands", "editor") == {
        "ok": True,
        "brands": [{"id": world.brand_id, "slug": "acme", "name": "Acme", "role": "editor"}],
        "has_more": False,
        "next_cursor": None,
    }


async def test_a_member_of_two_brands_sees_both(world: World) -> None:
    await world.rpc("set_brand_member", email="stranger@example.com", role="viewer")
    brands = (await world.rpc("list_my_brands", "stranger"))["brands"]
    assert {(brand["slug"], brand["role"]) for brand in brands} == {
        ("acme", "viewer"),
        ("rival", "owner"),
    }


async def test_somebody_without_a_brand_sees_none(world: World) -> None:
    answer = await world.rpc("list_my_brands", "nobody")
    assert (answer["brands"], answer["has_more"]) == ([], False)


async def test_the_service_sees_every_brand(world: World) -> None:
    brands = (await world.rpc("list_my_brands", "service"))["brands"]
    assert {(brand["slug"], brand["role"]) for brand in brands} == {
        ("acme", "service"),
        ("rival", "service"),
    }


@pytest.mark.parametrize("caller", ["owner", "service"])
async def test_pages_hold_each_brand_once_newest_first(world: World, caller: str) -> None:
    await _brands(world, 5)
    slugs: list[str] = []
    cursor = None
    while True:
        page = await world.rpc("list_my_brands", caller, limit=2, cursor=cursor)
        slugs += [brand["slug"] for brand in page["brands"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert cursor is None
    assert slugs[:5] == [f"brand-{number}" for number in (4, 3, 2, 1, 0)]
    assert sorted(slugs[5:]) == (["acme"] if caller == "owner" else ["acme", "rival"])


async def test_a_cursor_of_another_caller_is_refused(world: World) -> None:
    await _brands(world, 2)
    cursor = (await world.rpc("list_my_brands", "service", limit=1))["next_cursor"]
    for wrong in (cursor, "x", "", "é" * 500):
        problems = await bad_arguments(world.rpc("list_my_brands", "owner", cursor=wrong))
        assert set(problems) == {"_cursor"}


async def test_bad_arguments_are_named_at_once(world: World) -> None:
    call = world.rpc("list_my_brands", "owner", limit=201, cursor=5, brand_id=str(world.brand_id))
    assert set(await bad_arguments(call)) == {"_limit", "_cursor", "_brand_id"}


async def test_an_api_key_sees_its_brand_and_has_no_role(world: World) -> None:
    answer = await (await _key(world, "mint:read")).rpc("list_my_brands", "key")
    assert answer["brands"] == [
        {"id": world.brand_id, "slug": "acme", "name": "Acme", "role": None}
    ]
    assert answer["has_more"] is False


async def test_a_key_that_may_not_read_or_is_no_longer_good_sees_nothing(world: World) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    for keyed in (
        await _key(world, "mint:write"),
        await _key(world, "mint:read", revoked_at=past),
        await _key(world, "mint:read", expires_at=past),
    ):
        await refused_with(FORBIDDEN, keyed.rpc("list_my_brands", "key"))


async def test_an_anonymous_caller_is_refused(world: World) -> None:
    await refused_with(NOT_AUTHENTICATED, world.rpc("list_my_brands", "anonymous"))


async def test_ids_are_uuids(world: World) -> None:
    brands = (await world.rpc("list_my_brands"))["brands"]
    assert all(isinstance(brand["id"], UUID) for brand in brands)

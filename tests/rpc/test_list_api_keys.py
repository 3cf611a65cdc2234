"""list_api_keys: a brand's keys, newest first, those that are over too, never a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mintage.errors import FORBIDDEN
from tests.support.catalogue import at, new_key
from tests.support.lists import assert_cursor_holds_here_only, ids_of_pages, pages
from tests.support.minting import value
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

RPC = "list_api_keys"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEYS = [
    "id",
    "client_id",
    "name",
    "scopes",
    "created_by",
    "created_at",
    "expires_at",
    "revoked_at",
    "last_used_at",
]


async def _keys(world: World, **more: Any) -> list[dict[str, Any]]:
    (only,) = await pages(world, RPC, "api_keys", limit=200, **more)
    return only


async def test_a_key_is_told_without_its_secret(world: World) -> None:
    made = await new_key(world, "mint:read", "mint:write", expires_at="2099-01-31T12:00:00Z")
    (key,) = await _keys(world)
    assert list(key) == KEYS
    assert {name: key[name] for name in KEYS if name != "created_at"} == {
        "id": made["id"],
        "client_id": made["client_id"],
        "name": "ERP",
        "scopes": ["mint:read", "mint:write"],
        "created_by": world.user_ids["owner"],
        "expires_at": datetime(2099, 1, 31, 12, tzinfo=UTC),
        "revoked_at": None,
        "last_used_at": None,
    }
    secret_hash = await value(world, "select secret_hash from api_key")
    told = str(key)
    assert made["client_secret"] not in told
    assert secret_hash.hex() not in told
    assert repr(secret_hash) not in told


async def test_keys_that_are_over_stay_in_the_list(world: World) -> None:
    expired = await new_key(at(world, NOON), expires_at=(NOON + timedelta(days=1)).isoformat())
    revoked = await new_key(world)
    await world.rpc("revoke_api_key", api_key_id=revoked["id"])
    first, second = await _keys(world)
    assert (first["id"], first["revoked_at"] is not None) == (revoked["id"], True)
    assert (second["id"], second["revoked_at"]) == (expired["id"], None)


@pytest.mark.parametrize("limit", [1, 2, 6, 7])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    for moment in (NOON, NOON + timedelta(microseconds=1)):
        for _ in range(3):
            await new_key(at(world, moment))
    rows = await _keys(world)
    listed = await ids_of_pages(world, RPC, "api_keys", limit=limit)
    assert listed == [row["id"] for row in rows]
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


async def test_a_cursor_holds_for_one_list_and_brand(world: World) -> None:
    for _ in range(2):
        await new_key(world)
    await assert_cursor_holds_here_only(world, RPC, other_rpc="list_brand_members")


async def test_those_who_administer_read_it_and_nobody_else(world: World) -> None:
    await new_key(world)
    await new_key(world, caller="stranger")
    for caller in ("owner", "admin", "service", "stranger"):
        assert len(await _keys(world, caller=caller)) == 1
    for caller in ("editor", "viewer", "stranger", "nobody"):
        await refused_with(FORBIDDEN, world.rpc(RPC, caller, brand_id=world.brand_id))


async def test_bad_arguments_are_named_at_once(world: World) -> None:
    call = world.rpc(RPC, limit=0, cursor=7, secret="x")
    assert set(await bad_arguments(call)) == {"_limit", "_cursor", "_secret"}

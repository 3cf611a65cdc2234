"""remove_brand_member: out at once; nobody removes above himself, the last owner stays."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from mintage.operations.call import SERVICE
from tests.support.minting import rows, value
from tests.support.refusals import (
    bad_arguments,
    blocked_by,
    payloads,
    raced,
    refused_with,
    same_bytes,
)
from tests.support.waiting import until_somebody_waits
from tests.support.world import World

RPC = "remove_brand_member"


async def _remove(world: World, name: str, caller: str = "owner") -> dict[str, object]:
    return await world.rpc(RPC, caller, user_id=world.user_ids[name])


async def _roles(world: World) -> dict[UUID, str]:
    found = await rows(
        world, "select user_id, role from brand_member where brand_id = $1", world.brand_id
    )
    return {row["user_id"]: row["role"] for row in found}


async def _role(world: World, name: str) -> str | None:
    return (await _roles(world)).get(world.user_ids[name])


async def test_a_member_is_out_from_his_next_call_on(world: World) -> None:
    assert (await world.rpc("list_products", "editor"))["ok"]
    assert await _remove(world, "editor") == {"ok": True, "removed": True}
    await refused_with(FORBIDDEN, world.rpc("list_products", "editor"))
    assert (await world.rpc("list_my_brands", "editor"))["brands"] == []


async def test_his_account_and_his_other_brands_stay(world: World) -> None:
    await world.rpc("set_brand_member", email="stranger@example.com", role="editor")
    await _remove(world, "stranger")
    assert (await world.rpc("list_products", "stranger"))["ok"]
    again = await world.rpc("set_brand_member", email="stranger@example.com", role="viewer")
    assert (again["user_id"], again["password"]) == (world.user_ids["stranger"], None)


@pytest.mark.parametrize("name", ["admin", "editor", "viewer"])
async def test_an_admin_removes_up_to_his_own_role(world: World, name: str) -> None:
    await world.rpc("set_brand_member", email="nobody@example.com", role="admin")
    await _remove(world, name, "nobody")
    assert await _role(world, name) is None


async def test_an_admin_removes_no_owner(world: World) -> None:
    await world.rpc("set_brand_member", email="viewer@example.com", role="owner")
    for name in ("owner", "viewer"):
        await refused_with(FORBIDDEN, _remove(world, name, "admin"))
        assert await _role(world, name) == "owner"


@pytest.mark.parametrize("caller", ["viewer", "service"])
async def test_owners_and_the_service_remove_owners(world: World, caller: str) -> None:
    await world.rpc("set_brand_member", email="viewer@example.com", role="owner")
    await _remove(world, "owner", caller)
    assert await _role(world, "owner") is None


@pytest.mark.parametrize("name", ["owner", "admin"])
async def test_one_may_take_out_himself(world: World, name: str) -> None:
    await world.rpc("set_brand_member", email="viewer@example.com", role="owner")
    await _remove(world, name, name)
    assert await _role(world, name) is None
    (left, *_) = await payloads(world, "member_changed", "viewer")
    assert left["user_id"] == str(world.user_ids[name])


@pytest.mark.parametrize("caller", ["owner", "service"])
async def test_the_last_owner_stays(world: World, caller: str) -> None:
    assert await blocked_by(_remove(world, "owner", caller)) == ["LAST_OWNER"]
    assert await _role(world, "owner") == "owner"
    assert await payloads(world, "member_changed") == []


async def test_owners_who_remove_each_other_at_once_leave_one(world: World) -> None:
    names = ("owner", "admin", "editor", "viewer")
    for name in names[1:]:
        await world.rpc("set_brand_member", email=f"{name}@example.com", role="owner")
    await raced(*(_remove(world, name, names[place - 1]) for place, name in enumerate(names)))
    assert list((await _roles(world)).values()).count("owner") >= 1
    await raced(*(_remove(world, name, "service") for name in names))
    assert list((await _roles(world)).values()) == ["owner"]


async def test_removed_and_demoted_at_once_leave_an_owner(world: World) -> None:
    await world.rpc("set_brand_member", email="admin@example.com", role="owner")
    demote = {"email": "admin@example.com", "role": "viewer"}
    for _ in range(5):
        await raced(
            _remove(world, "owner", "service"), world.rpc("set_brand_member", "service", **demote)
        )
        assert "owner" in (await _roles(world)).values()
        await world.rpc("set_brand_member", "service", email="owner@example.com", role="owner")
        await world.rpc("set_brand_member", "service", email="admin@example.com", role="owner")


async def test_of_eight_who_remove_one_at_once_one_does(world: World) -> None:
    answers, errors = await raced(*(_remove(world, "viewer") for _ in range(8)))
    assert (len(answers), len(errors)) == (1, 7)
    assert {error.kind for error in errors} == {SUBJECT_NOT_FOUND}
    assert len(await payloads(world, "member_changed")) == 1


async def test_an_owner_who_is_demoted_while_his_call_waits_removes_no_owner(world: World) -> None:
    await world.rpc("set_brand_member", email="admin@example.com", role="owner")
    async with world.platform.database.transaction(SERVICE.identity(None)) as other:
        await other.execute(
            "update brand_member set role = 'admin' where brand_id = $1 and user_id = $2",
            world.brand_id,
            world.user_ids["admin"],
        )
        waiting = asyncio.create_task(_remove(world, "owner", "admin"))
        await until_somebody_waits(world)
    await refused_with(FORBIDDEN, waiting)
    assert await _role(world, "owner") == "owner"


async def test_an_event_tells_who_was_what(world: World) -> None:
    await _remove(world, "editor", "admin")
    assert await payloads(world, "member_changed") == [
        {
            "user_id": str(world.user_ids["editor"]),
            "role": None,
            "previous_role": "editor",
        }
    ]
    actor = await value(world, "select actor_id from mint_event order by id desc limit 1")
    assert actor == world.user_ids["admin"]


async def test_whoever_is_no_member_is_unknown(world: World) -> None:
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, user_id=uuid4()))
    for name in ("stranger", "nobody"):
        other = await refused_with(SUBJECT_NOT_FOUND, _remove(world, name))
        assert same_bytes(unknown, other)
    assert await value(world, "select count(*) from brand_member") == 5


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_remove_nobody_themselves_included(world: World, caller: str) -> None:
    for name in ("viewer", caller):
        call = world.rpc(RPC, caller, brand_id=world.brand_id, user_id=world.user_ids[name])
        await refused_with(FORBIDDEN, call)
    assert len(await _roles(world)) == 4


async def test_a_bad_argument_is_named(world: World) -> None:
    call = world.rpc(RPC, user_id="x", email="a@example.com")
    assert set(await bad_arguments(call)) == {"_user_id", "_email"}

"""set_brand_member: who has which role; nobody grants above himself, the last owner stays."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

import pytest

from mintage.errors import FORBIDDEN
from mintage.operations.call import SERVICE
from mintage.operations.passwords import hash_password, verify_nothing, verify_password
from tests.support.refusals import bad_arguments, blocked_by, payloads, raced, refused_with
from tests.support.waiting import until_somebody_waits
from tests.support.world import World

KEYS = ["ok", "user_id", "role", "password"]


async def _set(world: World, email: str, role: str, caller: str = "owner") -> dict[str, Any]:
    return await world.rpc("set_brand_member", caller, email=email, role=role)


async def _value(world: World, statement: str, *arguments: object) -> Any:
    return await world.platform.database.pool.fetchval(statement, *arguments)


async def _role(world: World, user_id: UUID) -> str | None:
    role: str | None = await _value(
        world,
        "select role from brand_member where brand_id = $1 and user_id = $2",
        world.brand_id,
        user_id,
    )
    return role


async def test_a_new_email_gets_an_account_with_a_password_shown_once(world: World) -> None:
    first = await _set(world, "Anna@Example.com", "editor")
    assert list(first) == KEYS
    assert (first["ok"], first["role"]) == (True, "editor")
    assert re.fullmatch(r"[a-z2-9]{6}(-[a-z2-9]{6}){3}", first["password"])
    again = await _set(world, "anna@example.COM", "viewer")
    assert again == {**first, "role": "viewer", "password": None}
    assert await _role(world, first["user_id"]) == "viewer"


async def test_only_an_argon2id_hash_of_the_password_is_kept(world: World) -> None:
    made = await _set(world, "anna@example.com", "editor")
    statement = "select password_hash from app_user where id = $1"
    kept = await _value(world, statement, made["user_id"])
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await verify_password(made["password"], kept)
    assert not await verify_password(made["password"] + "x", kept)


async def test_a_hash_that_is_none_and_no_account_verify_nothing(world: World) -> None:
    assert not await verify_password("anything", "none")
    await verify_nothing("anything")
    assert await hash_password("same") != await hash_password("same")


async def test_an_account_that_exists_becomes_a_member_and_keeps_its_password(
    world: World,
) -> None:
    answer = await _set(world, "nobody@example.com", "editor")
    assert answer == {
        "ok": True,
        "user_id": world.user_ids["nobody"],
        "role": "editor",
        "password": None,
    }
    assert (await world.rpc("create_product", "nobody", sku="A", name="a"))["ok"]


async def test_a_role_counts_from_the_next_call_on(world: World) -> None:
    await _set(world, "editor@example.com", "viewer")
    await refused_with(FORBIDDEN, world.rpc("create_product", "editor", sku="A", name="a"))


@pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
async def test_an_admin_grants_up_to_his_own_role(world: World, role: str) -> None:
    assert (await _set(world, "anna@example.com", role, "admin"))["role"] == role


@pytest.mark.parametrize("email", ["anna@example.com", "admin@example.com", "viewer@example.com"])
async def test_an_admin_makes_no_owner(world: World, email: str) -> None:
    await refused_with(FORBIDDEN, _set(world, email, "owner", "admin"))
    statement = "select count(*) from app_user where email_key = 'anna@example.com'"
    assert await _value(world, statement) == 0
    assert await payloads(world, "member_changed") == []


@pytest.mark.parametrize("role", ["owner", "admin", "viewer"])
async def test_an_admin_changes_no_owner(world: World, role: str) -> None:
    await refused_with(FORBIDDEN, _set(world, "owner@example.com", role, "admin"))
    assert await _role(world, world.user_ids["owner"]) == "owner"


@pytest.mark.parametrize("caller", ["owner", "service"])
async def test_owners_and_the_service_make_owners(world: World, caller: str) -> None:
    assert (await _set(world, "viewer@example.com", "owner", caller))["role"] == "owner"


@pytest.mark.parametrize("caller", ["owner", "service"])
async def test_the_last_owner_stays(world: World, caller: str) -> None:
    call = _set(world, "owner@example.com", "admin", caller)
    assert await blocked_by(call) == ["LAST_OWNER"]
    assert await _role(world, world.user_ids["owner"]) == "owner"
    assert await payloads(world, "member_changed") == []


async def test_the_other_brands_owner_does_not_count(world: World) -> None:
    assert await blocked_by(_set(world, "owner@example.com", "viewer")) == ["LAST_OWNER"]


async def test_an_owner_may_go_when_another_stays(world: World) -> None:
    await _set(world, "admin@example.com", "owner")
    assert (await _set(world, "owner@example.com", "viewer"))["role"] == "viewer"
    assert await blocked_by(_set(world, "admin@example.com", "viewer", "admin")) == ["LAST_OWNER"]


async def test_owners_who_demote_each_other_at_once_leave_one(world: World) -> None:
    names = ("owner", "admin", "editor", "viewer")
    for name in names[1:]:
        await _set(world, f"{name}@example.com", "owner")
    calls = [
        _set(world, f"{name}@example.com", "viewer", names[place - 1])
        for place, name in enumerate(names)
    ]
    await raced(*calls)
    roles = [await _role(world, world.user_ids[name]) for name in names]
    assert roles.count("owner") >= 1
    await raced(*(_set(world, f"{name}@example.com", "viewer", "service") for name in names))
    roles = [await _role(world, world.user_ids[name]) for name in names]
    assert roles.count("owner") == 1


async def test_of_eight_calls_for_one_new_email_one_shows_a_password(world: World) -> None:
    answers, errors = await raced(*(_set(world, "anna@example.com", "editor") for _ in range(8)))
    assert not errors
    assert len({answer["user_id"] for answer in answers}) == 1
    assert sum(answer["password"] is not None for answer in answers) == 1
    assert len(await payloads(world, "member_changed")) == 1


async def test_the_same_role_again_is_no_event(world: World) -> None:
    await _set(world, "viewer@example.com", "viewer")
    assert await payloads(world, "member_changed") == []


async def test_a_change_is_an_event_without_a_password(world: World) -> None:
    made = await _set(world, "anna@example.com", "viewer")
    await _set(world, "anna@example.com", "admin")
    user_id = str(made["user_id"])
    assert await payloads(world, "member_changed") == [
        {"user_id": user_id, "role": "admin", "previous_role": "viewer"},
        {"user_id": user_id, "role": "viewer", "previous_role": None},
    ]


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    problems = await bad_arguments(_set(world, "anna", "boss"))
    assert set(problems) == {"_email", "_role"}
    assert "owner, admin, editor or viewer" in problems["_role"]


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_change_no_member(world: World, caller: str) -> None:
    call = world.rpc(
        "set_brand_member", caller, brand_id=world.brand_id, email="a@example.com", role="viewer"
    )
    await refused_with(FORBIDDEN, call)


async def test_a_member_of_another_brand_is_unknown_here(world: World) -> None:
    await _set(world, "stranger@example.com", "viewer")
    assert await _role(world, world.user_ids["stranger"]) == "viewer"
    statement = "select role from brand_member where brand_id = $1 and user_id = $2"
    kept = await _value(world, statement, world.other_brand_id, world.user_ids["stranger"])
    assert kept == "owner"


async def test_an_owner_who_is_demoted_while_his_call_waits_grants_no_more(world: World) -> None:
    await _set(world, "admin@example.com", "owner")
    async with world.platform.database.transaction(SERVICE.identity(None)) as other:
        await other.execute(
            "update brand_member set role = 'viewer' where brand_id = $1 and user_id = $2",
            world.brand_id,
            world.user_ids["admin"],
        )
        waiting = asyncio.create_task(_set(world, "nobody@example.com", "owner", "admin"))
        await until_somebody_waits(world)
    await refused_with(FORBIDDEN, waiting)
    assert await _role(world, world.user_ids["nobody"]) is None

"""list_brand_members: who is in the brand and as what, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from tests.support.catalogue import at
from tests.support.lists import assert_cursor_holds_here_only, pages
from tests.support.minting import with_limits
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

RPC = "list_brand_members"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _members(world: World, limit: int = 200, **more: Any) -> list[dict[str, Any]]:
    found = await pages(world, RPC, "members", limit=limit, **more)
    return [member for page in found for member in page]


async def _joined(world: World, count: int) -> list[UUID]:
    """Ids of that many new viewers, newest first."""
    made = [
        (await world.rpc("set_brand_member", email=f"new-{n}@example.com", role="viewer"))[
            "user_id"
        ]
        for n in range(count)
    ]
    return made[::-1]


async def test_the_newest_come_first_with_e_mail_and_role(world: World) -> None:
    joined = await world.rpc("set_brand_member", email="Anna@Example.com", role="admin")
    members = await _members(world)
    assert [list(member) for member in members] == [["user_id", "email", "role", "created_at"]] * 5
    assert {name: members[0][name] for name in ("user_id", "email", "role")} == {
        "user_id": joined["user_id"],
        "email": "Anna@Example.com",
        "role": "admin",
    }
    names = [member["email"].partition("@")[0] for member in members[1:]]
    assert names == ["viewer", "editor", "admin", "owner"]
    assert [member["role"] for member in members[1:]] == names


async def test_joining_is_dated_and_a_new_role_is_not(world: World) -> None:
    await world.rpc("set_brand_member", email="viewer@example.com", role="owner")
    first = (await _members(world))[0]
    assert (first["email"], first["role"]) == ("viewer@example.com", "owner")


@pytest.mark.parametrize("limit", [1, 2, 5, 9, 10])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    await _joined(at(world, NOON), 5)
    rows = await _members(world)
    assert len(rows) == 9
    assert await _members(world, limit) == rows
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["user_id"]), reverse=True)


async def test_a_user_of_the_foreign_issuer_is_shown_as_this_brand_calls_him(world: World) -> None:
    foreign = with_limits(world, foreign_issuer="https://login.example.com")
    for caller, email in (("owner", "ann@acme.example"), ("stranger", "a@rival.example")):
        await foreign.rpc("set_brand_member", caller, email=email, role="viewer", subject="u-1")
    assert (await _members(world))[0]["email"] == "ann@acme.example"
    assert (await _members(world, caller="stranger"))[0]["email"] == "a@rival.example"


async def test_a_cursor_holds_for_one_list_and_brand(world: World) -> None:
    await assert_cursor_holds_here_only(world, RPC, other_rpc="list_api_keys")


@pytest.mark.parametrize("caller", ["owner", "admin", "service"])
async def test_those_who_administer_read_it(world: World, caller: str) -> None:
    assert len(await _members(world, caller=caller)) == 4


async def test_nobody_else_reads_it(world: World) -> None:
    for caller in ("editor", "viewer", "stranger", "nobody"):
        await refused_with(FORBIDDEN, world.rpc(RPC, caller, brand_id=world.brand_id))
    await refused_with(NOT_AUTHENTICATED, world.rpc(RPC, "anonymous"))
    assert [member["role"] for member in await _members(world, caller="stranger")] == ["owner"]


async def test_bad_arguments_are_named_at_once(world: World) -> None:
    call = world.rpc(RPC, limit=0, cursor=7, role="owner")
    assert set(await bad_arguments(call)) == {"_limit", "_cursor", "_role"}

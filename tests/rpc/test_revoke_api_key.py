"""revoke_api_key: a key ends at once and for ever, and says once why."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from mintage.operations.call import Caller
from mintage.rules.roles import SCOPES
from tests.support.catalogue import new_key
from tests.support.minting import value
from tests.support.refusals import bad_arguments, payloads, raced, refused_with, same_bytes
from tests.support.world import World

RPC = "revoke_api_key"


async def test_the_next_call_of_a_revoked_key_is_refused(world: World) -> None:
    made = await new_key(world)
    caller = Caller("api_key", made["id"], world.brand_id, frozenset(SCOPES))
    keyed = replace(world, callers={**world.callers, "key": caller})
    assert (await keyed.rpc("list_products", "key"))["ok"]
    assert await world.rpc(RPC, api_key_id=made["id"]) == {"ok": True, "revoked": True}
    for rpc in ("list_products", "get_mint_kpis", "list_mint_events"):
        await refused_with(FORBIDDEN, keyed.rpc(rpc, "key"))
    await refused_with(FORBIDDEN, keyed.rpc("list_my_brands", "key"))


async def test_revoking_again_changes_nothing(world: World) -> None:
    made = await new_key(world)
    await world.rpc(RPC, api_key_id=made["id"], reason="first")
    ended = await value(world, "select revoked_at from api_key")
    answers, errors = await raced(*(world.rpc(RPC, api_key_id=made["id"]) for _ in range(4)))
    assert (answers, errors) == ([{"ok": True, "revoked": True}] * 4, [])
    assert await value(world, "select revoked_at from api_key") == ended
    changes = [payload["change"] for payload in await payloads(world, "api_key_changed")]
    assert changes == ["revoked", "created"]


async def test_of_eight_who_revoke_at_once_one_writes_the_event(world: World) -> None:
    made = await new_key(world)
    answers, errors = await raced(*(world.rpc(RPC, api_key_id=made["id"]) for _ in range(8)))
    assert (len(answers), errors) == (8, [])
    assert len(await payloads(world, "api_key_changed")) == 2


async def test_an_event_tells_why(world: World) -> None:
    made = await new_key(world)
    await world.rpc(RPC, api_key_id=made["id"], reason="a laptop was lost")
    assert (await payloads(world, "api_key_changed"))[0] == {
        "api_key_id": str(made["id"]),
        "change": "revoked",
        "name": "ERP",
        "reason": "a laptop was lost",
    }


async def test_an_unknown_key_and_another_brands_are_the_same(world: World) -> None:
    foreign = await new_key(world, caller="stranger")
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, api_key_id=uuid4()))
    other = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, api_key_id=foreign["id"]))
    assert same_bytes(unknown, other)
    assert await value(world, "select revoked_at from api_key") is None


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_revoke_no_key(world: World, caller: str) -> None:
    made = await new_key(world)
    call = world.rpc(RPC, caller, brand_id=world.brand_id, api_key_id=made["id"])
    await refused_with(FORBIDDEN, call)
    assert await value(world, "select revoked_at from api_key") is None


async def test_bad_arguments_are_named_at_once(world: World) -> None:
    call = world.rpc(RPC, api_key_id="x", reason="", name="y")
    assert set(await bad_arguments(call)) == {"_api_key_id", "_reason", "_name"}

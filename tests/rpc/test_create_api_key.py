"""create_api_key: a secret shown once, scopes of one brand, an end if one is given."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mintage.errors import FORBIDDEN
from mintage.rules.roles import SCOPES
from tests.support.catalogue import at, new_key
from tests.support.minting import row, value
from tests.support.refusals import bad_arguments, payloads, refused_with
from tests.support.world import World

RPC = "create_api_key"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def test_a_key_has_a_client_id_and_a_secret(world: World) -> None:
    made = await new_key(world)
    assert list(made) == ["ok", "id", "client_id", "client_secret"]
    assert re.fullmatch(r"mk_live_[0-9a-f]{24}", made["client_id"])
    assert re.fullmatch(r"ms_live_[A-Za-z0-9_-]{43}", made["client_secret"])


async def test_no_two_keys_are_alike(world: World) -> None:
    made = [await new_key(world) for _ in range(20)]
    for name in ("id", "client_id", "client_secret"):
        assert len({key[name] for key in made}) == 20


async def test_only_a_hash_of_the_secret_is_kept(world: World) -> None:
    made = await new_key(world, "mint:read", "exports:read")
    kept = await row(world, "select * from api_key where id = $1", made["id"])
    assert kept["secret_hash"] == hashlib.sha256(made["client_secret"].encode()).digest()
    assert kept["scopes"] == ["mint:read", "exports:read"]
    assert (kept["created_by"], kept["brand_id"]) == (world.user_ids["owner"], world.brand_id)
    for table in ("api_key", "mint_event"):
        text = await value(world, f"select jsonb_agg(to_jsonb(t))::text from {table} as t")
        assert made["client_secret"] not in text


async def test_an_event_tells_name_scopes_and_end_and_no_secret(world: World) -> None:
    made = await new_key(world, "mint:write", expires_at="2099-01-31T13:00:00+01:00")
    assert await payloads(world, "api_key_changed") == [
        {
            "api_key_id": str(made["id"]),
            "change": "created",
            "name": "ERP",
            "scopes": ["mint:write"],
            "expires_at": "2099-01-31T12:00:00+00:00",
        }
    ]


@pytest.mark.parametrize("caller", ["owner", "admin", "service"])
async def test_those_who_administer_make_keys(world: World, caller: str) -> None:
    made = await new_key(world, *SCOPES, caller=caller)
    created_by = await value(world, "select created_by from api_key where id = $1", made["id"])
    assert created_by == world.callers[caller].id


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_make_no_key(world: World, caller: str) -> None:
    call = world.rpc(RPC, caller, brand_id=world.brand_id, name="k", scopes=["mint:read"])
    await refused_with(FORBIDDEN, call)
    assert await value(world, "select count(*) from api_key") == 0


@pytest.mark.parametrize("offset_s", [0, -1, -86400])
async def test_an_end_that_is_not_in_the_future_is_refused(world: World, offset_s: int) -> None:
    moment = (NOON + timedelta(seconds=offset_s)).isoformat()
    call = new_key(at(world, NOON), expires_at=moment)
    assert "future" in (await bad_arguments(call))["_expires_at"]
    assert await value(world, "select count(*) from api_key") == 0


async def test_an_end_a_moment_from_now_is_taken(world: World) -> None:
    moment = NOON + timedelta(microseconds=1)
    made = await new_key(at(world, NOON), expires_at=moment.isoformat())
    kept = await value(world, "select expires_at from api_key where id = $1", made["id"])
    assert kept == moment


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("scopes", []),
        ("scopes", ["mint:read", "mint:read"]),
        ("scopes", [*SCOPES, "mint:read"]),
        ("scopes", ["admin"]),
        ("scopes", ["service"]),
        ("scopes", ["gates:write"]),
        ("scopes", ["Mint:read"]),
        ("scopes", [" mint:read"]),
        ("scopes", "mint:read"),
        ("scopes", [None]),
        ("scopes", [["mint:read"]]),
        ("name", ""),
        ("name", "x" * 201),
        ("expires_at", "2099-01-31"),
        ("expires_at", 7),
        ("role", "owner"),
    ],
)
async def test_a_bad_argument_is_named(world: World, argument: str, bad: Any) -> None:
    call = world.rpc(RPC, **{"name": "k", "scopes": ["mint:read"]} | {argument: bad})
    (named,) = await bad_arguments(call)
    assert named.startswith(f"_{argument}")


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    call = world.rpc(RPC, name="", scopes=["x"], expires_at="soon")
    assert set(await bad_arguments(call)) == {"_name", "_scopes[0]", "_expires_at"}

"""rotate_api_key: another secret, the old one dead at once; a key that is over gets none."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from tests.support.catalogue import at, new_key
from tests.support.minting import value
from tests.support.refusals import (
    bad_arguments,
    blocked_by,
    payloads,
    raced,
    refused_with,
    same_bytes,
)
from tests.support.world import World

RPC = "rotate_api_key"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _kept(world: World) -> bytes:
    kept: bytes = await value(world, "select secret_hash from api_key")
    return kept


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def test_a_key_keeps_its_client_id_and_gets_another_secret(world: World) -> None:
    made = await new_key(world)
    rotated = await world.rpc(RPC, api_key_id=made["id"])
    assert rotated == made | {"client_secret": rotated["client_secret"]}
    assert rotated["client_secret"] != made["client_secret"]
    assert await _kept(world) == _hash(rotated["client_secret"])


async def test_of_secrets_drawn_at_once_one_is_good(world: World) -> None:
    made = await new_key(world)
    answers, errors = await raced(*(world.rpc(RPC, api_key_id=made["id"]) for _ in range(8)))
    assert (len(answers), errors) == (8, [])
    kept = await _kept(world)
    assert sum(_hash(answer["client_secret"]) == kept for answer in answers) == 1


async def test_a_key_that_is_over_gets_no_secret(world: World) -> None:
    revoked = await new_key(world)
    await world.rpc("revoke_api_key", api_key_id=revoked["id"])
    end = NOON + timedelta(days=1)
    expired = await new_key(at(world, NOON), expires_at=end.isoformat())
    for clock, key in ((world, revoked), (at(world, end), expired)):
        call = clock.rpc(RPC, api_key_id=key["id"])
        assert await blocked_by(call) == ["API_KEY_NOT_ACTIVE"]
    assert (await at(world, NOON).rpc(RPC, api_key_id=expired["id"]))["ok"]


async def test_rotated_and_revoked_at_once_is_revoked(world: World) -> None:
    made = await new_key(world)
    await raced(
        *(world.rpc(RPC, api_key_id=made["id"]) for _ in range(4)),
        world.rpc("revoke_api_key", api_key_id=made["id"]),
        *(world.rpc(RPC, api_key_id=made["id"]) for _ in range(4)),
    )
    (key,) = (await world.rpc("list_api_keys"))["api_keys"]
    assert key["revoked_at"] is not None


async def test_an_event_has_no_secret(world: World) -> None:
    made = await new_key(world)
    await world.rpc(RPC, "admin", api_key_id=made["id"])
    assert (await payloads(world, "api_key_changed"))[0] == {
        "api_key_id": str(made["id"]),
        "change": "rotated",
        "name": "ERP",
    }


async def test_an_unknown_key_and_another_brands_are_the_same(world: World) -> None:
    foreign = await new_key(world, caller="stranger")
    before = await _kept(world)
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, api_key_id=uuid4()))
    other = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, api_key_id=foreign["id"]))
    assert same_bytes(unknown, other)
    assert await _kept(world) == before


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_rotate_no_key(world: World, caller: str) -> None:
    made = await new_key(world)
    call = world.rpc(RPC, caller, brand_id=world.brand_id, api_key_id=made["id"])
    await refused_with(FORBIDDEN, call)
    assert await _kept(world) == _hash(made["client_secret"])
    assert set(await bad_arguments(world.rpc(RPC, api_key_id="x"))) == {"_api_key_id"}

"""list_brand_hosts: where the brand's codes resolve, newest first."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mintage.errors import FORBIDDEN
from tests.support.catalogue import at
from tests.support.lists import pages
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

RPC = "list_brand_hosts"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _hosts(world: World, limit: int = 200, **more: Any) -> list[dict[str, Any]]:
    found = await pages(world, RPC, "hosts", limit=limit, **more)
    return [host for page in found for host in page]


async def test_a_host_is_the_one_that_was_set(world: World) -> None:
    made = await world.rpc(
        "set_brand_host", "service", base_url="https://id.acme.example:8443", is_primary=True
    )
    first, second = await _hosts(world)
    assert first == made["host"]
    assert list(first) == ["host", "base_url", "is_primary", "verified_at"]
    assert (first["host"], first["base_url"]) == (
        "id.acme.example",
        "https://id.acme.example:8443",
    )
    assert (second["host"], second["is_primary"]) == ("acme.example.com", False)


@pytest.mark.parametrize("limit", [1, 2, 6, 7])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    for number in range(5):
        await at(world, NOON).rpc(
            "set_brand_host", "service", base_url=f"https://h{number}.acme.example"
        )
    names = [host["host"] for host in await _hosts(world, limit)]
    # The brand's first host is of today.
    assert names == ["acme.example.com", *(f"h{number}.acme.example" for number in (4, 3, 2, 1, 0))]


async def test_a_cursor_holds_for_one_list_and_brand(world: World) -> None:
    await world.rpc("set_brand_host", "service", base_url="https://id.acme.example")
    cursor = (await world.rpc(RPC, limit=1))["next_cursor"]
    fingerprint, moment, host = json.loads(base64.urlsafe_b64decode(cursor + "=="))

    def forged(*position: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")

    calls = [
        world.rpc(RPC, "stranger", cursor=cursor),
        world.rpc("list_brand_members", cursor=cursor),
        world.rpc(RPC, cursor="x"),
        world.rpc(RPC, cursor=forged(fingerprint, "2026-01-31T12:00:00", host)),
        world.rpc(RPC, cursor=forged(fingerprint, "0001-01-01T00:00:00+14:00", host)),
        world.rpc(RPC, cursor=forged(fingerprint, moment, "a\0b")),
        world.rpc(RPC, cursor=forged(fingerprint, moment, "\ud800")),
        world.rpc(RPC, cursor=forged(fingerprint, moment, 7)),
        world.rpc(RPC, cursor=forged(fingerprint, moment)),
    ]
    for call in calls:
        assert list(await bad_arguments(call)) == ["_cursor"]


async def test_those_who_administer_read_it_and_nobody_else(world: World) -> None:
    for caller in ("owner", "admin", "service"):
        assert len(await _hosts(world, caller=caller)) == 1
    for caller in ("editor", "viewer", "stranger", "nobody"):
        await refused_with(FORBIDDEN, world.rpc(RPC, caller, brand_id=world.brand_id))
    assert [host["host"] for host in await _hosts(world, caller="stranger")] == [
        "rival.example.com"
    ]


async def test_bad_arguments_are_named_at_once(world: World) -> None:
    call = world.rpc(RPC, limit=0, cursor=7, host="x")
    assert set(await bad_arguments(call)) == {"_limit", "_cursor", "_host"}

"""list_mint_events: a brand's record of what happened, newest first, by batch, job, type and time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.arguments import ListMintEvents, parse_arguments
from mintage.operations.mint_events import list_mint_events
from tests.support.lists import (
    assert_cursor_holds_here_only,
    ids_of_pages,
    pages,
    statements_of,
)
from tests.support.minting import cycle, drained
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

RPC = "list_mint_events"
KEYS = {
    "id",
    "brand_id",
    "mint_job_id",
    "mint_batch_id",
    "event_type",
    "actor_type",
    "actor_id",
    "payload",
    "created_at",
}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _events(world: World, **filters: Any) -> list[dict[str, Any]]:
    (only,) = await pages(world, RPC, "events", limit=200, **filters)
    return only


async def _types(world: World, **filters: Any) -> list[str]:
    return [event["event_type"] for event in await _events(world, **filters)]


async def test_an_event_has_all_its_keys(world: World) -> None:
    submitted = await world.submit(await world.product())
    event = (await _events(world))[0]
    assert set(event) == KEYS
    assert event["brand_id"] == world.brand_id
    assert event["mint_job_id"] == submitted["mint_job_id"]
    assert event["mint_batch_id"] == submitted["mint_batch_id"]
    assert event["event_type"] == "mint_requested"
    assert event["actor_id"] == world.user_ids["owner"]
    assert isinstance(event["payload"], dict)


async def test_a_brand_without_events_has_an_empty_page(world: World) -> None:
    answer = await world.rpc(RPC)
    assert answer == {"ok": True, "events": [], "has_more": False, "next_cursor": None}


async def test_the_newest_come_first_fifty_a_page(world: World) -> None:
    await world.submit(await world.product(), 60)
    await drained(world, batch_size=1)
    answer = await world.rpc(RPC)
    assert len(answer["events"]) == 50
    assert answer["events"][0]["event_type"] == "mint_job_completed"
    assert answer["has_more"] is True


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    pinned = world.with_platform(replace(world.platform, pinned_now=NOON))
    product_id = await pinned.product()
    for _ in range(3):
        await pinned.submit(product_id, 3, identity_mode="batch")
    await drained(pinned, batch_size=1)
    rows = await _events(world)
    assert {row["created_at"] for row in rows} == {NOON}
    assert await ids_of_pages(world, RPC, "events", limit=limit) == [row["id"] for row in rows]
    assert rows == sorted(rows, key=lambda row: row["id"], reverse=True)


async def test_events_of_one_time_keep_the_order_in_which_they_were_written(world: World) -> None:
    pinned = world.with_platform(replace(world.platform, pinned_now=NOON))
    submitted = await pinned.submit(await pinned.product(), 3, identity_mode="batch")
    await drained(pinned, batch_size=1)
    assert await _types(world, mint_batch_id=submitted["mint_batch_id"]) == [
        "mint_job_completed",
        "mint_lots_confirmed",
        "mint_units_created",
        "mint_units_created",
        "mint_units_created",
        "mint_job_started",
        "mint_requested",
    ]


async def test_what_comes_while_pages_are_read_repeats_and_skips_nothing(world: World) -> None:
    product_id = await world.product()
    await world.submit(product_id, 20)
    await drained(world, batch_size=1)
    there = [event["id"] for event in await _events(world)]
    await world.submit(product_id, 30)
    newer = len(await _events(world)) - len(there)

    async def come_between(_: int) -> None:
        await cycle(world, batch_size=1)

    listed = await ids_of_pages(world, RPC, "events", limit=4, between=come_between)
    assert listed[newer:] == there


async def test_events_are_found_by_batch_job_and_type(world: World) -> None:
    product_id = await world.product()
    first, second = [await world.submit(product_id, 4) for _ in range(2)]
    await drained(world, batch_size=2)
    every = await _events(world)
    for submitted in (first, second):
        of_batch = [e for e in every if e["mint_batch_id"] == submitted["mint_batch_id"]]
        batch, job = submitted["mint_batch_id"], submitted["mint_job_id"]
        assert len(of_batch) == 5
        assert await _events(world, mint_batch_id=batch) == of_batch
        assert await _events(world, mint_job_id=job) == of_batch
        assert await _events(world, mint_job_id=job, mint_batch_id=batch) == of_batch
        created = [e for e in of_batch if e["event_type"] == "mint_units_created"]
        assert len(created) == 2
        named: dict[str, Any] = {"event_type": "mint_units_created"}
        assert await _events(world, mint_batch_id=batch, **named) == created
        assert await _events(world, mint_job_id=job, **named) == created
        both: dict[str, Any] = {"mint_job_id": job, "mint_batch_id": batch}
        assert await _events(world, **both, **named) == created
        ids = [e["id"] for e in of_batch]
        assert await ids_of_pages(world, RPC, "events", limit=2, mint_batch_id=batch) == ids
        assert await ids_of_pages(world, RPC, "events", limit=2, mint_job_id=job) == ids
    crossed = {"mint_job_id": first["mint_job_id"], "mint_batch_id": second["mint_batch_id"]}
    assert await _events(world, **crossed) == []
    requested = [e for e in every if e["event_type"] == "mint_requested"]
    assert await _events(world, event_type="mint_requested") == requested
    assert len(requested) == 2


async def test_from_is_inclusive_and_to_exclusive(world: World) -> None:
    product_id = await world.product()
    moments = [NOON + timedelta(microseconds=step) for step in range(4)]
    made = []
    for moment in moments:
        pinned = world.with_platform(replace(world.platform, pinned_now=moment))
        made.append(await pinned.submit(product_id))
    bounds: dict[str, Any] = {"from": moments[1].isoformat(), "to": moments[3].isoformat()}
    inside = [made[2]["mint_batch_id"], made[1]["mint_batch_id"]]
    kinds: tuple[dict[str, Any], ...] = ({}, {"event_type": "mint_requested"})
    for more in kinds:
        found = await pages(world, RPC, "events", limit=1, **bounds, **more)
        assert [event["mint_batch_id"] for page in found for event in page] == inside
    for submitted, is_inside in zip(made, (False, True, True, False), strict=True):
        for name in ("mint_batch_id", "mint_job_id"):
            found_here = await _events(world, **{name: submitted[name]}, **bounds)
            assert len(found_here) == is_inside


async def test_a_filter_that_fits_nothing_gives_an_empty_page(world: World) -> None:
    foreign = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=await world.product("stranger"),
        requested_quantity=1,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await world.submit(await world.product())
    empty = {"ok": True, "events": [], "has_more": False, "next_cursor": None}
    for filters in (
        {"mint_batch_id": uuid4()},
        {"mint_job_id": uuid4()},
        {"mint_batch_id": foreign["mint_batch_id"]},
        {"mint_job_id": foreign["mint_job_id"]},
        {"event_type": "mint_job_failed"},
        {"event_type": "no such type"},
        {"event_type": "mint_%"},
    ):
        assert await world.rpc(RPC, **filters) == empty


async def test_a_page_is_one_query_however_many_rows_it_has(world: World) -> None:
    await world.minted(5)
    for limit in (1, 200):
        raw = {"_brand_id": str(world.brand_id), "_limit": limit}
        arguments = parse_arguments(ListMintEvents, raw)
        assert len(await statements_of(world, list_mint_events, arguments)) == 1


async def test_a_cursor_holds_for_one_list_brand_and_filter(world: World) -> None:
    submitted = await world.minted(3)
    await assert_cursor_holds_here_only(
        world,
        RPC,
        {"mint_batch_id": submitted["mint_batch_id"]},
        {"mint_job_id": submitted["mint_job_id"]},
        {"event_type": "mint_requested"},
        {"from": "2020-01-01T00:00:00Z"},
        {"to": "2099-01-01T00:00:00Z"},
        other_rpc="list_mint_batches",
    )


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("limit", 0),
        ("limit", 201),
        ("limit", "20"),
        ("mint_batch_id", "x"),
        ("mint_job_id", 7),
        ("event_type", ""),
        ("event_type", "e" * 65),
        ("event_type", 7),
        ("from", "2026-01-31"),
        ("to", "9999-12-31T23:59:59-12:00"),
        ("cursor", 7),
        ("status", "minted"),
    ],
)
async def test_a_bad_argument_is_named(world: World, argument: str, bad: object) -> None:
    assert list(await bad_arguments(world.rpc(RPC, **{argument: bad}))) == [f"_{argument}"]


async def test_every_member_and_the_service_see_them(world: World) -> None:
    await world.minted(3)
    seen = [
        await ids_of_pages(world, RPC, "events", limit=200, caller=caller)
        for caller in ("owner", "admin", "editor", "viewer", "service")
    ]
    assert seen[0]
    assert all(each == seen[0] for each in seen)


async def test_a_brand_sees_its_own_only(world: World) -> None:
    await world.minted(3)
    assert await ids_of_pages(world, RPC, "events", limit=200, caller="stranger") == []


@pytest.mark.parametrize("caller", ["stranger", "nobody", "anonymous"])
async def test_others_see_none(world: World, caller: str) -> None:
    kind = NOT_AUTHENTICATED if caller == "anonymous" else FORBIDDEN
    await refused_with(kind, world.rpc(RPC, caller, brand_id=world.brand_id, limit=0))

"""list_mint_batches: a brand's batches, newest first, by status, product and time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.arguments import ListMintBatches, parse_arguments
from mintage.operations.mint_batches import list_mint_batches
from tests.support.lists import (
    assert_cursor_holds_here_only,
    ids_of_pages,
    pages,
    statements_of,
)
from tests.support.minting import (
    batch_of,
    cycle,
    drained,
    execute,
    production_batch,
)
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import GTIN_TABLE, World

RPC = "list_mint_batches"
KEYS = [
    "id",
    "brand_id",
    "product_id",
    "product_sku",
    "product_batch_id",
    "mint_job_id",
    "identity_mode",
    "activation_mode",
    "status",
    "requested_quantity",
    "minted_quantity",
    "gtin",
    "created_by",
    "created_by_type",
    "created_at",
    "updated_at",
    "minted_at",
]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _batches(world: World, **filters: Any) -> list[dict[str, Any]]:
    (only,) = await pages(world, RPC, "batches", limit=200, **filters)
    return only


async def _submitted(world: World, count: int, product_id: UUID | None = None) -> list[UUID]:
    """Ids of that many batches of ten units, newest first."""
    product_id = product_id or await world.product()
    return [(await world.submit(product_id))["mint_batch_id"] for _ in range(count)][::-1]


def _at(world: World, moment: datetime) -> World:
    return world.with_platform(replace(world.platform, pinned_now=moment))


async def test_a_batch_is_told_with_all_its_keys(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE, sku="OAK-1")
    source = await production_batch(world, product_id)
    submitted = await world.submit(product_id, 10, product_batch_id=source)
    (queued,) = await _batches(world)
    assert list(queued) == KEYS
    assert queued["created_at"] == queued["updated_at"]
    assert {key: queued[key] for key in KEYS if not key.endswith("_at")} == {
        "id": submitted["mint_batch_id"],
        "brand_id": world.brand_id,
        "product_id": product_id,
        "product_sku": "OAK-1",
        "product_batch_id": source,
        "mint_job_id": submitted["mint_job_id"],
        "identity_mode": "serial",
        "activation_mode": "first_scan",
        "status": "queued",
        "requested_quantity": 10,
        "minted_quantity": 0,
        "gtin": "0" + GTIN_TABLE,
        "created_by": world.user_ids["owner"],
        "created_by_type": "user",
    }
    assert queued["minted_at"] is None
    await drained(world)
    (minted,) = await _batches(world)
    assert (minted["status"], minted["minted_quantity"]) == ("minted", 10)
    assert minted["minted_at"] == minted["updated_at"] > minted["created_at"]


async def test_a_brand_without_batches_has_an_empty_page(world: World) -> None:
    answer = await world.rpc(RPC)
    assert answer == {"ok": True, "batches": [], "has_more": False, "next_cursor": None}


async def test_the_newest_come_first_twenty_a_page(world: World) -> None:
    made = await _submitted(world, 21)
    answer = await world.rpc(RPC)
    assert [batch["id"] for batch in answer["batches"]] == made[:20]
    assert answer["has_more"] is True


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_are_the_whole_list_also_where_times_are_the_same(
    world: World, limit: int
) -> None:
    await _submitted(_at(world, NOON), 4)
    await _submitted(_at(world, NOON + timedelta(microseconds=1)), 3)
    listed = await ids_of_pages(world, RPC, "batches", limit=limit)
    rows = await _batches(world)
    assert len(set(listed)) == 7
    assert listed == [row["id"] for row in rows]
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


async def test_what_comes_while_pages_are_read_repeats_and_skips_nothing(world: World) -> None:
    product_id = await world.product()
    made = await _submitted(world, 10, product_id)

    async def come_between(_: int) -> None:
        await world.submit(product_id)
        await cycle(world)

    assert await ids_of_pages(world, RPC, "batches", limit=3, between=come_between) == made


async def test_batches_are_found_by_status(world: World) -> None:
    first, second, third = (await _submitted(world, 3))[::-1]
    await cycle(world)
    await cycle(world, batch_size=5)
    found = {}
    for status in ("minted", "processing", "queued", "failed", "voided", "draft"):
        found[status] = [batch["id"] for batch in await _batches(world, status=status)]
    assert found == {
        "minted": [first],
        "processing": [second],
        "queued": [third],
        "failed": [],
        "voided": [],
        "draft": [],
    }


async def test_batches_are_found_by_product(world: World) -> None:
    oak, elm = await world.product(), await world.product()
    of_oak, of_elm = await _submitted(world, 3, oak), await _submitted(world, 2, elm)
    assert await ids_of_pages(world, RPC, "batches", limit=2, product_id=oak) == of_oak
    assert await ids_of_pages(world, RPC, "batches", limit=2, product_id=elm) == of_elm
    await cycle(world)
    both = {"product_id": oak, "status": "minted"}
    assert await ids_of_pages(world, RPC, "batches", limit=2, **both) == of_oak[-1:]


async def test_from_is_inclusive_and_to_exclusive(world: World) -> None:
    product_id = await world.product()
    moments = [NOON + timedelta(microseconds=step) for step in range(4)]
    made = [(await _submitted(_at(world, each), 1, product_id))[0] for each in moments]
    bounds: dict[str, Any] = {"from": moments[1].isoformat(), "to": moments[3].isoformat()}
    for more in ({}, {"product_id": product_id}, {"status": "queued"}):
        found = await ids_of_pages(world, RPC, "batches", limit=1, **bounds, **more)
        assert found == [made[2], made[1]]
    assert await ids_of_pages(world, RPC, "batches", limit=9, **{"from": moments[3]}) == [made[3]]
    assert await ids_of_pages(world, RPC, "batches", limit=9, to=moments[1]) == [made[0]]
    backwards = {"from": moments[3].isoformat(), "to": moments[1].isoformat()}
    assert await _batches(world, **backwards) == []


async def test_times_with_any_offset_are_one_time(world: World) -> None:
    (made,) = await _submitted(_at(world, NOON), 1)
    for text in (
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T12:00:00Z",
        "2026-01-31t06:30:00.0-05:30",
    ):
        (found,) = await _batches(world, **{"from": text})
        assert found["id"] == made


async def test_a_filter_that_fits_nothing_gives_an_empty_page(world: World) -> None:
    foreign = await world.product("stranger")
    await _submitted(world, 1)
    empty = {"ok": True, "batches": [], "has_more": False, "next_cursor": None}
    for product_id in (uuid4(), foreign):
        assert await world.rpc(RPC, product_id=product_id) == empty


async def test_a_missing_product_has_no_sku(world: World) -> None:
    (batch_id,) = await _submitted(world, 1)
    await execute(
        world, "set session_replication_role = replica; delete from product; "
        "set session_replication_role = origin"
    )  # fmt: skip
    (batch,) = await _batches(world)
    assert (batch["id"], batch["product_sku"]) == (batch_id, None)


async def test_a_page_is_one_query_however_many_rows_it_has(world: World) -> None:
    await _submitted(world, 5)
    for limit in (1, 5):
        raw = {"_brand_id": str(world.brand_id), "_limit": limit}
        arguments = parse_arguments(ListMintBatches, raw)
        assert len(await statements_of(world, list_mint_batches, arguments)) == 1


async def test_a_cursor_holds_for_one_list_brand_and_filter(world: World) -> None:
    await _submitted(world, 3)
    await assert_cursor_holds_here_only(
        world,
        RPC,
        {"status": "queued"},
        {"product_id": uuid4()},
        {"from": "2020-01-01T00:00:00Z"},
        {"to": "2099-01-01T00:00:00Z"},
        other_rpc="list_mint_events",
    )


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("limit", 0),
        ("limit", 201),
        ("limit", "20"),
        ("limit", True),
        ("limit", 20.0),
        ("status", "MINTED"),
        ("status", ""),
        ("product_id", "x"),
        ("from", "2026-01-31"),
        ("from", "2026-01-31T12:00:00"),
        ("from", 7),
        ("to", "2026-02-30T12:00:00Z"),
        ("to", "now"),
        ("cursor", 7),
        ("cursor", "A" * 513),
        ("order", "asc"),
    ],
)
async def test_a_bad_argument_is_named(world: World, argument: str, bad: object) -> None:
    assert list(await bad_arguments(world.rpc(RPC, **{argument: bad}))) == [f"_{argument}"]


async def test_every_member_and_the_service_see_them(world: World) -> None:
    (made,) = await _submitted(world, 1)
    for caller in ("owner", "admin", "editor", "viewer", "service"):
        assert await ids_of_pages(world, RPC, "batches", limit=9, caller=caller) == [made]


async def test_a_brand_sees_its_own_only(world: World) -> None:
    submitted = await world.submit(await world.product())
    assert await ids_of_pages(world, RPC, "batches", limit=9, caller="stranger") == []
    foreign = (await batch_of(world, submitted))["product_id"]
    assert (await world.rpc(RPC, "stranger", product_id=foreign))["batches"] == []


@pytest.mark.parametrize("caller", ["stranger", "nobody", "anonymous"])
async def test_others_see_none(world: World, caller: str) -> None:
    kind = NOT_AUTHENTICATED if caller == "anonymous" else FORBIDDEN
    await refused_with(kind, world.rpc(RPC, caller, brand_id=world.brand_id, limit=0))

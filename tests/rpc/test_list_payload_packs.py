"""list_payload_packs: the keys, the filters, the pages, and that its plans use their index."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from mintage.db.queries import query
from mintage.errors import FORBIDDEN
from mintage.operations.call import SYSTEM
from mintage.operations.listing import END, HIGHEST_ID
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

KEYS = [
    "id",
    "export_group_id",
    "mint_batch_id",
    "product_sku",
    "format",
    "profile",
    "pack_index",
    "pack_count",
    "unit_count",
    "status",
    "storage_path",
    "byte_size",
    "sha256",
    "error",
    "created_at",
    "completed_at",
]


async def _asked(world: World, quantity: int = 5, *, pack_units: int = 1) -> dict[str, Any]:
    """Packs of a new batch and their manifest, asked for and not written; the request's answer and the
    batch's id."""
    limits = replace(world.platform.limits, pack_units=pack_units)
    small = world.with_platform(replace(world.platform, limits=limits))
    batch_id = (await small.minted(quantity, gtin=None))["mint_batch_id"]
    answer = await small.rpc("request_payload_packs", mint_batch_id=batch_id)
    return answer | {"mint_batch_id": batch_id}


async def _execute(world: World, statement: str, *arguments: object) -> str:
    async with world.platform.database.transaction(SYSTEM.identity(world.brand_id)) as connection:
        return await connection.execute(statement, *arguments)


async def _ids(world: World, limit: int, **filters: object) -> list[list[UUID]]:
    """The ids of all pages."""
    pages: list[list[UUID]] = []
    cursor = None
    while True:
        page = await world.rpc("list_payload_packs", limit=limit, cursor=cursor, **filters)
        pages.append([pack["id"] for pack in page["packs"]])
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if cursor is None:
            return pages


async def test_a_pack_is_told_with_every_key(world: World) -> None:
    group = await _asked(world, 3, pack_units=2)
    answer = await world.rpc("list_payload_packs", "viewer")
    assert list(answer) == ["ok", "packs", "has_more", "next_cursor"]
    assert [pack["pack_index"] for pack in answer["packs"]] == [3, 2, 1]
    batch = await world.rpc("get_mint_batch_by_id", mint_batch_id=group["mint_batch_id"])
    manifest = answer["packs"][0]
    assert (manifest["format"], manifest["unit_count"]) == ("group_manifest", 0)
    assert [pack["format"] for pack in answer["packs"][1:]] == ["csv", "csv"]
    for pack in answer["packs"]:
        assert list(pack) == KEYS
        assert pack["export_group_id"] == group["export_group_id"]
        assert pack["mint_batch_id"] == group["mint_batch_id"]
        assert pack["product_sku"] == batch["batch"]["product_sku"]
        assert (pack["profile"], pack["pack_count"]) == (None, 2)
        assert (pack["status"], pack["storage_path"], pack["sha256"]) == ("pending", None, None)
        assert (pack["byte_size"], pack["error"], pack["completed_at"]) == (None, None, None)


async def test_pages_together_hold_each_pack_once_newest_first(world: World) -> None:
    for _ in range(3):
        await _asked(world, 5)
    whole = (await _ids(world, 200))[0]
    assert len(set(whole)) == 18
    pages = await _ids(world, 4)
    assert [len(page) for page in pages] == [4, 4, 4, 4, 2]
    assert [pack_id for page in pages for pack_id in page] == whole


async def test_the_last_full_page_says_that_there_is_no_more(world: World) -> None:
    await _asked(world, 3)
    assert [len(page) for page in await _ids(world, 2)] == [2, 2]


async def test_a_pack_that_is_added_between_pages_moves_no_other(world: World) -> None:
    await _asked(world, 3)
    first = await world.rpc("list_payload_packs", limit=2)
    before = (await _ids(world, 200))[0]
    await _asked(world, 4)
    second = await world.rpc("list_payload_packs", limit=2, cursor=first["next_cursor"])
    assert [pack["id"] for pack in first["packs"] + second["packs"]] == before


async def test_filters_choose_by_batch_group_and_status(world: World) -> None:
    first, second = await _asked(world, 2), await _asked(world, 3)
    await _execute(
        world,
        "update payload_pack set status = 'failed', error = 'INTERNAL' "
        "where mint_batch_id = $1 and pack_index = 2",
        second["mint_batch_id"],
    )
    batch, group = first["mint_batch_id"], second["export_group_id"]
    for filters, count in (
        ({}, 7),
        ({"mint_batch_id": batch}, 3),
        ({"export_group_id": group}, 4),
        ({"export_group_id": group, "mint_batch_id": second["mint_batch_id"]}, 4),
        ({"export_group_id": group, "mint_batch_id": batch}, 0),
        ({"status": "failed"}, 1),
        ({"status": "pending"}, 6),
        ({"status": "failed", "mint_batch_id": batch}, 0),
        ({"status": "pending", "export_group_id": group}, 3),
        ({"status": "completed"}, 0),
    ):
        for limit in (1, 200):
            pages = await _ids(world, limit, **filters)
            assert sum(len(page) for page in pages) == count, filters


async def test_filters_that_match_nothing_give_an_empty_page(world: World) -> None:
    group = await _asked(world, 1)
    empty = {"ok": True, "packs": [], "has_more": False, "next_cursor": None}
    assert await world.rpc("list_payload_packs", mint_batch_id=uuid4()) == empty
    assert await world.rpc("list_payload_packs", export_group_id=uuid4()) == empty
    for name in ("mint_batch_id", "export_group_id"):
        assert await world.rpc("list_payload_packs", "stranger", **{name: group[name]}) == empty


async def test_a_pack_whose_product_is_gone_has_no_sku(world: World, dsn: str) -> None:
    await _asked(world, 1)
    connection = await asyncpg.connect(dsn)
    await connection.execute("set session_replication_role = replica")
    await connection.execute("delete from product")
    await connection.close()
    assert (await world.rpc("list_payload_packs"))["packs"][0]["product_sku"] is None


async def test_a_cursor_holds_for_its_list_brand_and_filters_only(world: World) -> None:
    await _asked(world, 3)
    cursor = (await world.rpc("list_payload_packs", limit=1))["next_cursor"]
    for caller, changes in (
        ("owner", {"status": "pending"}),
        ("stranger", {}),
        ("owner", {"mint_batch_id": uuid4()}),
    ):
        asked = world.rpc("list_payload_packs", caller, cursor=cursor, **changes)
        assert set(await bad_arguments(asked)) == {"_cursor"}
    await world.minted(1, gtin=None)
    other = (await world.rpc("list_mint_batches", limit=1))["next_cursor"]
    for bad in (other, "x", "", cursor[:-2], "é" * 10):
        asked = world.rpc("list_payload_packs", cursor=bad)
        assert set(await bad_arguments(asked)) == {"_cursor"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"limit": 0}, {"_limit"}),
        ({"limit": 201}, {"_limit"}),
        ({"limit": "5"}, {"_limit"}),
        ({"limit": True}, {"_limit"}),
        ({"status": "done", "mint_batch_id": "x", "export_group_id": 7}, None),
        ({"colour": "red"}, {"_colour"}),
    ],
)
async def test_bad_arguments_are_all_named(
    world: World, changes: dict[str, object], named: set[str] | None
) -> None:
    expected = named or {f"_{name}" for name in changes}
    assert set(await bad_arguments(world.rpc("list_payload_packs", **changes))) == expected


async def test_a_caller_of_no_brand_is_refused(world: World) -> None:
    await refused_with(FORBIDDEN, world.rpc("list_payload_packs", "nobody"))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("list_newest", "payload_pack_newest"),
        ("list_of_batch", "payload_pack_batch"),
        ("list_of_group", "payload_pack_brand_id_export_group_id_pack_index_key"),
    ],
)
async def test_a_page_deep_in_a_filled_table_is_read_by_its_index(
    world: World, dsn: str, name: str, index: str
) -> None:
    group = await _asked(world, 1)
    await _fill(dsn, group["mint_batch_id"])
    filters: dict[str, tuple[object, ...]] = {
        "list_newest": (),
        "list_of_batch": (None, group["mint_batch_id"]),
        "list_of_group": (None, group["export_group_id"], None),
    }
    arguments = (world.brand_id, END, HIGHEST_ID, 21, *filters[name])
    identity = world.callers["viewer"].identity(world.brand_id)
    async with world.platform.database.transaction(identity) as connection:
        # The plan for any arguments, which is what a kept statement comes to.
        await connection.execute("set local plan_cache_mode = force_generic_plan")
        await connection.execute("set local enable_seqscan = on")
        rows = await connection.fetch("explain " + query("export", name), *arguments)
    plan = "\n".join(row[0] for row in rows)
    assert f"using {index} on payload_pack" in plan, plan
    condition = next(line for line in plan.splitlines() if "Index Cond" in line)
    assert "brand_id" in condition


async def _fill(dsn: str, batch_id: object) -> None:
    """Ten thousand packs more, in a hundred groups of other batches."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("set session_replication_role = replica")
    await connection.execute(
        """
        insert into payload_pack (
          brand_id, id, export_group_id, mint_batch_id, product_id, format, pack_index, pack_count,
          first_unit_no, unit_count, status, created_at
        )
        select brand_id, gen_random_uuid(), md5((n / 100)::text)::uuid, md5((n / 100)::text)::uuid,
          product_id, format, n % 100 + 1, 100, 0, 1, 'pending', created_at - n * interval '1 second'
        from payload_pack, generate_series(1, 10000) as n
        where mint_batch_id = $1
          and pack_index = 1
        """,
        UUID(str(batch_id)),
    )
    await connection.execute("analyze payload_pack")
    await connection.close()

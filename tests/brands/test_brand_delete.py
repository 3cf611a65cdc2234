"""`mintage brand delete`: everything of one brand goes, nothing of another; killed anywhere, it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from mintage.errors import FORBIDDEN, MintageError
from mintage.operations.brand_delete import (
    KEPT_TABLES,
    TABLES,
    DeletionRefused,
    delete_brand,
    delete_chunk,
)
from mintage.operations.call import SERVICE, SYSTEM
from mintage.operations.checks import list_brands, load_checks, run_check
from mintage.storage import PackStore, open_pack_store
from tests.brands.test_brand_export import packed
from tests.schema.catalog import connected, tables
from tests.schema.filling import fill
from tests.support.minting import execute
from tests.support.world import World

if TYPE_CHECKING:
    from tests.schema.catalog import Connection


ROWS_READ = (
    "select sum(pg_stat_get_xact_tuples_returned(read)) "
    "from unnest('{mint_unit, mint_unit_pkey, mint_unit_serial}'::regclass[]) as read"
)


class Killed(Exception):
    """The process dies here."""


async def close(world: World, store: PackStore) -> None:
    """Close the brand, and go no further."""

    def die(_: str, __: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        await delete_brand(world.platform.database, store, "acme", may_void_running=True, told=die)


async def counts(connection: Connection, brand_id: UUID) -> dict[str, int]:
    return {
        table: await connection.fetchval(
            f"select count(*) from {table} where brand_id = $1", brand_id
        )
        for table in TABLES
    }


async def broken(world: World) -> dict[str, int]:
    """How many rows break each invariant in the other brand: bare rows break some."""
    transactions = world.platform.transactions(SYSTEM, "test")
    return {
        check.name: len(await run_check(transactions, check, world.other_brand_id))
        for check in load_checks()
    }


async def both_filled(connection: Connection, world: World) -> None:
    for brand_id in (world.brand_id, world.other_brand_id):
        await fill(connection, brand_id)
        await connection.execute(
            "insert into work_item (kind, brand_id, ref_id, enqueued_at, runnable_at) "
            "values ('mint_job', $1, $1, now(), now())",
            brand_id,
        )
        await connection.execute(
            "insert into brand_turn (kind, brand_id, last_claimed_at) values ('mint_job', $1, now()) "
            "on conflict do nothing",
            brand_id,
        )
        await connection.execute(
            "insert into invariant_check (brand_id, name, started_at) values ($1, 'x', now())",
            brand_id,
        )


async def test_everything_of_a_brand_goes_and_nothing_of_another(
    world: World, dsn: str, tmp_path: Path
) -> None:
    store = await packed(world, tmp_path / "store")
    database = world.platform.database
    async with connected(dsn) as connection:
        await both_filled(connection, world)
        before = await counts(connection, world.brand_id)
        assert {table for table, count in before.items() if not count} == {"api_key"}
        others = await counts(connection, world.other_brand_id)
        people = await connection.fetchval("select count(*) from app_user")
        with pytest.raises(DeletionRefused, match="--void-running"):
            await delete_brand(database, store, "acme")
        assert await counts(connection, world.brand_id) == before
        done = await delete_brand(database, store, "acme", may_void_running=True, rows_at_once=7)
        assert done.rows == sum(before.values()) + 1
        assert done.files == 1
        assert set((await counts(connection, world.brand_id)).values()) == {0}
        assert await counts(connection, world.other_brand_id) == others
        assert await connection.fetchval("select count(*) from app_user") == people
        assert await connection.fetchval("select array_agg(slug) from brand") == ["rival"]
        assert await tables(connection) == {*TABLES, *KEPT_TABLES, "brand"}, (
            "add the new table to brand_delete.TABLES and delete_brand_rows, or to KEPT_TABLES"
        )
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    with pytest.raises(DeletionRefused, match="no brand"):
        await delete_brand(database, store, "acme")


async def test_a_closed_brand_is_unknown_at_every_door(
    world: World, dsn: str, tmp_path: Path
) -> None:
    store = open_pack_store(None, tmp_path)
    await world.minted(1)
    await close(world, store)
    for caller in ("owner", "service"):
        with pytest.raises(MintageError) as refused:
            await world.rpc("list_products", caller)
        assert refused.value.kind == FORBIDDEN
    async with connected(dsn) as connection:
        slugs = "select array_agg(slug order by slug) from brand"
        assert await connection.fetchval(slugs) == ["acme", "rival"]
        assert await connection.fetchval("select array_agg(host) from brand_host") == [
            "rival.example.com"
        ]
    brands = await list_brands(world.platform.transactions(SYSTEM, "test"))
    assert [each.slug for each in brands] == ["rival"]


async def test_rows_of_an_open_brand_are_not_deleted_and_not_by_the_app(
    world: World, dsn: str
) -> None:
    statement = "select * from delete_brand_rows($1, 'mint_unit', null, 10)"
    with pytest.raises(asyncpg.RaiseError, match="not being deleted"):
        async with world.platform.database.transaction(SERVICE.identity(None)) as connection:
            await connection.execute(statement, world.brand_id)
    for role in ("mintage_app", "mintage_resolver", "mintage_minter"):
        async with connected(dsn) as superuser:
            await superuser.execute(f"set role {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await superuser.execute(statement, world.brand_id)


async def test_a_chunk_reads_what_it_deletes_however_much_is_left(
    world: World, tmp_path: Path
) -> None:
    await world.minted(12_100)
    await execute(world, "analyze mint_unit")
    await close(world, open_pack_store(None, tmp_path))
    identity = SYSTEM.identity(world.brand_id)
    chunks, most, is_empty = [], 0, False
    while not is_empty:
        async with world.platform.database.transaction(identity) as connection:
            before = await connection.fetchval(ROWS_READ)
            deleted, is_empty = await delete_chunk(connection, world.brand_id, "mint_unit", 400)
            most = max(most, await connection.fetchval(ROWS_READ) - before)
        chunks.append(deleted)
    assert chunks == [400] * 30 + [100]
    # To find where it begins, to see that nothing comes after, to delete it; and what is only just dead.
    assert most < 12_100 / 2


@pytest.mark.long
async def test_killed_after_any_step_a_second_call_goes_on(
    world: World, dsn: str, tmp_path: Path
) -> None:
    store = await packed(world, tmp_path / "store")
    database = world.platform.database
    deaths = 0
    async with connected(dsn) as connection:
        await both_filled(connection, world)
        others = await counts(connection, world.other_brand_id)
        broken_before = await broken(world)
        last = sum((await counts(connection, world.brand_id)).values())
        while True:
            steps_left = deaths % 60 + 1

            def die_later(_: str, __: int) -> None:
                nonlocal steps_left
                steps_left -= 1
                if steps_left == 0:
                    raise Killed

            try:
                await delete_brand(
                    database,
                    store,
                    "acme",
                    may_void_running=True,
                    rows_at_once=3,
                    told=die_later,
                )
            except Killed:
                deaths += 1
                now = sum((await counts(connection, world.brand_id)).values())
                assert now <= last
                last = now
            else:
                break
        assert deaths >= len(TABLES)
        assert set((await counts(connection, world.brand_id)).values()) == {0}
        assert await counts(connection, world.other_brand_id) == others
    assert await broken(world) == broken_before

"""The main job through one login: a thousand units are minted, listed, exported, scanned and checked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from mintage.db.connection import Database, DatabaseRole, Identity, open_database
from mintage.db.queries import query
from mintage.operations.call import SYSTEM
from mintage.operations.checks import load_checks, run_check
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.tallies import fold_tallies
from mintage.perform import Platform
from mintage.settings import Limits
from mintage.storage import open_pack_store
from tests.schema.catalog import TABLES_WITHOUT_BRAND_CONTENT
from tests.support.world import GTIN_TABLE, World, build_world

UNITS = 1_000


async def do_main_job(dsn: str, folder: Path) -> None:
    """Everything with a pool on `dsn`; asserts what came out. The packs' files go to `folder`."""
    database = await open_database(
        dsn, connections=4, statement_timeout_s=30, application="main job"
    )
    try:
        world = await build_world(Platform(database, Limits()))
        await _mint(world)
        await _export(world, folder)
        await _see_no_other_brand(world)
        transactions = world.platform.transactions(SYSTEM, "test")
        async with transactions.call(world.brand_id) as call:
            await call.connection.execute(query("duty", "make_scan_partitions"))
        assert await fold_tallies(transactions) > 0
        for check in load_checks():
            assert await run_check(transactions, check, world.brand_id) == [], check.sentence
    finally:
        await database.close()


async def _mint(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE)
    submitted = await world.submit(product_id, UNITS)
    await world.run(submitted["mint_job_id"], batch_size=400)
    page = await world.rpc("list_mint_units", "viewer", limit=200)
    assert [unit["unit_no"] for unit in page["units"]] == list(range(UNITS - 1, UNITS - 201, -1))
    lots = [{"lot_code": "A1", "qty": 20}, {"lot_code": "A2", "qty": 30}]
    in_lots = await world.submit(product_id, 50, identity_mode="batch", lots=lots)
    await world.run(in_lots["mint_job_id"])
    of_lots = await world.rpc(
        "list_mint_units", "viewer", mint_batch_id=in_lots["mint_batch_id"], limit=200
    )
    assert [unit["lot_code"] for unit in of_lots["units"]] == ["A2"] * 30 + ["A1"] * 20
    batches = await world.rpc("list_mint_batches", "viewer")
    assert [batch["minted_quantity"] for batch in batches["batches"]] == [50, UNITS]
    events = await world.rpc("list_mint_events", "viewer", event_type="mint_units_created")
    assert [event["payload"]["count"] for event in events["events"]] == [50, 200, 400, 400]
    await _resolve(world.platform.database, world.brand_id, page["units"][0]["serial_number"])


async def _resolve(database: Database, brand_id: UUID, serial: str) -> None:
    resolver = Identity(DatabaseRole.RESOLVER, brand_id)
    async with database.transaction(resolver) as connection:
        row = await connection.fetchrow(
            query("resolve", "in_brand"),
            brand_id,
            ["serial"],
            [None],
            [f"0{GTIN_TABLE}"],
            [serial],
        )
        assert row is not None
        assert await connection.fetchval(
            query("scan", "activate_units"),
            brand_id,
            [row["unit_id"]],
            [row["mint_batch_id"]],
            [datetime.now(UTC)],
        )


async def _export(world: World, folder: Path) -> None:
    batches = await world.rpc("list_mint_batches")
    newest = batches["batches"][0]["id"]
    await world.rpc("request_payload_packs", mint_batch_id=newest)
    store = open_pack_store(None, folder)
    outcome = await process_payload_pack(world.platform.transactions(SYSTEM, "test"), store, None)
    assert outcome.result == "completed"
    packs = await world.rpc("list_payload_packs", mint_batch_id=newest, status="completed")
    assert [pack["unit_count"] for pack in packs["packs"]] == [50]


async def _see_no_other_brand(world: World) -> None:
    """Row-level security of every table but those without brand content, as the stranger."""
    stranger = world.user_ids["stranger"]
    for brand_id in (world.brand_id, world.other_brand_id, None):
        identity = Identity(DatabaseRole.APP, brand_id, user_id=stranger)
        async with world.platform.database.transaction(identity) as connection:
            tables = await connection.fetch(
                "select relname from pg_class where relnamespace = 'public'::regnamespace "
                "and relkind in ('r', 'p') and not relispartition and relname <> 'schema_migration' "
                "and relname <> all ($1::text[]) and has_table_privilege(oid, 'select')",
                sorted(TABLES_WITHOUT_BRAND_CONTENT),
            )
            assert len(tables) > 10
            for table in tables:
                assert await connection.fetch(f"select from {table['relname']}") == []
    async with world.platform.database.transaction(
        Identity(DatabaseRole.SERVICE, world.other_brand_id)
    ) as connection:
        assert await connection.fetch("select from mint_unit") == []

"""Every look-up of a scan uses its index, as the resolver's role on a filled table."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from mintage.db.connection import DatabaseRole, Identity
from mintage.db.joined import joined
from mintage.db.queries import query
from mintage.rules.gs1 import check_digit
from tests.resolver.desk import HOST, Desk
from tests.support.world import GTIN_TABLE

GTIN14 = GTIN_TABLE.zfill(14)
GTIN_OF_LOTS = "9506000134369"
# How often a table was read through, an index used, in this transaction so far.
USES = (
    "select (select sum(pg_stat_get_xact_numscans(name::regclass)) from string_to_table(names, '|') as name) "
    "from unnest($1::text[]) as names"
)
LARGE = ["mint_unit", "unit_state", "mint_batch", "mint_lot", "product", "product_identifier"]
Row = tuple[str, UUID | None, str | None, str | None]


async def _rows(desk: Desk) -> dict[str, Row]:
    """A filled brand, and what is asked for of it: a row of the function's arrays for each kind."""
    world = desk.world
    serial = await world.minted(3000)
    lots = [{"lot_code": f"LOT-{number}", "qty": 20} for number in range(100)]
    batch = await world.minted(2000, gtin=GTIN_OF_LOTS, identity_mode="batch", lots=lots)
    for number in range(60):
        digits = f"{number:013}"
        await world.product(gtin=digits + check_digit(digits))
    listed = await world.rpc("list_mint_units", mint_batch_id=serial["mint_batch_id"], limit=1)
    of_lots = await world.rpc("list_mint_units", mint_batch_id=batch["mint_batch_id"], limit=1)
    [unit], [lot_unit] = listed["units"], of_lots["units"]
    async with desk.world.platform.database.pool.acquire() as connection:
        await connection.execute("analyze")
    return {
        "serial": ("serial", None, GTIN14, unit["serial_number"]),
        "unit": ("unit", UUID(str(unit["id"])), None, None),
        "lot": ("lot", UUID(str(lot_unit["mint_lot_id"])), None, None),
        "lot_code": ("lot_code", None, GTIN_OF_LOTS.zfill(14), "LOT-7"),
        "gtin": ("gtin", None, GTIN14, None),
        "batch": ("batch", UUID(str(serial["mint_batch_id"])), None, None),
        "product": ("product", UUID(str(unit["product_id"])), None, None),
    }


# "a|b": either serves.
INDEXES = {
    "serial": ["mint_unit_serial", "mint_batch_pkey", "unit_state_pkey"],
    "unit": ["mint_unit_pkey", "mint_batch_pkey", "unit_state_pkey"],
    "lot": ["mint_lot_pkey", "mint_batch_pkey"],
    "lot_code": ["mint_lot_gtin|mint_lot_code", "mint_batch_pkey"],
    "gtin": ["product_identifier_value"],
    "batch": ["mint_batch_pkey"],
    "product": ["product_pkey"],
}


def _columns(rows: Sequence[Row]) -> tuple[str, list[UUID | None], str, str]:
    kinds, ids, gtins, texts = zip(*rows, strict=True)
    return joined(kinds), list(ids), joined(gtins), joined(texts)


async def test_each_kind_of_key_is_found_by_its_index_whatever_the_table(desk: Desk) -> None:
    rows = await _rows(desk)
    identity = Identity(DatabaseRole.RESOLVER)
    for kind, row in rows.items():
        indexes = [*INDEXES[kind], "product_link_newest"]
        async with desk.world.platform.database.transaction(identity) as connection:
            before = await connection.fetch(USES, [*LARGE, *indexes])
            found = await connection.fetch(query("resolve", "at_host"), HOST, *_columns([row]))
            after = await connection.fetch(USES, [*LARGE, *indexes])
        uses = [now[0] - then[0] for now, then in zip(after, before, strict=True)]
        assert [each["key_no"] for each in found] == [1], kind
        assert uses[: len(LARGE)] == [0] * len(LARGE), f"{kind} reads a table through"
        assert all(uses[len(LARGE) : -1]), f"{kind} uses {indexes}"


async def test_many_keys_at_once_are_each_found_by_their_index(desk: Desk) -> None:
    rows = list((await _rows(desk)).values()) * 20
    identity = Identity(DatabaseRole.RESOLVER)
    async with desk.world.platform.database.transaction(identity) as connection:
        found = await connection.fetch(query("resolve", "at_host"), HOST, *_columns(rows))
        uses = await connection.fetch(USES, LARGE)
    assert sorted(row["key_no"] for row in found) == list(range(1, len(rows) + 1))
    assert [row[0] for row in uses] == [0] * len(LARGE)


async def test_a_plan_made_before_a_table_grew_reads_by_key_all_the_same(desk: Desk) -> None:
    minted = await desk.world.minted(5000)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    statement = query("resolve", "at_host")
    asked = [
        [(kind, UUID(str(unit["id"])), GTIN14, unit["serial_number"]) for unit in listed["units"]]
        for kind in ("serial", "unit")
    ]
    identity, database = Identity(DatabaseRole.RESOLVER), desk.world.platform.database
    async with database.transaction(identity) as connection:
        process = await connection.fetchval("select pg_backend_pid()")
        for rows in asked:
            await connection.fetch(statement, HOST, *_columns(rows))
    async with database.pool.acquire() as connection:
        await connection.execute(
            "insert into unit_state (brand_id, unit_id) select brand_id, id from mint_unit"
        )
    async with database.transaction(identity) as connection:
        assert await connection.fetchval("select pg_backend_pid()") == process
        for rows in asked:
            found = await connection.fetch(statement, HOST, *_columns(rows))
            assert len(found) == len(rows)
        read = "select pg_stat_get_xact_tuples_returned('unit_state_pkey'::regclass)"
        assert await connection.fetchval(read) == sum(len(rows) for rows in asked)


async def test_the_function_reads_one_brand_and_leaves_no_brand_set(desk: Desk) -> None:
    product_id = await desk.world.product()
    identity = Identity(DatabaseRole.RESOLVER)
    arguments = (["product"], [product_id], [None], [None])
    async with desk.world.platform.database.transaction(identity) as connection:
        own = await connection.fetch(query("resolve", "in_brand"), desk.world.brand_id, *arguments)
        others = await connection.fetch(
            query("resolve", "in_brand"), desk.world.other_brand_id, *arguments
        )
    async with desk.world.platform.database.transaction(identity) as connection:
        with_none = await connection.fetch("select id from product")
        setting = await connection.fetchval("select current_setting('mintage.brand_id', true)")
    assert (len(own), len(others), len(with_none), setting) == (1, 0, 0, "")


async def test_only_the_resolvers_role_may_call_it(desk: Desk) -> None:
    identity = Identity(DatabaseRole.APP, desk.world.brand_id)
    with pytest.raises(Exception, match="permission denied for function resolve"):
        async with desk.world.platform.database.transaction(identity) as connection:
            await connection.fetch(
                query("resolve", "in_brand"), desk.world.brand_id, [], [], [], []
            )

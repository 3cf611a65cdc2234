"""What the resolver's role may do, and no more; and the months of scans, which are made beside its work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.catalog import connected, privileges, tables

if TYPE_CHECKING:
    from tests.schema.catalog import Connection


@pytest_asyncio.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    async with connected(dsn) as connection:
        yield connection


async def test_the_resolver_reads_and_writes_what_a_scan_needs(connection: Connection) -> None:
    may = {
        table: await privileges(connection, "mintage_resolver", table)
        for table in await tables(connection)
    }
    reads = (
        "brand",
        "brand_host",
        "product",
        "product_identifier",
        "product_link",
        "mint_batch",
        "mint_unit",
    )
    assert {table: kinds for table, kinds in may.items() if kinds} == {
        **{table: {"select"} for table in reads},
        "mint_lot": {"select", "update"},
        "unit_state": {"select", "insert", "update"},
        "scan_event": {"insert"},
        "tally_delta": {"insert"},
        "webhook": {"select"},
        "webhook_delivery": {"insert"},
        "clone_signal": {"select", "insert", "update"},
    }
    assert await _columns(connection, "mintage_resolver", "mint_lot", "update") == {"activated_at"}
    scanned = {
        *("activated_at", "first_scanned_at", "last_scanned_at", "scan_count", "scanned_on"),
        *("scans_that_day", "countries_that_day", "travel_s_that_day"),
        *("last_country", "last_country_at"),
    }
    assert await _columns(connection, "mintage_resolver", "unit_state", "update") == scanned
    assert await _columns(connection, "mintage_resolver", "unit_state", "insert") == {
        *scanned,
        *("brand_id", "unit_id"),
    }
    assert await _columns(connection, "mintage_resolver", "brand", "select") == {
        *("id", "name", "clone_thresholds", "deleting_at")
    }
    assert await _columns(connection, "mintage_resolver", "tally_delta", "insert") == {
        *("brand_id", "day", "metric", "mint_batch_id", "delta")
    }


async def _columns(connection: Connection, role: str, table: str, kind: str) -> set[str]:
    rows = await connection.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 "
        "and has_column_privilege($2, attrelid, attnum, $3)",
        *(table, role, kind),
    )
    return {row["attname"] for row in rows}


@pytest.mark.parametrize(
    "statement",
    [
        "update unit_state set revoked_at = null",
        "insert into unit_state (brand_id, unit_id, revoked_at) values ($1, $1, now())",
        "insert into tally_delta (brand_id, day, metric, delta) values ($1, now(), 'units_minted', 1)",
        "insert into tally_delta (brand_id, day, metric, delta) values ($1, now(), 'units_revoked', -1)",
        "insert into webhook_delivery (brand_id, id, webhook_id, event_id, event_type, data, status,"
        " next_try_at, created_at) values ($1, $1, $1, $1, 'unit.revoked', '{}', 'pending', now(), now())",
        "select slug from brand",
        "select * from brand",
    ],
)
async def test_the_resolver_undoes_and_counts_nothing_that_is_not_a_scans(
    connection: Connection, statement: str
) -> None:
    brand_id = uuid4()
    async with connection.transaction():
        await connection.execute("set local role mintage_resolver")
        await connection.execute(f"set local mintage.brand_id = '{brand_id}'")
        counted = (
            "insert into tally_delta (brand_id, day, metric, delta) values ($1, now(), 'scans', 1)"
        )
        await connection.execute(counted, brand_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement, *([brand_id] if "$1" in statement else []))


async def test_what_the_resolver_writes_is_narrowed_by_row(connection: Connection) -> None:
    rows = await connection.fetch(
        "select tablename, policyname, roles, cmd from pg_policies where permissive = 'RESTRICTIVE' "
        "order by tablename"
    )
    assert [tuple(row) for row in rows] == [
        ("tally_delta", "resolver_counts", ["mintage_resolver"], "INSERT"),
        ("webhook_delivery", "resolver_tells", ["mintage_resolver"], "INSERT"),
    ]


async def test_a_month_is_made_beside_readers_and_recorders_of_scans(
    dsn: str, connection: Connection
) -> None:
    async with (
        connected(dsn) as reader,
        connected(dsn) as recorder,
        reader.transaction(),
        recorder.transaction(),
    ):
        await reader.execute("lock table scan_event in access share mode")
        await recorder.execute("lock table scan_event in row exclusive mode")
        await connection.execute("set statement_timeout = '2s'")
        async with connection.transaction():
            await connection.execute("select ensure_scan_event_partitions('2040-01-01', 2)")
            # As long as it lasts, scans of other months are stored and read.
            await recorder.execute("set lock_timeout = '1ms'")
            await recorder.execute("lock table only scan_event in row exclusive mode")
            await reader.execute("select from scan_event where scanned_at < '2040-01-01' limit 1")
    columns = (
        "select attname, atttypid, attnotnull, atthasdef from pg_attribute "
        "where attrelid = $1::text::regclass and attnum > 0"
    )
    months = [await connection.fetch(columns, f"scan_event_2040_0{month}") for month in (1, 2)]
    assert months[0] == months[1] == await connection.fetch(columns, "scan_event")
    indexes = "select count(*) from pg_index where indrelid = $1::text::regclass"
    assert await connection.fetchval(indexes, "scan_event_2040_01") == await connection.fetchval(
        indexes, "scan_event"
    )

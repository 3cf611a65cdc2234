"""sql/distribute.sql, against functions that stand in for Citus's: each table once, all of it or nothing.

That a cluster takes it is not tested: there is none here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mintage.db.distribute import distribute, distribution
from mintage.db.migrate import SchemaError
from tests.schema.catalog import TABLES_WITHOUT_BRAND_CONTENT, brand_tables, connected, tables

STUB = (Path(__file__).parent / "citus_stub.sql").read_text("utf-8")
CALL = re.compile(r"^select (\w+)\('(\w+)'", re.MULTILINE)
QUEUE = {"work_item", "brand_turn", "invariant_check", "rate_limit"}


async def _with_stub(dsn: str, *more: str) -> None:
    async with connected(dsn) as connection:
        for statement in (STUB, *more):
            await connection.execute(statement)


async def _distributed(dsn: str) -> dict[str, str]:
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "select logicalrelid::text as name, partmethod from pg_dist_partition"
        )
        return {row["name"]: row["partmethod"] for row in rows}


async def test_each_table_is_named_once_and_none_that_is_not_there(dsn: str) -> None:
    named = [name for _, name in CALL.findall(distribution())]
    async with connected(dsn) as connection:
        assert sorted(named) == sorted(await tables(connection)), "add the table to distribute.sql"


async def test_brands_rows_lie_together_and_the_queue_in_one_place(dsn: str) -> None:
    async with connected(dsn) as connection:
        by_brand = set(await brand_tables(connection))
    await _with_stub(dsn)
    assert await distribute(dsn)
    found = await _distributed(dsn)
    async with connected(dsn) as connection:
        colocated = await connection.fetch(
            "select distinct colocated_with as name from pg_dist_partition where partmethod = 'hash'"
        )
    assert {name for name, method in found.items() if method == "hash"} == by_brand
    assert {name for name, method in found.items() if method == "local"} == QUEUE
    everywhere = {name for name, method in found.items() if method == "reference"}
    assert everywhere == TABLES_WITHOUT_BRAND_CONTENT - QUEUE
    assert {row["name"] for row in colocated} == {"default", "product"}


async def test_what_is_distributed_is_left_alone(dsn: str) -> None:
    await _with_stub(dsn)
    assert await distribute(dsn)
    assert not await distribute(dsn)


async def test_without_the_extension_it_says_what_is_missing(dsn: str) -> None:
    with pytest.raises(
        SchemaError, match=r"no Citus 12 or later \(citus_add_local.*create_reference_table missing"
    ):
        await distribute(dsn)


async def test_without_a_node_it_says_how_to_add_one(dsn: str) -> None:
    await _with_stub(dsn, "delete from pg_dist_node")
    with pytest.raises(SchemaError, match=r"knows no node yet: .*citus_set_coordinator_host"):
        await distribute(dsn)
    assert await _distributed(dsn) == {}


async def test_it_is_never_half_done(dsn: str) -> None:
    # A key that has no brand in it, in the table that comes last.
    await _with_stub(dsn, "create unique index clone_signal_bad on clone_signal (unit_id)")
    with pytest.raises(SchemaError, match=r"not distributed \(.*clone_signal.*nothing was changed"):
        await distribute(dsn)
    assert await _distributed(dsn) == {}


async def test_a_schema_that_is_not_current_is_not_distributed(dsn: str) -> None:
    await _with_stub(
        dsn,
        "delete from schema_migration where version = (select max(version) from schema_migration)",
    )
    with pytest.raises(SchemaError, match="run `mintage migrate` first"):
        await distribute(dsn)


@pytest.mark.long
async def test_the_command_distributes_or_says_what_is_missing(dsn: str, tmp_path: Path) -> None:
    environment = {**os.environ, "MINTAGE_DATABASE_URL": dsn, "MINTAGE_DATA": str(tmp_path)}

    def ran() -> tuple[int, str]:
        command = [sys.executable, "-m", "mintage", "migrate", "--distribute"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout + done.stderr

    code, told = ran()
    assert code == 1
    assert "no Citus 12 or later" in told
    await _with_stub(dsn)
    assert ran() == (0, "The schema is current.\nThe schema is distributed by brand.\n")
    assert ran() == (0, "The schema is current.\nThe schema was distributed before.\n")

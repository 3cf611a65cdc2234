"""`mintage brand export`: everything of one brand and nothing of another, read with csv and json alone."""

from __future__ import annotations

import csv
import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from mintage.operations.brand_export import (
    LEFT_OUT_COLUMNS,
    LEFT_OUT_TABLES,
    TABLES,
    ExportFailed,
    export_brand,
)
from mintage.operations.call import SYSTEM
from mintage.operations.pack_execution import process_payload_pack
from mintage.storage import PackStore, open_pack_store
from tests.schema.catalog import connected, tables
from tests.schema.filling import fill
from tests.support.world import World


def read(folder: Path) -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    """The manifest, and the rows of each file that it lists; each file is what the manifest says."""
    manifest = json.loads((folder / "manifest.json").read_text())
    found = {}
    for each in [*manifest["tables"], *manifest["packs"]]:
        content = (folder / each["file"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            each["byte_size"],
            each["sha256"],
        )
        if "table" in each:
            with (folder / each["file"]).open(newline="", encoding="utf-8") as opened:
                rows = list(csv.DictReader(opened))
            assert len(rows) == each["rows"]
            found[each["table"]] = rows
    return manifest, found


async def packed(world: World, folder: Path) -> PackStore:
    """A batch is minted and exported; the store of its pack."""
    submitted = await world.minted(20)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    store = open_pack_store(None, folder)
    outcome = await process_payload_pack(world.platform.transactions(SYSTEM, "test"), store, None)
    assert outcome.result == "completed"
    return store


async def test_an_export_has_every_row_of_its_brand_and_none_of_another(
    world: World, dsn: str, tmp_path: Path
) -> None:
    store = await packed(world, tmp_path / "store")
    async with connected(dsn) as connection:
        for brand_id in (world.brand_id, world.other_brand_id):
            await fill(connection, brand_id)
        done = await export_brand(world.platform.database, store, world.brand_id, tmp_path / "acme")
        manifest, found = read(tmp_path / "acme")
        assert set(found) == set(TABLES)
        for table, rows in found.items():
            key = "id" if table == "brand" else "brand_id"
            assert {row[key] for row in rows} <= {str(world.brand_id)}, table
            count = await connection.fetchval(
                f"select count(*) from {table} where {key} = $1", world.brand_id
            )
            assert len(rows) == count, table
    assert done.rows == sum(len(rows) for rows in found.values())
    assert manifest["brand_id"] == str(world.brand_id)
    assert len(manifest["packs"]) == done.packs == 1
    assert len({row["serial_number"] for row in found["mint_unit"]}) == 21
    assert json.loads(found["webhook"][0]["event_types"]) == ["mint_job.failed"]
    assert {row["email"] for row in found["brand_member"]} == {
        f"{name}@example.com" for name in ("owner", "admin", "editor", "viewer")
    }


async def test_every_table_and_column_is_exported_or_said_to_be_left_out(
    world: World, dsn: str, tmp_path: Path
) -> None:
    await export_brand(
        world.platform.database, open_pack_store(None, tmp_path), world.brand_id, tmp_path / "acme"
    )
    manifest, _ = read(tmp_path / "acme")
    exported = {
        f"{each['table']}.{column}" for each in manifest["tables"] for column in each["columns"]
    }
    async with connected(dsn) as connection:
        assert await tables(connection) == set(TABLES) | set(LEFT_OUT_TABLES), (
            "write a new table in brand_export.sql and TABLES, or name it in LEFT_OUT_TABLES"
        )
        rows = await connection.fetch(
            "select table_name || '.' || column_name as name from information_schema.columns "
            "where table_schema = 'public' and table_name = any ($1::text[])",
            list(TABLES),
        )
    assert {row["name"] for row in rows} - exported == set(LEFT_OUT_COLUMNS)


async def test_an_export_that_breaks_off_leaves_nothing_at_its_destination(
    world: World, tmp_path: Path
) -> None:
    store = await packed(world, tmp_path / "store")
    for file in (tmp_path / "store").rglob("*.csv"):
        file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(ExportFailed, match="SHA-256"):
        await export_brand(world.platform.database, store, world.brand_id, tmp_path / "acme")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
    await export_brand(
        world.platform.database, store, world.brand_id, tmp_path / "acme", has_packs=False
    )
    with pytest.raises(ExportFailed, match="already"):
        await export_brand(world.platform.database, store, world.brand_id, tmp_path / "acme")


@pytest.mark.long
async def test_memory_does_not_grow_with_the_brand(world: World, dsn: str, tmp_path: Path) -> None:
    store = open_pack_store(None, tmp_path / "store")
    peaks = []
    async with connected(dsn) as connection:
        for first, stop in ((0, 10_000), (10_000, 300_000)):
            await connection.execute(
                "insert into mint_unit (brand_id, id, mint_batch_id, unit_no, serial_number, created_at) "
                "select $1, gen_random_uuid(), $1, n, 'S' || n, now() "
                "from generate_series($2::int, $3 - 1) as n",
                world.brand_id,
                first,
                stop,
            )
            tracemalloc.start()
            await export_brand(
                world.platform.database, store, world.brand_id, tmp_path / f"acme-{stop}"
            )
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 3 * peaks[0]

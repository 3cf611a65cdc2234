"""`mintage brand export` and `mintage brand delete` as an operator types them, and a worker that is late."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Thread

import pytest

from mintage.db.connection import open_database
from mintage.operations import steps
from mintage.operations.brand_delete import TABLES, delete_brand
from mintage.storage import open_pack_store
from tests.cli.test_rpc import Line
from tests.schema.catalog import connected
from tests.support.world import World


@pytest.mark.long
async def test_a_brand_is_exported_and_then_deleted_by_commands(
    world: World, dsn: str, tmp_path: Path
) -> None:
    await world.minted(5)
    line = Line(dsn, tmp_path / "data")
    target = tmp_path / "acme"
    exported = await line.run("brand", "export", "acme", str(target))
    assert exported.exit_code == 0, exported.output
    assert (target / "manifest.json").is_file()
    again = await line.run("brand", "export", "acme", str(target))
    assert again.exit_code == 1
    assert "there already" in again.stderr
    for words in ((), ("--yes", "rival")):
        refused = await line.run("brand", "delete", "acme", *words)
        assert refused.exit_code == 2
        assert "--yes acme" in refused.stderr
    deleted = await line.run("brand", "delete", "acme", "--yes", "acme")
    assert deleted.exit_code == 0, deleted.output
    assert "acme is deleted" in deleted.stdout
    gone = await line.run("brand", "delete", "acme", "--yes", "acme")
    assert gone.exit_code == 1
    assert "no brand" in gone.stderr
    assert (await line.run("brand", "export", "rival", str(tmp_path / "rival"))).exit_code == 0


@pytest.mark.long
async def test_a_cycle_under_way_commits_nothing_into_a_brand_that_was_deleted(
    world: World, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await world.submit(await world.product(), 50)
    has_deleted = False

    async def delete() -> None:
        database = await open_database(
            dsn, connections=2, statement_timeout_s=30, application="delete"
        )
        try:
            store = open_pack_store(None, tmp_path)
            await delete_brand(database, store, "acme", may_void_running=True)
        finally:
            await database.close()

    def delete_meanwhile(step: str) -> None:
        nonlocal has_deleted
        if step == "mint_claimed":
            thread = Thread(target=asyncio.run, args=(delete(),))
            thread.start()
            thread.join()
            has_deleted = True

    monkeypatch.setattr(steps, "reached", delete_meanwhile)
    await asyncio.gather(
        world.rpc("process_mint_job_batch", "service", mint_job_id=submitted["mint_job_id"]),
        return_exceptions=True,
    )
    assert has_deleted
    async with connected(dsn) as connection:
        for table in TABLES:
            count = await connection.fetchval(
                f"select count(*) from {table} where brand_id = $1", world.brand_id
            )
            assert count == 0, table

"""Base backup and archived log, as docs/backup.md has it: a platform as it was before an accident."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mintage.db import embedded
from mintage.db.embedded_binaries import choose_account, give
from tests.machines.processes import Brand, Machines, machines, scan, until
from tests.machines.servers import (
    DATABASE,
    SETTINGS,
    ask,
    copy_cluster,
    scratch_folder,
    signal_to_cluster,
    url_of,
)
from tests.schema.servers import bin_dir_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
UNITS = 11_000
PACKS = 2


@dataclass(frozen=True)
class Minted:
    """A batch, its packs, and two of its printed codes."""

    mint_batch_id: str
    packs: list[dict[str, Any]]
    printed: list[str]


async def test_a_platform_is_recovered_to_the_moment_before_an_accident(tmp_path: Path) -> None:
    bin_dir = bin_dir_of("15")
    async with scratch_folder() as folder:
        archive = folder / "archive"
        archive.mkdir()
        give(archive, choose_account(folder, archive))
        async with _server(folder / "one", bin_dir, _archiving(archive)) as server:
            await embedded.ensure_database(server, DATABASE)
            async with _fleet(tmp_path / "one", tmp_path, server) as fleet:
                await fleet.done("migrate")
                before, brand_id, moment = await _work(fleet, server, folder, bin_dir)
            # What is not in the archive is lost with the machine.
        shutil.rmtree(folder / "one")
        async with _server(folder / "two", bin_dir, _recovering(archive, moment)) as server:
            await _until_recovered(server)
            async with _fleet(tmp_path / "two", tmp_path, server) as fleet:
                await _assert_all_is_there(fleet, brand_id, before)


async def _work(
    fleet: Machines, server: embedded.EmbeddedServer, folder: Path, bin_dir: Path | None
) -> tuple[dict[str, Minted], str, str]:
    """What was acknowledged by when, the brand, and the moment that is to be recovered."""
    door = await fleet.serve("serve")
    service = await fleet.service(door)
    url = url_of(server)
    async with service.client() as client:
        brand = await fleet.brand(client)
        product_id = await brand.product()
        in_base = await _minted(brand, product_id)
        assert (await scan(door, in_base.printed[0])).status_code == 307
        await copy_cluster(server, folder / "two", bin_dir, wal="none")
        in_log = await _minted(brand, product_id)
        assert (await scan(door, in_log.printed[0])).status_code == 307
        moment = str(await ask(url, "select clock_timestamp()::text"))
        # The accident: a batch is voided, and somebody deletes what is left by hand.
        too_late = await _minted(brand, product_id)
        await brand.rpc(
            "set_mint_batch_status", mint_batch_id=in_base.mint_batch_id, status="voided"
        )
        await ask(url, "with gone as (delete from mint_unit returning 1) select count(*) from gone")
        await ask(
            url, "with gone as (delete from unit_state returning 1) select count(*) from gone"
        )
    segment = str(await ask(url, "select pg_walfile_name(pg_switch_wal())"))

    async def is_archived() -> bool:
        return (folder / "archive" / segment).exists()

    await until(is_archived)
    found = {"in base": in_base, "in log": in_log, "too late": too_late}
    return found, brand.brand_id, moment


async def _assert_all_is_there(fleet: Machines, brand_id: str, before: dict[str, Minted]) -> None:
    assert "invariants hold" in await fleet.done("check")
    # Without a worker first: it sweeps old files that nothing in the database states.
    door = await fleet.serve("web")
    resolver = await fleet.serve("resolver")
    service = await fleet.service(door)
    async with service.client() as client:
        brand = Brand(client, brand_id)
        for each in (before["in base"], before["in log"]):
            batch = await brand.batch(each.mint_batch_id)
            assert (batch["status"], batch["minted_quantity"]) == ("exported", UNITS)
            assert [(await scan(resolver, url)).status_code for url in each.printed] == [307, 307]
            await _assert_files_agree(brand, each)
        states = [unit["status"] for unit in await _units(brand, before["in log"])]
        assert states.count("active") >= 1, "its scan was before the moment"
        gone = before["too late"]
        assert [(await scan(resolver, url)).status_code for url in gone.printed] == [404, 404]
        assert _files_of(fleet, gone) == PACKS, "newer than the moment, and still there"
        lost = before["in log"].packs[0]["storage_path"]
        _file(fleet, lost).unlink()
        told = await fleet.run("backup", str(fleet.folder / "backup"))
        assert (told.returncode, lost in told.stderr) == (0, True), told.stderr
        old = _file(fleet, gone.packs[0]["storage_path"])
        eight_days_ago = time.time() - 8 * 86400
        os.utime(old, (eight_days_ago, eight_days_ago))
        fleet.start("mintage", "work")

        async def is_swept() -> bool:
            return not old.exists()

        await until(is_swept)
        assert _files_of(fleet, gone) == PACKS - 1, "what is younger than a week is kept"
        for each in (before["in base"], before["in log"]):
            assert _files_of(fleet, each) == PACKS - (each is before["in log"])
        again = await brand.exported(before["in log"].mint_batch_id)
        await _assert_files_agree(brand, Minted("", again, []))
        await _minted(brand, (await brand.batch(before["in base"].mint_batch_id))["product_id"])
    assert "invariants hold" in await fleet.done("check")


async def _minted(brand: Brand, product_id: str) -> Minted:
    made = await brand.rpc(
        "submit_mint_request",
        product_id=product_id,
        requested_quantity=UNITS,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await brand.until_minted(made["mint_batch_id"])
    packs = await brand.exported(made["mint_batch_id"])
    printed = await brand.resolver_urls(made["mint_batch_id"], 2)
    csv = [pack for pack in packs if pack["format"] == "csv"]
    return Minted(made["mint_batch_id"], csv, printed)


async def _units(brand: Brand, minted: Minted) -> list[dict[str, Any]]:
    page = await brand.rpc("list_mint_units", mint_batch_id=minted.mint_batch_id, limit=2)
    units: list[dict[str, Any]] = page["units"]
    return units


async def _assert_files_agree(brand: Brand, minted: Minted) -> None:
    for pack in minted.packs:
        content = await brand.downloaded(pack)
        assert hashlib.sha256(content).hexdigest() == pack["sha256"]


def _file(fleet: Machines, storage_path: str) -> Path:
    return Path(fleet.environment["MINTAGE_STORAGE_URL"].removeprefix("file://"), storage_path)


def _files_of(fleet: Machines, minted: Minted) -> int:
    return sum(_file(fleet, pack["storage_path"]).exists() for pack in minted.packs)


def _archiving(archive: Path) -> dict[str, str]:
    return {
        "archive_mode": "on",
        "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f",
    }


def _recovering(archive: Path, moment: str) -> dict[str, str]:
    return {
        "restore_command": f"cp {archive}/%f %p",
        "recovery_target_time": moment,
        "recovery_target_action": "promote",
    }


async def _until_recovered(server: embedded.EmbeddedServer) -> None:
    async def is_recovered() -> bool:
        return not await ask(server.dsn, "select pg_is_in_recovery()")

    await until(is_recovered)


@asynccontextmanager
async def _server(
    data_dir: Path, bin_dir: Path | None, settings: dict[str, str]
) -> AsyncIterator[embedded.EmbeddedServer]:
    """The server on `data_dir`. A cluster that is there is a base backup: it is recovered."""
    if (data_dir / "postgres").exists():
        signal_to_cluster(data_dir, "recovery.signal")
    server = await embedded.start(
        data_dir, bin_dir=bin_dir, settings=SETTINGS | settings, durable=False
    )
    try:
        yield server
    finally:
        await embedded.stop(server)


@asynccontextmanager
async def _fleet(
    folder: Path, shared: Path, server: embedded.EmbeddedServer
) -> AsyncIterator[Machines]:
    """Mintage's processes; packs and secrets are kept elsewhere than the database, and outlive it."""
    (shared / "packs").mkdir(exist_ok=True)
    folder.mkdir()
    async with machines(
        folder,
        MINTAGE_DATABASE_URL=url_of(server),
        MINTAGE_STORAGE_URL=(shared / "packs").as_uri(),
        MINTAGE_SECRETS_FILE=str(shared / "secrets.json"),
    ) as fleet:
        yield fleet

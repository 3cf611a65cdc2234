"""Restoring into other servers: by URL, of other versions, by other logins, with packs in an object store."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mintage.db.migrate import migrate
from mintage.errors import BackupError
from tests.backup.source import (
    OPEN_UNITS,
    Source,
    broken_invariants,
    make_source,
    new_database,
    place_at,
    world_of,
)
from tests.conftest import with_database
from tests.machines.processes import Brand, Machines, machines, scan
from tests.schema.servers import as_login, bin_dir_of, own_server
from tests.storage.s3_server import BUCKET, s3_server
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
UNITS = 300


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def by_url(dsn: str) -> AsyncIterator[str]:
    """The database over TCP, at a port of its own, with a password."""
    proxy = Proxy(dsn)
    await proxy.start()
    try:
        yield proxy.dsn.replace("postgres@", "postgres:s%40cret@", 1)
    finally:
        await proxy.stop()


async def _assert_it_goes_on(source: Source, dsn: str, folder: Path) -> None:
    """The job that was open is finished: rows are read, and units are copied in."""
    async with place_at(dsn, folder).platform() as platform:
        assert await broken_invariants(platform) == []
        world = await world_of(platform, source.brand_id)
        done = await world.run(source.open_job["mint_job_id"])
        assert (done["status"], done["minted_quantity"]) == ("COMPLETED", OPEN_UNITS)
        assert await broken_invariants(platform) == []


@dataclass(frozen=True)
class Platform15:
    """What a platform on PostgreSQL 15 and S3 had, and the text of its secrets."""

    brand_id: str
    packs: list[dict[str, Any]]
    printed: str
    secrets: str


async def test_postgresql_15_by_url_with_packs_in_an_object_store(tmp_path: Path) -> None:
    """Backed up on one server and one folder of a bucket, restored on another server and another folder."""
    for name in ("s3", "one", "two"):
        (tmp_path / name).mkdir()
    debian = bin_dir_of("15")
    with s3_server(tmp_path / "s3") as s3:
        store = s3.environment()
        async with own_server(debian) as server, by_url(await new_database(server)) as url:
            places = {
                "MINTAGE_DATABASE_URL": url,
                "MINTAGE_STORAGE_URL": f"s3://{BUCKET}/one",
            }
            async with machines(tmp_path / "one", **places, **store) as fleet:
                before = await _lived(fleet, tmp_path / "backup")
        async with own_server(debian) as server, by_url(await new_database(server)) as url:
            places = {
                "MINTAGE_DATABASE_URL": url,
                "MINTAGE_STORAGE_URL": f"s3://{BUCKET}/two",
                "MINTAGE_SECRETS": before.secrets,
            }
            async with machines(tmp_path / "two", **places, **store) as fleet:
                await _restored(fleet, tmp_path / "backup", before)


async def _lived(fleet: Machines, backup: Path) -> Platform15:
    door = await fleet.serve("serve")
    service = await fleet.service(door)
    async with service.client() as client:
        brand = await fleet.brand(client)
        minted = await brand.rpc(
            "submit_mint_request",
            product_id=await brand.product(),
            requested_quantity=UNITS,
            identity_mode="serial",
            activation_mode="first_scan",
        )
        await brand.until_minted(minted["mint_batch_id"])
        packs = await brand.exported(minted["mint_batch_id"])
        [printed] = await brand.resolver_urls(minted["mint_batch_id"], 1)
        assert (await scan(door, printed)).status_code == 307
    told = await fleet.run("backup", str(backup), "--without-secrets")
    assert (told.returncode, "private keys" in told.stderr) == (0, False), told.stderr
    secrets = (fleet.folder / "data" / "secrets.json").read_text()
    return Platform15(brand.brand_id, packs, printed, secrets)


async def _restored(fleet: Machines, backup: Path, before: Platform15) -> None:
    full = {"MINTAGE_STORAGE_URL": f"s3://{BUCKET}/one"}
    refused = await fleet.run("restore", str(backup), **full)
    assert refused.returncode == 1
    assert "store of packs is not empty" in refused.stderr
    told = await fleet.run("restore", str(backup))
    assert told.returncode == 0, told.stderr
    assert "holds no secrets" in told.stderr
    assert "s@cret" not in told.stderr + told.stdout
    assert "invariants hold" in await fleet.done("check")
    door = await fleet.serve("serve")
    service = await fleet.service(door)
    async with service.client() as client:
        brand = Brand(client, before.brand_id)
        assert (await scan(door, before.printed)).status_code == 307
        for pack in before.packs:
            content = await brand.downloaded(pack)
            assert hashlib.sha256(content).hexdigest() == pack["sha256"]
        assert (await client.get("/readyz")).json()["store"] == "reachable"


async def test_an_older_server_is_refused_and_a_newer_one_takes_it(
    backup: Source, tmp_path: Path
) -> None:
    async with own_server(bin_dir_of("15")) as older:
        place = place_at(await new_database(older), tmp_path / "older")
        with pytest.raises(BackupError, match=r"this server is 15: restore into the same major"):
            await place.restore(backup.folder)
        assert await place.is_untouched()
        first = place_at(await new_database(older), tmp_path / "first")
        await migrate(first.dsn)
        source = await make_source(first, tmp_path / "backup-of-15")
    async with own_server() as newer:
        place = place_at(await new_database(newer), tmp_path / "newer")
        await place.restore(source.folder)
        await _assert_it_goes_on(source, place.dsn, tmp_path / "newer")


@pytest.mark.parametrize("version", ["15", "packaged"])
async def test_a_login_past_row_level_security_that_is_no_superuser_restores(
    tmp_path: Path, version: str
) -> None:
    """On 15 it cannot give BYPASSRLS on: the minter owns mint_unit then, whatever it was in the dump."""
    bin_dir = bin_dir_of(version)
    async with own_server(bin_dir) as server:
        first = place_at(await new_database(server), tmp_path / "first")
        await migrate(first.dsn)
        source = await make_source(first, tmp_path / "backup")
    async with own_server(bin_dir) as server:
        await execute(server, "create role keeper login createrole bypassrls")
        await execute(server, "create role clerk login createrole")
        for owner in ("keeper", "clerk"):
            await execute(server, f"create database {owner} owner {owner}")
        clerk = place_at(as_login(with_database(server, "clerk"), "clerk"), tmp_path / "clerk")
        with pytest.raises(BackupError, match="use a superuser's, or one of a role with BYPASSRLS"):
            await clerk.restore(source.folder)
        assert await clerk.is_untouched()
        keeper = place_at(as_login(with_database(server, "keeper"), "keeper"), tmp_path / "keeper")
        await keeper.restore(source.folder)
        await _assert_it_goes_on(source, keeper.dsn, tmp_path / "keeper")


@pytest.mark.parametrize("version", ["15", "packaged"])
async def test_a_login_that_may_only_read_backs_up(tmp_path: Path, version: str) -> None:
    """As docs/backup.md makes it: neither a superuser nor the owner of anything."""
    async with own_server(bin_dir_of(version)) as server:
        owner = place_at(await new_database(server), tmp_path / "owner")
        await migrate(owner.dsn)
        source = await make_source(owner, tmp_path / "by-owner")
        await execute(server, "create role mintage_backup login bypassrls password 'x'")
        await execute(server, "grant pg_read_all_data to mintage_backup")
        reader = place_at(as_login(owner.dsn, "mintage_backup"), tmp_path / "owner")
        manifest = await reader.back_up(tmp_path / "by-reader")
        assert (manifest.counts, manifest.missing) == (source.manifest.counts, ())
        await execute(owner.dsn, "grant select on brand to mintage_backup")
        named = await reader.back_up(tmp_path / "named")
        assert named.grantees == ("mintage_backup",), "not one of the four that are made anew"
        place = place_at(await new_database(server), tmp_path / "again")
        await place.restore(tmp_path / "by-reader")
        await _assert_it_goes_on(source, place.dsn, tmp_path / "again")


async def test_a_login_that_may_make_no_roles_is_told_so(backup: Source, tmp_path: Path) -> None:
    async with own_server() as server:
        await execute(server, "create role keeper login bypassrls")
        await execute(server, "create database shop owner keeper")
        place = place_at(as_login(with_database(server, "shop"), "keeper"), tmp_path / "keeper")
        with pytest.raises(BackupError, match="may not make the roles that the database needs"):
            await place.restore(backup.folder)
        assert await place.is_untouched()


async def test_a_database_of_an_owner_without_superpowers_is_restored(tmp_path: Path) -> None:
    """Its minter owns mint_unit, and its owner has rights by name, which another server must know."""
    async with own_server() as server:
        await execute(server, "create role shopkeeper login createrole")
        await execute(server, "create database shop owner shopkeeper")
        shop = with_database(server, "shop")
        await migrate(as_login(shop, "shopkeeper"))
        source = await make_source(place_at(shop, tmp_path / "shop"), tmp_path / "backup")
        assert source.manifest.grantees == ("shopkeeper",)
        beside = place_at(await new_database(server), tmp_path / "beside")
        await beside.restore(source.folder)
        await _assert_it_goes_on(source, beside.dsn, tmp_path / "beside")
    async with own_server() as server:
        place = place_at(await new_database(server), tmp_path / "elsewhere")
        with pytest.raises(BackupError, match='create role "shopkeeper";'):
            await place.restore(source.folder)
        assert await place.is_untouched()
        await execute(server, 'create role "shopkeeper"')
        await place.restore(source.folder)
        await _assert_it_goes_on(source, place.dsn, tmp_path / "elsewhere")


@pytest.mark.parametrize("version", ["15", "packaged"])
async def test_the_owner_that_it_had_restores_it_and_gives_his_power_back(
    tmp_path: Path, version: str
) -> None:
    """As docs/backup.md has it for a platform that was set up as docs/running.md says."""
    bin_dir = bin_dir_of(version)
    async with own_server(bin_dir) as server:
        await execute(server, "create role shopkeeper login createrole")
        await execute(server, "create database shop owner shopkeeper")
        shop = with_database(server, "shop")
        await migrate(as_login(shop, "shopkeeper"))
        source = await make_source(place_at(shop, tmp_path / "shop"), tmp_path / "backup")
    async with own_server(bin_dir) as server:
        await execute(server, "create role shopkeeper login createrole bypassrls")
        await execute(server, "create database shop owner shopkeeper")
        shop = as_login(with_database(server, "shop"), "shopkeeper")
        place = place_at(shop, tmp_path / "again")
        await place.restore(source.folder)
        await execute(server, "alter role shopkeeper nobypassrls")
        assert await migrate(shop) == []
        await _assert_it_goes_on(source, shop, tmp_path / "again")
        owner = "select tableowner from pg_tables where tablename = 'mint_batch'"
        assert await place.ask(owner) == "shopkeeper"
        # Who deletes brands must still be able to.
        may = "select has_table_privilege('shopkeeper', 'public.mint_unit', 'select, delete')"
        assert await place.ask(may)
        assert await place.ask("select count(*) from mint_batch") == 0, "row-level security holds"

"""A small platform that is backed up, and places that a backup is restored to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from mintage.backup.making import make_backup
from mintage.backup.manifest import MANIFEST, Manifest, Part, part_of
from mintage.backup.restoring import Restored, restore_backup
from mintage.db.connection import open_database
from mintage.operations.call import SERVICE, SYSTEM, Caller
from mintage.operations.checks import list_brands, load_checks, run_check
from mintage.operations.webhook_secrets import Sealer
from mintage.perform import Platform
from mintage.secrets import load_or_create_secrets
from mintage.settings import Limits, Settings, read_settings
from mintage.storage import PackStore, open_pack_store
from tests.conftest import with_database
from tests.packs.desk import Desk
from tests.support.world import World, build_world

UNITS = 12
OPEN_UNITS = 50
OPEN_FIRST = 20
OPEN_ATTEMPTS = 2
HOOK = "https://receiver.example.com/hooks"


@dataclass(frozen=True)
class Source:
    """A backup in `folder`, and what was so in it."""

    folder: Path
    manifest: Manifest
    open_job: dict[str, Any]
    packs: list[dict[str, Any]]
    open_pack: dict[str, Any]
    webhook_secret: str
    brand_id: UUID


@dataclass(frozen=True)
class Place:
    """Where a backup is restored to: a database, a folder of packs, a file of secrets."""

    settings: Settings
    dsn: str
    store: PackStore

    async def restore(self, source: Path, *, may_overwrite: bool = False) -> Restored:
        return await restore_backup(
            self.settings, self.dsn, self.store, source, may_overwrite=may_overwrite, told=untold
        )

    async def back_up(self, destination: Path, *, has_secrets: bool = True) -> Manifest:
        return await make_backup(
            self.settings, self.dsn, self.store, destination, has_secrets=has_secrets, told=untold
        )

    async def tables(self) -> int:
        return int(
            await self.ask(
                "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
            )
        )

    async def ask(self, statement: str, *arguments: object) -> Any:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    async def take_no_writes(self, *, is_so: bool) -> None:
        """The database answers, and refuses what comes next."""
        name = self.dsn.partition("?")[0].rpartition("/")[2]
        connection = await asyncpg.connect(with_database(self.dsn, "postgres"))
        try:
            value = "on" if is_so else "off"
            await connection.execute(
                f"alter database {name} set default_transaction_read_only = {value}"
            )
        finally:
            await connection.close()

    async def files(self) -> list[str]:
        return sorted([path async for paths in self.store.paths("") for path in paths])

    async def is_untouched(self) -> bool:
        """Nothing has been written anywhere."""
        is_empty = not await self.tables() and not await self.files()
        return is_empty and not self.settings.secrets_file.exists()

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[Platform]:
        """The platform on this place, as a process would have it."""
        keys = load_or_create_secrets(self.settings.secrets_file)
        database = await open_database(
            self.dsn, connections=5, statement_timeout_s=30, application="test"
        )
        try:
            yield Platform(database, Limits(), sealer=Sealer(lambda: keys.webhook_keys))
        finally:
            await database.close()


def untold(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def place_at(dsn: str, folder: Path, **environment: str) -> Place:
    settings = read_settings({"MINTAGE_DATA": str(folder)} | environment)
    return Place(settings, dsn, open_pack_store(settings.storage_url, settings.data_dir))


async def new_database(server_dsn: str, template: str | None = None) -> str:
    """An empty database of the server, or a clone; its dsn."""
    name = f"backup_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute(
            f"create database {name}" + (f" template {template}" if template else "")
        )
    finally:
        await connection.close()
    return with_database(server_dsn, name)


async def drop_database(dsn: str) -> None:
    name = dsn.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(with_database(dsn, "postgres"))
    try:
        await connection.execute(f"drop database if exists {name} with (force)")
    finally:
        await connection.close()


async def make_source(place: Place, folder: Path) -> Source:
    """Units, packs, a webhook with a message, and a job whose worker was lost, on a migrated database; and
    the backup of it."""
    async with place.platform() as platform:
        world = await build_world(platform)
        webhook = await world.rpc("create_webhook", url=HOOK, event_types=["mint_job.completed"])
        desk = Desk(world, place.store, place.settings.data_dir / "payload-packs")
        packs = await desk.exported(UNITS)
        batch_id = packs[0]["mint_batch_id"]
        asked = await desk.request(batch_id, format="qr_manifest")
        [open_pack] = await desk.packs(export_group_id=asked["export_group_id"])
        open_job = await world.submit(await world.product(), OPEN_UNITS)
        job_id = open_job["mint_job_id"]
        await world.rpc(
            "process_mint_job_batch", "service", mint_job_id=job_id, batch_size=OPEN_FIRST
        )
        async with platform.database.pool.acquire() as connection:
            await connection.execute(
                "update work_item set lease_owner = 'lost', attempts = $2, lease_epoch = lease_epoch + 1, "
                "lease_until = clock_timestamp() + interval '1 hour' where ref_id = $1",
                UUID(str(job_id)),
                OPEN_ATTEMPTS,
            )
            await connection.execute(
                "update webhook_delivery set lease_until = clock_timestamp() + interval '1 hour', "
                "lease_epoch = 1, attempts = 1 where status = 'pending'"
            )
    manifest = await place.back_up(folder)
    secret = str(webhook["secret"])
    return Source(folder, manifest, open_job, packs, open_pack, secret, world.brand_id)


async def broken_invariants(platform: Platform) -> list[str]:
    transactions = platform.transactions(SYSTEM, "check")
    return [
        invariant.name
        for each in await list_brands(transactions)
        for invariant in load_checks()
        if await run_check(transactions, invariant, each.id)
    ]


async def world_of(platform: Platform, brand_id: UUID) -> World:
    """The cast's owner and the service in a restored brand."""
    async with platform.database.pool.acquire() as connection:
        owner_id = await connection.fetchval(
            "select id from app_user where email_key = 'owner@example.com'"
        )
    callers = {"owner": Caller("user", owner_id), "service": SERVICE}
    return World(platform, brand_id, brand_id, callers)


def changed_manifest(folder: Path, **changes: object) -> None:
    """Rewrite what the manifest of a backup says."""
    path = folder / MANIFEST
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | changes), "utf-8")


def restated(folder: Path, changed: str) -> None:
    """The manifest says of the part `changed` what it is now."""
    content = json.loads((folder / MANIFEST).read_text("utf-8"))
    part = part_of(folder, changed)
    parts = [
        {"path": part.path, "byte_size": part.byte_size, "sha256": part.sha256}
        if each["path"] == changed
        else each
        for each in content["parts"]
    ]
    changed_manifest(folder, parts=parts)


def pack_part(manifest: Manifest) -> Part:
    return next(part for part in manifest.packs if part.path.endswith(".csv"))

"""Restoring: what is there afterwards, and every refusal, each before anything was written."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from mintage.backup import programs
from mintage.backup.manifest import DUMP, MANIFEST, PACKS, SECRETS, read_manifest
from mintage.db.migrate import load_migrations
from mintage.errors import BackupError
from mintage.operations.pack_sweep import sweep_orphans
from mintage.secrets import load_or_create_secrets, new_secrets_text
from mintage.storage import StoreAway
from tests.backup.source import (
    OPEN_ATTEMPTS,
    OPEN_FIRST,
    OPEN_UNITS,
    UNITS,
    Place,
    Source,
    broken_invariants,
    changed_manifest,
    pack_part,
    place_at,
    restated,
    world_of,
)
from tests.packs.desk import Desk
from tests.schema.catalog import connected, snapshot
from tests.support.webhooks import all_sent, knowing, receiver
from tests.support.world import build_world


def _path(part_path: str) -> str:
    return part_path.removeprefix(f"{PACKS}/")


@pytest.mark.long
async def test_what_was_backed_up_is_there_and_goes_on(
    backup: Source, place: Place, dsn: str
) -> None:
    restored = await place.restore(backup.folder)
    assert (restored.manifest, restored.keys_before) == (backup.manifest, None)
    assert stat.S_IMODE(place.settings.secrets_file.stat().st_mode) == 0o600
    assert place.settings.secrets_file.read_text() == (backup.folder / SECRETS).read_text()
    assert await place.files() == sorted(_path(part.path) for part in backup.manifest.packs)
    async with connected(place.dsn) as ours, connected(dsn) as migrated:
        assert await snapshot(ours) == await snapshot(migrated), "grants and policies too"
    async with place.platform() as platform:
        assert await broken_invariants(platform) == []
        world = await world_of(platform, backup.brand_id)
        done = await world.run(backup.open_job["mint_job_id"])
        assert (done["status"], done["minted_quantity"]) == ("COMPLETED", OPEN_UNITS)
        assert await broken_invariants(platform) == []
    assert await place.ask("select count(*) from mint_unit") == UNITS + OPEN_UNITS


@pytest.mark.long
async def test_nobody_holds_anything_after_a_restore(backup: Source, place: Place) -> None:
    await place.restore(backup.folder)
    item = "select {} from work_item where ref_id = $1"
    job_id = UUID(str(backup.open_job["mint_job_id"]))
    assert await place.ask(item.format("lease_until is null and lease_owner is null"), job_id)
    assert await place.ask(item.format("attempts"), job_id) == OPEN_ATTEMPTS, "no attempt is added"
    minted = "select minted_quantity from mint_batch where mint_job_id = $1"
    assert await place.ask(minted, job_id) == OPEN_FIRST
    due = "select count(*) from webhook_delivery where status = 'pending' and next_try_at <= now()"
    held = "select count(*) from webhook_delivery where lease_until is not null"
    assert (await place.ask(due), await place.ask(held)) == (1, 0)


@pytest.mark.long
async def test_overwriting_replaces_what_has_the_same_name_and_puts_keys_aside(
    backup: Source, place: Place
) -> None:
    same, other, *_ = [part for part in backup.manifest.packs if part.path.startswith(PACKS)]
    root = place.settings.data_dir / "payload-packs"
    await place.store.put_file(_path(same.path), backup.folder / same.path)
    await place.store.put(_path(other.path), [b"of another platform"])
    await place.store.put("elsewhere/kept.csv", [b"kept"])
    written_at = (root / _path(same.path)).stat().st_mtime_ns
    keys = new_secrets_text()
    secrets_file = place.settings.secrets_file
    secrets_file.write_text(keys)
    with pytest.raises(BackupError, match=r"holds other keys: move it away, or --overwrite"):
        await place.restore(backup.folder)
    assert (await place.tables(), secrets_file.read_text()) == (0, keys)
    first = await place.restore(backup.folder, may_overwrite=True)
    assert first.keys_before is not None
    assert first.keys_before.read_text() == keys, "keys are never lost"
    assert stat.S_IMODE(first.keys_before.stat().st_mode) == stat.S_IMODE(
        (secrets_file.parent / first.keys_before.name).stat().st_mode
    )
    assert secrets_file.read_text() == (backup.folder / SECRETS).read_text()
    assert (root / _path(same.path)).stat().st_mtime_ns == written_at, "left alone"
    content = (root / _path(other.path)).read_bytes()
    assert hashlib.sha256(content).hexdigest() == other.sha256
    assert "elsewhere/kept.csv" in await place.files()


@pytest.mark.long
async def test_a_file_of_a_lost_epoch_is_in_nobodys_way(backup: Source, place: Place) -> None:
    """After the moment a worker wrote the open pack under the next epoch; its database is gone (0202)."""
    pack = backup.open_pack
    folder = f"{backup.brand_id}/{pack['export_group_id']}"
    lost = f"{folder}/{pack['pack_index']:04}-1.csv"
    await place.store.put(lost, [b"written after the moment"])
    await place.restore(backup.folder, may_overwrite=True)
    async with place.platform() as platform:
        world = await world_of(platform, backup.brand_id)
        desk = Desk(world, place.store, place.settings.data_dir / "payload-packs")
        assert [outcome.result for outcome in await desk.process_all()] == ["postponed"]
        await place.ask("update work_item set runnable_at = clock_timestamp() returning 1")
        assert "completed" in [outcome.result for outcome in await desk.process_all()]
        [made] = await desk.packs(export_group_id=pack["export_group_id"])
        assert made["storage_path"] == f"{folder}/{pack['pack_index']:04}-2.csv"
        content = (desk.folder / made["storage_path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == made["sha256"]
        assert (desk.folder / lost).read_bytes() == b"written after the moment", "never replaced"
        assert await sweep_orphans(desk.transactions, place.store) == 1
        assert not (desk.folder / lost).exists()


@pytest.mark.long
async def test_messages_that_were_under_way_are_sent_once_more_and_signed_as_before(
    backup: Source, place: Place
) -> None:
    await place.restore(backup.folder)
    async with receiver() as told, place.platform() as platform:
        world = knowing(await world_of(platform, backup.brand_id))
        await place.ask("update webhook set url = $1", told.url)
        event_id = await place.ask("select event_id::text from webhook_delivery")
        assert await all_sent(world) == ["delivered"]
        assert told.ids == [event_id], "the id of before, by which a receiver knows it"
        Webhook(backup.webhook_secret).verify(told.bodies[0], told.heads[0])


async def test_a_store_with_files_is_refused_and_left_as_it_is(
    backup: Source, place: Place
) -> None:
    await place.store.put("elsewhere/kept.csv", [b"kept"])
    with pytest.raises(BackupError, match=r"not empty \(elsewhere/kept\.csv\): name another"):
        await place.restore(backup.folder)
    assert (await place.tables(), await place.files()) == (0, ["elsewhere/kept.csv"])
    assert not place.settings.secrets_file.exists()


@pytest.mark.parametrize("may_overwrite", [False, True])
async def test_a_database_with_anything_in_it_is_refused_always(
    backup: Source, place: Place, may_overwrite: bool
) -> None:
    await place.ask("create table precious (it text)")
    with pytest.raises(BackupError, match="not empty, and nothing in it is overwritten"):
        await place.restore(backup.folder, may_overwrite=may_overwrite)
    await place.ask("drop table precious")
    assert await place.is_untouched()


async def test_keys_of_the_environment_must_be_those_of_the_backup(
    backup: Source, place: Place
) -> None:
    settings = replace(place.settings, secrets_text=new_secrets_text())
    with pytest.raises(BackupError, match="MINTAGE_SECRETS is not what the backup holds"):
        await replace(place, settings=settings).restore(backup.folder)
    assert await place.is_untouched()


@pytest.mark.long
async def test_a_backup_without_secrets_leaves_those_that_are_there(
    source: Source, place: Place
) -> None:
    parts = json.loads((source.folder / MANIFEST).read_text())["parts"]
    changed_manifest(source.folder, parts=[part for part in parts if part["path"] != SECRETS])
    (source.folder / SECRETS).unlink()
    assert not read_manifest(source.folder).has_secrets
    await place.restore(source.folder)
    assert not place.settings.secrets_file.exists(), "the operator's to put in place"
    again = await place.back_up(source.folder.parent / "again", has_secrets=False)
    assert not again.has_secrets
    assert again.counts == source.manifest.counts
    assert not (source.folder.parent / "again" / SECRETS).exists()


@pytest.mark.parametrize("what", [DUMP, SECRETS, "a pack"])
@pytest.mark.parametrize("damage", ["changed", "shorter", "missing"])
async def test_a_damaged_part_is_named_before_anything_is_written(
    source: Source, place: Place, what: str, damage: str
) -> None:
    part = pack_part(source.manifest).path if what == "a pack" else what
    file = source.folder / part
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(
            content[:-1] if damage == "shorter" else content[:-1] + bytes([content[-1] ^ 1])
        )
    with pytest.raises(BackupError, match=r"the backup is broken: .* another backup") as raised:
        await place.restore(source.folder, may_overwrite=True)
    assert part in str(raised.value)
    assert await place.is_untouched()


async def test_a_folder_that_is_no_whole_backup_is_refused(source: Source, place: Place) -> None:
    (source.folder / MANIFEST).unlink()
    with pytest.raises(BackupError, match="no whole backup"):
        await place.restore(source.folder)
    assert await place.is_untouched()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"form": 2}, r"is of form 2, written by release .*: use that release or a later one"),
        ({"form": None}, r"is no manifest of a backup"),
        ({"postgres_version": "99.1"}, r"is of PostgreSQL 99\.1, this server is \d+: restore into"),
        (
            {"schema_version": load_migrations()[-1].version + 1},
            r"with schema 00\d\d, this release knows 00\d\d: restore with that release or a later",
        ),
        ({"grantees": ["a shop's"]}, r'create role "a shop\'s";'),
    ],
)
async def test_what_is_newer_or_not_known_is_refused(
    source: Source, place: Place, changes: dict[str, object], said: str
) -> None:
    changed_manifest(source.folder, **changes)
    with pytest.raises(BackupError, match=said):
        await place.restore(source.folder, may_overwrite=True)
    assert await place.is_untouched()


async def test_a_dump_that_no_program_reads_is_refused(source: Source, place: Place) -> None:
    (source.folder / DUMP).write_bytes(b"PGDMP\x01\x63\x00" + bytes(200))
    restated(source.folder, DUMP)
    with pytest.raises(BackupError, match=r"no pg_restore here that fits PostgreSQL \d+ reads"):
        await place.restore(source.folder)
    assert await place.is_untouched()


@pytest.mark.long
async def test_what_broke_off_in_the_database_leaves_it_empty_and_is_begun_anew(
    source: Source, place: Place
) -> None:
    await place.take_no_writes(is_so=True)
    with pytest.raises(BackupError, match=r"pg_restore failed"):
        await place.restore(source.folder)
    await place.take_no_writes(is_so=False)
    assert await place.tables() == 0
    # Data that cannot be read to their end, behind a table of contents that can.
    dump = (source.folder / DUMP).read_bytes()
    (source.folder / DUMP).write_bytes(dump[:-400] + b"\xff" * 200 + dump[-200:])
    restated(source.folder, DUMP)
    with pytest.raises(BackupError, match=r"pg_restore failed"):
        await place.restore(source.folder, may_overwrite=True)
    assert await place.tables() == 0, "one transaction"
    (source.folder / DUMP).write_bytes(dump)
    restated(source.folder, DUMP)
    await place.restore(source.folder, may_overwrite=True)
    async with place.platform() as platform:
        assert await broken_invariants(platform) == []


@pytest.mark.long
async def test_a_database_that_is_not_what_was_backed_up_is_named(
    source: Source, place: Place
) -> None:
    counts = dict(source.manifest.counts)
    changed_manifest(source.folder, counts=counts | {"mint_unit": counts["mint_unit"] + 1})
    with pytest.raises(BackupError, match="mint_unit have other rows; drop it and restore anew"):
        await place.restore(source.folder)


@pytest.mark.parametrize(
    ("server_major", "majors", "chosen"),
    [
        (18, [15, 16, 18], [18]),
        (18, [15, 16], None),
        (15, [15, 16, 17, 18], [15, 16]),
        (15, [17, 18], None),
        (16, [15, 16], [16]),
        (17, [18], [18]),
    ],
)
def test_programs_fit_their_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server_major: int,
    majors: list[int],
    chosen: list[int] | None,
) -> None:
    places = [_program(tmp_path / str(major), major) for major in majors]
    monkeypatch.setattr(programs, "_places", lambda *_: places)
    if chosen is None:
        with pytest.raises(BackupError, match=f"install postgresql-client-{server_major}"):
            programs.find_programs("pg_restore", server_major, None)
        return
    found = programs.find_programs("pg_restore", server_major, None)
    assert [int(path.parent.name) for path in found] == chosen


def _program(folder: Path, major: int) -> Path:
    folder.mkdir()
    path = folder / "pg_restore"
    path.write_text(f"#!/bin/sh\necho 'pg_restore (PostgreSQL) {major}.3'\n")
    path.chmod(0o755)
    return path


def test_a_password_is_on_no_command_line() -> None:
    for dsn in (
        "postgresql://me:s%40cret@db.example.com:5433/shop?sslmode=require",
        "postgresql://me@db.example.com:5433/shop?password=s%40cret&sslmode=require",
    ):
        url, password = programs._without_password(dsn)
        assert url == "postgresql://me@db.example.com:5433/shop?sslmode=require"
        assert password == "s@cret"


@pytest.mark.long
async def test_packs_that_are_gone_or_changed_are_named_and_the_rest_is_backed_up(
    backup: Source, place: Place, tmp_path: Path
) -> None:
    await place.restore(backup.folder)
    gone, changed = (_path(part.path) for part in backup.manifest.packs[:2])
    await place.store.delete(gone)
    file = place.settings.data_dir / "payload-packs" / changed
    file.write_bytes(bytes(file.stat().st_size))
    manifest = await place.back_up(tmp_path / "again")
    assert sorted(manifest.missing) == sorted([gone, changed])
    assert len(manifest.packs) == len(backup.manifest.packs) - 2
    assert not (tmp_path / "again" / PACKS / changed).exists()


async def test_a_backup_that_breaks_off_leaves_nothing_behind(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_at(dsn, tmp_path / "data")
    load_or_create_secrets(place.settings.secrets_file)

    async def away(*_: object) -> None:
        raise StoreAway("the store is away")

    async with place.platform() as platform:
        world = await build_world(platform)
        await Desk(world, place.store, tmp_path / "data" / "payload-packs").exported(3)
    monkeypatch.setattr(place.store, "head", away)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreAway):
        await place.back_up(tmp_path / "backup")
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(BackupError, match="is no folder: make it first"):
        await place.back_up(tmp_path / "nowhere" / "backup")

"""Restoring a backup: everything is verified before anything is written, and counted after.

Order: packs, secrets, database (in one transaction), so that what breaks off leaves an empty database and
is begun anew. Not here: the command (`cli_backup`).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from mintage.backup.making import Told, verified
from mintage.backup.manifest import (
    DUMP,
    PACKS,
    SECRETS,
    Manifest,
    Part,
    flush_folder,
    read_manifest,
)
from mintage.backup.programs import find_reader, run_program
from mintage.db.backed_up import (
    connected,
    count_rows,
    make_ready,
    refuse_tables,
    refuse_unknown_roles,
)
from mintage.db.migrate import load_migrations, migrate, roles_statement
from mintage.errors import BackupError
from mintage.secrets import parse_secrets
from mintage.settings import Settings
from mintage.storage import PackStore

if TYPE_CHECKING:
    from mintage.db.backed_up import Connection


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where the keys are now that were in the secrets file before, if any."""

    manifest: Manifest
    keys_before: Path | None


async def restore_backup(
    settings: Settings,
    direct_dsn: str,
    store: PackStore,
    source: Path,
    *,
    may_overwrite: bool,
    told: Told,
) -> Restored:
    """Restore the backup in the folder `source` into an empty database and store.

    `may_overwrite`: files of packs give way, and secrets that are there already are put aside. Raises
    `BackupError`, `SecretsError`, `StorageFailure`, `SchemaError`.
    """
    manifest = read_manifest(source)
    _refuse_later_schema(manifest)
    await verified(source, manifest, told)
    async with connected(direct_dsn) as (connection, dsn):
        program = await _program(connection, settings, source, manifest)
        secrets_text = _secrets_to_write(settings, source, manifest, may_overwrite=may_overwrite)
        await _refuse_files(store, may_overwrite=may_overwrite)
        await _make_roles(connection)
        await _restore_packs(store, source, manifest, told)
        keys_before = None
        if secrets_text is not None:
            keys_before = await asyncio.to_thread(
                _write_secrets, settings.secrets_file, secrets_text
            )
        await _restore_database(program, dsn, source, manifest, told)
    # Anew: what has been idle as long as a database is restored may have been cut off.
    async with connected(direct_dsn) as (connection, _):
        await _compare_counts(connection, manifest)
    await migrate(direct_dsn)
    async with connected(direct_dsn) as (connection, _):
        await make_ready(connection)
    return Restored(manifest, keys_before)


async def _program(
    connection: Connection, settings: Settings, source: Path, manifest: Manifest
) -> Path:
    """The `pg_restore` to use. Raises `BackupError` for a database that cannot take the dump."""
    await refuse_tables(connection)
    major = connection.get_server_version().major
    if major < int(manifest.postgres_version.partition(".")[0]):
        raise BackupError(
            f"the backup is of PostgreSQL {manifest.postgres_version}, this server is {major}: "
            "restore into the same major version or a later one"
        )
    await refuse_unknown_roles(connection, manifest.grantees)
    return await asyncio.to_thread(find_reader, major, settings.postgres_bin_dir, source / DUMP)


async def _make_roles(connection: Connection) -> None:
    try:
        await connection.execute(roles_statement())
    except asyncpg.InsufficientPrivilegeError as error:
        raise BackupError(
            f"this login may not make the roles that the database needs ({error}): restore as a superuser or "
            "a login with CREATEROLE, or have the roles mintage_app, mintage_service, mintage_resolver and "
            "mintage_minter made and granted to it first"
        ) from None


def _refuse_later_schema(manifest: Manifest) -> None:
    known = load_migrations()[-1].version
    if manifest.schema_version > known:
        raise BackupError(
            f"the backup is of release {manifest.release} with schema {manifest.schema_version:04}, this "
            f"release knows {known:04}: restore with that release or a later one"
        )


def _secrets_to_write(
    settings: Settings, source: Path, manifest: Manifest, *, may_overwrite: bool
) -> str | None:
    """The text for the secrets file; None where it is there, or is not ours to write."""
    if not manifest.has_secrets:
        return None
    text = (source / SECRETS).read_text("utf-8")
    parse_secrets(text)
    if settings.secrets_text is not None:
        if settings.secrets_text.strip() != text.strip() and not may_overwrite:
            raise BackupError(
                "MINTAGE_SECRETS is not what the backup holds: give the text of its secrets.json, or "
                "--overwrite to go on with other keys"
            )
        return None
    path = settings.secrets_file
    if path.exists():
        if path.read_text("utf-8") == text:
            return None
        if not may_overwrite:
            raise BackupError(
                f"{path} holds other keys: move it away, or --overwrite to have it put aside and replaced"
            )
    return text


async def _refuse_files(store: PackStore, *, may_overwrite: bool) -> None:
    if may_overwrite:
        return
    async for paths in store.paths(""):
        if paths:
            raise BackupError(
                f"the store of packs is not empty ({paths[0]}): name another, or --overwrite to have "
                "files of the same name replaced (others stay)"
            )


async def _restore_packs(store: PackStore, source: Path, manifest: Manifest, told: Told) -> None:
    packs = manifest.packs
    done, total = 0, sum(part.byte_size for part in packs)
    for part in packs:
        path = part.path.removeprefix(f"{PACKS}/")
        if not await _is_there(store, path, part):
            await store.delete(path)
            stored = await store.put_file(path, source / part.path)
            if (stored.byte_size, stored.sha256) != (part.byte_size, part.sha256):
                raise BackupError(f"the backup changed while it was read: {part.path}")
            if await store.head(path) != part.byte_size:
                raise BackupError(
                    f"the store has not kept {path}: look at its log, then restore anew"
                )
        done += part.byte_size
        told("restoring packs", done, total)


async def _is_there(store: PackStore, path: str, part: Part) -> bool:
    """What is in the store as it was written is left alone."""
    if await store.head(path) != part.byte_size:
        return False
    digest = hashlib.sha256()
    async for content in store.get(path, 0, part.byte_size):
        digest.update(content)
    return digest.hexdigest() == part.sha256


def _write_secrets(path: Path, text: str) -> Path | None:
    """A new file of mode 0600 takes the name: whole at every moment. Where the one before is now, if any."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.restored")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    before = _put_aside(path) if path.exists() else None
    written.replace(path)
    flush_folder(path.parent)
    return before


def _put_aside(path: Path) -> Path:
    """A second name for a file of keys, which nobody could ever make again."""
    for number in itertools.count(1):
        aside = path.with_name(f"{path.name}.before-restore-{number}")
        try:
            os.link(path, aside)
        except FileExistsError:
            continue
        return aside
    raise AssertionError("numbers do not end")


async def _restore_database(
    program: Path, dsn: str, source: Path, manifest: Manifest, told: Told
) -> None:
    done = 0

    def count(_table: str) -> None:
        nonlocal done
        done += 1
        told("restoring tables", done, len(manifest.counts))

    words = ["--no-owner", "--exit-on-error", "--single-transaction", str(source / DUMP)]
    await run_program(program, dsn, words, count)


async def _compare_counts(connection: Connection, manifest: Manifest) -> None:
    found = await count_rows(connection)
    differing = sorted(
        name
        for name in found.keys() | manifest.counts.keys()
        if found.get(name) != manifest.counts.get(name)
    )
    if differing:
        raise BackupError(
            f"the database is not what was backed up: {', '.join(differing)} have other rows; drop it and "
            "restore anew"
        )

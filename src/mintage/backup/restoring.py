"""Restoring a backup: everything is verified before anything is written, and counted after.

Order: packs, secrets, database (in one transaction), so that what breaks off leaves an empty database and
is begun anew. Not here: the command (`cli_backup`).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mintage.backup.making import Told, verified
from mintage.backup.manifest import (
    DUMP,
    PACKS,
    SECRETS,
    Manifest,
    read_manifest,
)
from mintage.backup.programs import find_program, run_program
from mintage.db.backed_up import connected, count_rows, refuse_tables
from mintage.db.migrate import load_migrations, migrate, roles_statement
from mintage.errors import BackupError
from mintage.secrets import parse_secrets
from mintage.settings import Settings
from mintage.storage import PackStore

if TYPE_CHECKING:
    from mintage.db.backed_up import Connection


async def restore_backup(
    settings: Settings,
    direct_dsn: str,
    store: PackStore,
    source: Path,
    *,
    may_overwrite: bool,
    told: Told,
) -> Manifest:
    """Restore the backup in the folder `source` into an empty database and store.

    `may_overwrite`: files of packs and secrets that are there already give way. Raises `BackupError`,
    `SecretsError`, `StorageFailure`, `SchemaError`.
    """
    manifest = read_manifest(source)
    _refuse_later_schema(manifest)
    await verified(source, manifest, told)
    async with connected(direct_dsn) as (connection, dsn):
        await refuse_tables(connection)
        major = connection.get_server_version().major
        if major < int(manifest.postgres_version.partition(".")[0]):
            raise BackupError(
                f"the backup is of PostgreSQL {manifest.postgres_version}, this server is {major}: "
                "restore into the same major version or a later one"
            )
        program = find_program("pg_restore", major, settings.postgres_bin_dir)
        secrets_text = _secrets_to_write(settings, source, manifest, may_overwrite=may_overwrite)
        await _refuse_files(store, may_overwrite=may_overwrite)
        await _restore_packs(store, source, manifest, told)
        if secrets_text is not None:
            await asyncio.to_thread(_write_secrets, settings.secrets_file, secrets_text)
        await connection.execute(roles_statement())
        await _restore_database(program, dsn, source, manifest, told)
        await _compare_counts(connection, manifest)
    await migrate(direct_dsn)
    return manifest


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
                f"{path} holds other keys: move it away, or --overwrite to have it replaced"
            )
    return text


async def _refuse_files(store: PackStore, *, may_overwrite: bool) -> None:
    if may_overwrite:
        return
    async for paths in store.paths(""):
        if paths:
            raise BackupError(
                f"the store of packs is not empty ({paths[0]}): name another, or --overwrite to have "
                "files of the same name replaced"
            )


async def _restore_packs(store: PackStore, source: Path, manifest: Manifest, told: Told) -> None:
    packs = manifest.packs
    done, total = 0, sum(part.byte_size for part in packs)
    for part in packs:
        path = part.path.removeprefix(f"{PACKS}/")
        await store.delete(path)
        stored = await store.put_file(path, source / part.path)
        if (stored.byte_size, stored.sha256) != (part.byte_size, part.sha256):
            raise BackupError(f"the backup changed while it was read: {part.path}")
        if await store.head(path) != part.byte_size:
            raise BackupError(f"the store has not kept {path}: look at its log, then restore anew")
        done += part.byte_size
        told("restoring packs", done, total)


def _write_secrets(path: Path, text: str) -> None:
    """A new file of mode 0600 takes the name: whole at every moment."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.restored")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    written.replace(path)


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
    await connection.execute("analyze")

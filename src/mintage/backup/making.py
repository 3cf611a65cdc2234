"""Making a backup: one snapshot of the database, the packs that it names, the secrets.

Everything goes to a folder beside the destination, which takes its name once the manifest is written and
every part has been read back. Not here: the command (`cli_backup`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mintage.backup.manifest import (
    DUMP,
    PACKS,
    SECRETS,
    Manifest,
    Part,
    flush_folder,
    part_of,
    verify_parts,
    write_manifest,
)
from mintage.backup.programs import find_programs, run_program
from mintage.db.backed_up import (
    SNAPSHOT,
    StoredPack,
    completed_packs,
    connected,
    count_rows,
    grantees,
    schema_version,
)
from mintage.errors import BackupError
from mintage.secrets import parse_secrets, read_secrets_text
from mintage.settings import Settings
from mintage.storage import PackStore, StorageFailure, StoreAway

Told = Callable[[str, int, int], None]
"""What is under way, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the database was at the moment of the backup."""

    moment: str
    postgres_version: str
    schema_version: int
    counts: dict[str, int]
    packs: list[StoredPack]
    grantees: list[str]


async def make_backup(
    settings: Settings,
    direct_dsn: str,
    store: PackStore,
    destination: Path,
    *,
    has_secrets: bool,
    told: Told,
) -> Manifest:
    """Back the platform up to the new folder `destination`, while it runs.

    Raises `BackupError`, `SecretsError`, `StorageFailure`: then there is no such folder.
    """
    destination = destination.absolute()
    if os.path.lexists(destination):
        raise BackupError(f"{destination} is there already: name a new folder")
    if not destination.parent.is_dir():
        raise BackupError(f"{destination.parent} is no folder: make it first")
    folder = Path(
        tempfile.mkdtemp(prefix=f".{destination.name}.unfinished-", dir=destination.parent)
    )
    try:
        # The secrets first: what cannot be read is told before the long work.
        parts = [_copy_secrets(settings, folder)] if has_secrets else []
        snapshot = await _dump(settings, direct_dsn, folder, told)
        parts.append(await asyncio.to_thread(part_of, folder, DUMP))
        packs, missing = await _copy_packs(store, folder, snapshot.packs, told)
        manifest = Manifest(
            release=metadata.version("mintage"),
            schema_version=snapshot.schema_version,
            postgres_version=snapshot.postgres_version,
            moment=snapshot.moment,
            counts=snapshot.counts,
            parts=(*parts, *packs),
            missing=tuple(missing),
            grantees=tuple(snapshot.grantees),
        )
        await verified(folder, manifest, told)
        write_manifest(folder, manifest)
        if os.path.lexists(destination):
            raise BackupError(f"{destination} was made by somebody else meanwhile")
        folder.rename(destination)
        flush_folder(destination.parent)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    return manifest


async def verified(folder: Path, manifest: Manifest, told: Told) -> None:
    """Read every part back. Raises `BackupError` for one that is not as its manifest says."""
    done = 0

    def count(part: Part) -> None:
        nonlocal done
        done += part.byte_size
        told("verifying", done, total)

    total = sum(part.byte_size for part in manifest.parts)
    await asyncio.to_thread(verify_parts, folder, manifest, count)


def _copy_secrets(settings: Settings, folder: Path) -> Part:
    text = settings.secrets_text or read_secrets_text(settings.secrets_file)
    parse_secrets(text)
    descriptor = os.open(folder / SECRETS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return part_of(folder, SECRETS)


async def _dump(settings: Settings, direct_dsn: str, folder: Path, told: Told) -> _Snapshot:
    """The dump, and the counts and packs of the same snapshot."""
    async with connected(direct_dsn) as (connection, dsn):
        major = connection.get_server_version().major
        program = find_programs("pg_dump", major, settings.postgres_bin_dir)[0]
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            exported, moment, version = await connection.fetchrow(SNAPSHOT) or ("", None, "")
            if moment is None:
                raise AssertionError("a select of expressions has a row")
            schema = await schema_version(connection)
            counts = await count_rows(connection)
            packs = await completed_packs(connection)
            granted = await grantees(connection)
            done = 0

            def count(_table: str) -> None:
                nonlocal done
                done += 1
                told("dumping tables", done, len(counts))

            words = ["--format=custom", "--no-owner", f"--snapshot={exported}"]
            words += [f"--file={folder / DUMP}"]
            await run_program(program, dsn, words, count)
    (folder / DUMP).chmod(0o600)
    with (folder / DUMP).open("rb") as file:
        os.fsync(file.fileno())
    return _Snapshot(moment.isoformat(), version, schema, counts, packs, granted)


async def _copy_packs(
    store: PackStore, folder: Path, packs: list[StoredPack], told: Told
) -> tuple[list[Part], list[str]]:
    """The packs' files, and the paths of those that are not in the store as they were written."""
    parts, missing = [], []
    done, total = 0, sum(pack.byte_size for pack in packs)
    for pack in packs:
        path = folder / PACKS / pack.path
        if await _copy_pack(store, pack, path):
            parts.append(Part(f"{PACKS}/{pack.path}", pack.byte_size, pack.sha256))
        else:
            path.unlink(missing_ok=True)
            missing.append(pack.path)
        done += pack.byte_size
        told("copying packs", done, total)
    return parts, missing


async def _copy_pack(store: PackStore, pack: StoredPack, path: Path) -> bool:
    if await store.head(pack.path) != pack.byte_size:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with path.open("xb") as file:
            async for content in store.get(pack.path, 0, pack.byte_size):
                digest.update(content)
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except StoreAway:
        raise
    except StorageFailure:
        # Removed since we asked for its size; a store that fails otherwise fails here again.
        if await store.head(pack.path) == pack.byte_size:
            raise
        return False
    return digest.hexdigest() == pack.sha256

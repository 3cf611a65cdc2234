"""A brand as files that need no Mintage to be read: one CSV per table, its packs, a manifest.

All tables are read in one snapshot and streamed by COPY: memory does not grow with the brand. Everything is
written to a folder beside the destination that takes its name at the very end: what broke off is never taken
for a whole. Not here: what the columns mean (docs/brands.md), restoring, and progress bars (`cli_brands`).
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mintage.db.connection import DatabaseRole, Identity
from mintage.db.migrate import schema_state
from mintage.db.queries import query
from mintage.operations.call import SYSTEM
from mintage.storage import PackStore, StorageFailure

if TYPE_CHECKING:
    from mintage.db.connection import Connection, Database

TABLES: Final = {
    "brand": query("brand_export", "brand"),
    "brand_host": query("brand_export", "brand_host"),
    "brand_member": query("brand_export", "brand_member"),
    "api_key": query("brand_export", "api_key"),
    "product": query("brand_export", "product"),
    "product_identifier": query("brand_export", "product_identifier"),
    "product_link": query("brand_export", "product_link"),
    "product_batch": query("brand_export", "product_batch"),
    "mint_job": query("brand_export", "mint_job"),
    "mint_batch": query("brand_export", "mint_batch"),
    "mint_lot": query("brand_export", "mint_lot"),
    "mint_unit": query("brand_export", "mint_unit"),
    "unit_state": query("brand_export", "unit_state"),
    "serial_registry": query("brand_export", "serial_registry"),
    "mint_event": query("brand_export", "mint_event"),
    "export_group": query("brand_export", "export_group"),
    "payload_pack": query("brand_export", "payload_pack"),
    "scan_event": query("brand_export", "scan_event"),
    "scan_receipt": query("brand_export", "scan_receipt"),
    "tally_delta": query("brand_export", "tally_delta"),
    "brand_tally": query("brand_export", "brand_tally"),
    "brand_total": query("brand_export", "brand_total"),
    "batch_tally": query("brand_export", "batch_tally"),
    "webhook": query("brand_export", "webhook"),
    "webhook_delivery": query("brand_export", "webhook_delivery"),
    "clone_signal": query("brand_export", "clone_signal"),
}
"""The statement that a table's file is written by, in the order of the manifest."""
LEFT_OUT_COLUMNS: Final = {
    "brand.deleting_at": "null: a brand that is being deleted is not exported",
    "api_key.secret_hash": "a secret's hash",
    "webhook.secret_sealed": "a secret",
    "webhook.old_secret_sealed": "a secret",
}
LEFT_OUT_TABLES: Final = {
    "app_user": "accounts are of people, and may be in other brands: brand_member has the addresses",
    "user_session": "sessions are of people",
    "work_item": "what this installation has still to do",
    "brand_turn": "whose turn it is among the brands of this installation",
    "rate_limit": "hashes of callers",
    "invariant_check": "when this installation looked at itself",
}
MANIFEST: Final = "manifest.json"
FORMAT: Final = "mintage-brand-export/1"
_EXPORT_TIMEOUT_S: Final = 86400
_READ_BYTES: Final = 1024 * 1024
_NOW: Final = query("access", "now")

Told = Callable[[str, int], None]
"""Is told what is being written and how many of its rows or bytes were added."""


class ExportFailed(Exception):
    """The export broke off; the sentence says why. Nothing stands at the destination."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: rows of all tables, files of packs, bytes of everything but the manifest."""

    rows: int
    packs: int
    byte_size: int


async def export_brand(
    database: Database,
    store: PackStore,
    brand_id: UUID,
    destination: Path,
    *,
    has_packs: bool = True,
    told: Told = lambda _, __: None,
) -> Exported:
    """Write the brand to the new directory `destination`. Raises `ExportFailed`, `OSError`, `StorageFailure`.

    Tables are as of one moment; files of packs never change and are compared with what their rows state.
    """
    if destination.exists():
        raise ExportFailed(f"{destination} is there already: name a directory that is not")
    if not destination.parent.is_dir():
        raise ExportFailed(f"{destination.parent} is no directory: make it first")
    folder = Path(tempfile.mkdtemp(prefix=f".{destination.name}.part-", dir=destination.parent))
    try:
        moment, schema, files = await _write_tables(database, brand_id, folder, told)
        packs = [pack async for pack in _packs_of(store, folder, has_packs=has_packs, told=told)]
        manifest = {
            "format": FORMAT,
            "release": version("mintage"),
            "schema_version": schema,
            "brand_id": str(brand_id),
            "exported_at": moment.isoformat(),
            "has_packs": has_packs,
            "tables": files,
            "packs": packs,
            "left_out": {**LEFT_OUT_TABLES, **LEFT_OUT_COLUMNS},
        }
        await asyncio.to_thread(_finish, folder, destination, manifest)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Exported(
        sum(int(str(file["rows"])) for file in files),
        len(packs),
        sum(int(str(file["byte_size"])) for file in [*files, *packs]),
    )


async def _write_tables(
    database: Database, brand_id: UUID, folder: Path, told: Told
) -> tuple[datetime, int, list[dict[str, object]]]:
    files: list[dict[str, object]] = []
    async with database.transaction(Identity(DatabaseRole.APP), read_only=True) as connection:
        schema = await schema_state(connection)
    async with database.transaction(
        SYSTEM.identity(brand_id), statement_timeout_s=_EXPORT_TIMEOUT_S
    ) as connection:
        # Before anything is read: every statement then sees the database of one moment.
        await connection.execute(
            "set transaction isolation level repeatable read, read only;"
            "set local timezone = 'UTC'; set local datestyle = 'ISO';"
            "set local idle_in_transaction_session_timeout = 0"
        )
        moment: datetime = await connection.fetchval(_NOW)
        for table, statement in TABLES.items():
            told(table, 0)
            path = folder / f"{table}.csv"
            rows = await _copy(connection, statement, brand_id, path)
            told(table, rows)
            files.append(await asyncio.to_thread(_facts_of, path, {"table": table, "rows": rows}))
    return moment, schema.version, files


async def _copy(connection: Connection, statement: str, brand_id: UUID, path: Path) -> int:
    """Stream the rows of `statement` to `path` as CSV; how many there were."""
    status: str = await connection.copy_from_query(
        statement, brand_id, output=path, format="csv", header=True
    )
    return int(status.removeprefix("COPY "))


async def _packs_of(
    store: PackStore, folder: Path, *, has_packs: bool, told: Told
) -> AsyncIterator[dict[str, object]]:
    if not has_packs:
        return
    for path, byte_size, sha256 in _stated_packs(folder / "payload_pack.csv"):
        told("packs", 0)
        place = folder / "packs" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with place.open("xb") as file:
            try:
                async for part in store.get(path, 0, byte_size):
                    file.write(part)
                    digest.update(part)
            except StorageFailure as failure:
                raise ExportFailed(
                    f"the store does not have {path} as its row says ({failure}); "
                    "--no-packs leaves the files out"
                ) from failure
            _to_disk(file.fileno())
        if digest.hexdigest() != sha256:
            raise ExportFailed(f"{path} is not what its row says: its SHA-256 is another")
        told("packs", 1)
        yield {"file": f"packs/{path}", "byte_size": byte_size, "sha256": sha256}


def _stated_packs(file: Path) -> Iterator[tuple[str, int, str]]:
    """Path, size, SHA-256 of each completed pack, a row at a time. No path leads out of the folder."""
    with file.open(newline="", encoding="utf-8") as opened:
        for row in csv.DictReader(opened):
            if not row["storage_path"]:
                continue
            parts = row["storage_path"].split("/")
            if not all(part and part.strip(".") for part in parts):
                raise ExportFailed(f"the path of pack {row['id']} leads out of its folder")
            yield row["storage_path"], int(row["byte_size"]), row["sha256"]


def _facts_of(path: Path, facts: dict[str, object]) -> dict[str, object]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        columns = file.readline()
        digest.update(columns)
        while part := file.read(_READ_BYTES):
            digest.update(part)
        byte_size = file.tell()
        _to_disk(file.fileno())
    return {
        "file": path.name,
        **facts,
        "byte_size": byte_size,
        "sha256": digest.hexdigest(),
        "columns": columns.decode().strip().split(","),
    }


def _finish(folder: Path, destination: Path, manifest: dict[str, object]) -> None:
    """The manifest last, everything on the disk, and only then the name."""
    file = folder / MANIFEST
    file.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for place in (file, folder):
        _flush(place)
    os.rename(folder, destination)
    _flush(destination.parent)


def _flush(place: Path) -> None:
    opened = os.open(place, os.O_RDONLY)
    try:
        _to_disk(opened)
    finally:
        os.close(opened)


def _to_disk(descriptor: int) -> None:
    os.fsync(descriptor)

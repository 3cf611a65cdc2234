"""A brand is closed, emptied and removed: bounded steps, each of its own, that a second call goes on with.

Closing is one transaction: nobody is a member any more, keys and hosts are gone, so is its work; the doors
then answer as for an unknown brand. Files of packs go next, then rows, those that refer to others first, the
brand's own row last. Accounts stay. Not here: who may delete rows (`delete_brand_rows` in sql/schema.sql),
and progress bars (`cli_brands`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import SYSTEM
from mintage.storage import PackStore
from mintage.telemetry import logger

if TYPE_CHECKING:
    from mintage.db.connection import Connection, Database

CLOSED_FIRST: Final = ("work_item", "api_key", "brand_host", "brand_member")
TABLES: Final = (
    *CLOSED_FIRST,
    "webhook_delivery",
    "webhook",
    "clone_signal",
    "scan_event",
    "scan_receipt",
    "unit_state",
    "mint_event",
    "payload_pack",
    "export_group",
    "serial_registry",
    "mint_unit",
    "mint_lot",
    "mint_batch",
    "mint_job",
    "product_batch",
    "product_link",
    "product_identifier",
    "product",
    "tally_delta",
    "brand_tally",
    "brand_total",
    "batch_tally",
    "brand_turn",
    "invariant_check",
)
"""In the order in which their rows go: a row before those that it refers to."""
KEPT_TABLES: Final = frozenset({"app_user", "user_session", "rate_limit"})
"""Of people, and of callers by their hash: these forget by themselves."""
ROWS_AT_ONCE: Final = 10_000
_CHUNK_TIMEOUT_S: Final = 600
_FIND: Final = query("brand_delete", "find")
_WORK_UNDER_WAY: Final = query("brand_delete", "work_under_way")
_CLOSE: Final = query("brand_delete", "close")
_END_WEBHOOKS: Final = query("brand_delete", "end_webhooks")
_BY_KEY: Final = query("brand_delete", "by_key")
_DELETE_ROWS: Final = query("brand_delete", "delete_rows")
_CUTS: Final = {
    "webhook_delivery": query("brand_delete", "cut_webhook_delivery"),
    "clone_signal": query("brand_delete", "cut_clone_signal"),
    "scan_event": query("brand_delete", "cut_scan_event"),
    "scan_receipt": query("brand_delete", "cut_scan_receipt"),
    "unit_state": query("brand_delete", "cut_unit_state"),
    "mint_event": query("brand_delete", "cut_mint_event"),
    "payload_pack": query("brand_delete", "cut_payload_pack"),
    "serial_registry": query("brand_delete", "cut_serial_registry"),
    "mint_unit": query("brand_delete", "cut_mint_unit"),
    "mint_lot": query("brand_delete", "cut_mint_lot"),
    "mint_batch": query("brand_delete", "cut_mint_batch"),
    "mint_job": query("brand_delete", "cut_mint_job"),
    "tally_delta": query("brand_delete", "cut_tally_delta"),
    "batch_tally": query("brand_delete", "cut_batch_tally"),
    "product": query("brand_delete", "cut_product"),
}
"""For tables that grow with what a brand does: where the last rows begin."""
_REMOVE: Final = query("brand_delete", "remove")
_log = logger("operations")

Told = Callable[[str, int], None]
"""Is told what is going, and how many of it went."""


class DeletionRefused(Exception):
    """Nothing was changed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went in this call: rows, and files of packs."""

    rows: int
    files: int


async def delete_brand(
    database: Database,
    store: PackStore,
    slug: str,
    *,
    may_void_running: bool = False,
    rows_at_once: int = ROWS_AT_ONCE,
    told: Told = lambda _, __: None,
) -> Deleted:
    """Remove the brand and everything of it, or go on where a call before broke off.

    Raises `DeletionRefused` for an unknown brand, and while jobs are minted unless `may_void_running`;
    `StorageFailure`, and what the driver raises: call again.
    """
    brand_id, closing_rows = await _close(database, slug, may_void_running=may_void_running)
    files = await _remove_files(store, brand_id, told)
    rows = closing_rows
    for table in TABLES:
        is_empty = False
        while not is_empty:
            async with database.transaction(
                SYSTEM.identity(brand_id), statement_timeout_s=_CHUNK_TIMEOUT_S
            ) as connection:
                deleted, is_empty = await delete_chunk(connection, brand_id, table, rows_at_once)
            rows += deleted
            told(table, deleted)
    # Again: a worker that was killed while it wrote a pack has left its file since, and once the brand's row
    # is gone no sweep looks into the folder any more.
    files += await _remove_files(store, brand_id, told)
    rows += await _remove(database, brand_id)
    _log.info("a brand was deleted", brand_id=str(brand_id), rows=rows, files=files)
    return Deleted(rows, files)


async def delete_chunk(
    connection: Connection, brand_id: UUID, table: str, rows_at_once: int
) -> tuple[int, bool]:
    """Delete the last rows of the brand, or of a table that stays small the first; whether none is left."""
    first: str | None = None
    await connection.execute(_BY_KEY)
    if table in _CUTS:
        first = await connection.fetchval(_CUTS[table], brand_id, rows_at_once - 1)
    row = await connection.fetchrow(_DELETE_ROWS, brand_id, table, first, rows_at_once)
    if row is None:
        raise RuntimeError("the function answers with one row")
    return row["deleted"], first is None and row["next_from"] is None


async def _close(database: Database, slug: str, *, may_void_running: bool) -> tuple[UUID, int]:
    """Close the brand in one transaction, if it is not closed yet; its id and how many rows went."""
    async with database.transaction(SYSTEM.identity(None)) as connection:
        brand = await connection.fetchrow(_FIND, slug)
    if brand is None:
        raise DeletionRefused(f"there is no brand {slug!r}, or no more")
    brand_id: UUID = brand["id"]
    if brand["deleting_at"] is not None:
        return brand_id, 0
    async with database.transaction(SYSTEM.identity(brand_id)) as connection:
        jobs = await connection.fetch(_WORK_UNDER_WAY, brand_id)
        if jobs and not may_void_running:
            raise DeletionRefused(
                f"{len(jobs)} jobs of the brand are queued or minting: wait for them, or give --void-running"
            )
        await connection.execute(_CLOSE, brand_id)
        await connection.execute(_END_WEBHOOKS, brand_id)
        rows = 0
        for table in CLOSED_FIRST:
            rows += await _emptied(connection, brand_id, table)
    _log.warning("a brand is closed and will be deleted", brand_id=str(brand_id), slug=slug)
    return brand_id, rows


async def _remove_files(store: PackStore, brand_id: UUID, told: Told) -> int:
    """Every file in the brand's folder, half-written ones too; how many there were."""
    files = 0
    async for paths in store.paths(str(brand_id)):
        for path in paths:
            await store.delete(path)
        files += len(paths)
        told("files", len(paths))
    return files + await store.remove_unfinished(str(brand_id), 0)


async def _remove(database: Database, brand_id: UUID) -> int:
    """What came late, from a scan that was still waiting, and then the brand's own row; how many rows."""
    async with database.transaction(
        SYSTEM.identity(brand_id), statement_timeout_s=_CHUNK_TIMEOUT_S
    ) as connection:
        rows = 0
        for table in TABLES:
            rows += await _emptied(connection, brand_id, table)
        await connection.execute(_REMOVE, brand_id)
        return rows + 1


async def _emptied(connection: Connection, brand_id: UUID, table: str) -> int:
    rows, is_empty = 0, False
    while not is_empty:
        deleted, is_empty = await delete_chunk(connection, brand_id, table, ROWS_AT_ONCE)
        rows += deleted
    return rows

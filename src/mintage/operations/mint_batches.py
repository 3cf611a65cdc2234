"""list_mint_batches and get_mint_batch_by_id.

Not here: making batches (`mint_submission`) and filling them (`mint_execution`).
"""

from __future__ import annotations

from typing import Final

import asyncpg

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments import GetMintBatchById, ListMintBatches
from mintage.operations.call import Answer, Call
from mintage.operations.listing import BEGINNING, page_answer, start_position

_NEWEST: Final = query("mint_batch", "list_newest")
_BY_STATUS: Final = query("mint_batch", "list_by_status")
_BY_PRODUCT: Final = query("mint_batch", "list_by_product")
_BY_PRODUCT_AND_STATUS: Final = query("mint_batch", "list_by_product_and_status")
_GET: Final = query("mint_batch", "get")
_LOTS: Final = query("mint_batch", "lots")
_COLUMNS: Final = (
    "id",
    "brand_id",
    "product_id",
    "product_sku",
    "product_batch_id",
    "mint_job_id",
    "identity_mode",
    "activation_mode",
    "status",
    "requested_quantity",
    "minted_quantity",
    "gtin14",
    "created_by",
    "created_by_type",
    "created_at",
    "updated_at",
    "minted_at",
)


async def list_mint_batches(call: Call, arguments: ListMintBatches) -> Answer:
    """One page of batches in `(created_at desc, id desc)` order, by status, product and time (SPEC §4)."""
    filters = {
        "status": arguments.status,
        "product": arguments.product_id,
        "from": arguments.from_,
        "to": arguments.to,
    }
    key = ListKey("list_mint_batches", call.brand_id, filters)
    start = start_position(key, arguments.cursor, arguments.to)
    common = (
        call.brand_id,
        arguments.from_ or BEGINNING,
        start.created_at,
        start.id,
        arguments.limit + 1,
    )
    if arguments.product_id is not None and arguments.status is not None:
        rows = await call.connection.fetch(
            _BY_PRODUCT_AND_STATUS, *common, arguments.product_id, arguments.status
        )
    elif arguments.product_id is not None:
        rows = await call.connection.fetch(_BY_PRODUCT, *common, arguments.product_id)
    elif arguments.status is not None:
        rows = await call.connection.fetch(_BY_STATUS, *common, arguments.status)
    else:
        rows = await call.connection.fetch(_NEWEST, *common)
    return page_answer(key, "batches", [_batch(row) for row in rows], arguments.limit)


async def get_mint_batch_by_id(call: Call, arguments: GetMintBatchById) -> Answer:
    """One batch with its product's name, its job and its lots; an unknown id is `P0002` (SPEC §4)."""
    row = await call.connection.fetchrow(_GET, call.brand_id, arguments.mint_batch_id)
    if row is None:
        raise not_found("mint batch")
    lots = await call.connection.fetch(_LOTS, call.brand_id, arguments.mint_batch_id)
    batch = _batch(row) | {
        "product_name": row["product_name"],
        "job": {
            "status": row["job_status"],
            "attempts": row["job_attempts"],
            "last_error": row["job_last_error"],
            "started_at": row["job_started_at"],
            "finished_at": row["job_finished_at"],
        },
        "lots": [_lot(lot, row["minted_quantity"]) for lot in lots],
    }
    return {"ok": True, "batch": batch}


def _batch(row: asyncpg.Record) -> dict[str, object]:
    return {("gtin" if name == "gtin14" else name): row[name] for name in _COLUMNS}


def _lot(row: asyncpg.Record, batch_minted_quantity: int) -> dict[str, object]:
    minted = min(max(batch_minted_quantity - row["first_unit_no"], 0), row["quantity"])
    return {
        "id": row["id"],
        "lot_code": row["lot_code"],
        "quantity": row["quantity"],
        "minted_quantity": minted,
        "activated_at": row["activated_at"],
    }

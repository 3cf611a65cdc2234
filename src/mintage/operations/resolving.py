"""What a scanned code names, inside one brand (RESOLVER, "Order" and its table).

Read only. What a scan changes is in `scanning`; how a code is written in a URL, and what is answered, is
the resolver's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mintage.db.connection import Connection
from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.rules.lifecycle import UnitStatus, unit_status

if TYPE_CHECKING:
    import asyncpg

_BRAND_HOST: Final = query("resolve", "brand_host")
_UNIT_BY_ID: Final = query("resolve", "unit_by_id")
_UNIT_BY_SERIAL: Final = query("resolve", "unit_by_serial")
_LOT_BY_ID: Final = query("resolve", "lot_by_id")
_LOTS_BY_CODE: Final = query("resolve", "lots_by_code")
_BATCH_BY_ID: Final = query("resolve", "batch_by_id")
_PRODUCT_BY_GTIN: Final = query("resolve", "product_by_gtin")
_PRODUCT_BY_ID: Final = query("resolve", "product_by_id")
_PRODUCT_SHOWN: Final = query("resolve", "product_shown")


@dataclass(frozen=True, slots=True)
class BrandHost:
    """A verified host and its brand. `now` is the database's clock, read with it."""

    brand_id: UUID
    brand_name: str
    base_url: str
    now: datetime


@dataclass(frozen=True, slots=True)
class UnitId:
    unit_id: UUID


@dataclass(frozen=True, slots=True)
class LotId:
    mint_lot_id: UUID


@dataclass(frozen=True, slots=True)
class BatchId:
    mint_batch_id: UUID


@dataclass(frozen=True, slots=True)
class ProductId:
    product_id: UUID


@dataclass(frozen=True, slots=True)
class GtinSerial:
    gtin14: str
    serial_number: str


@dataclass(frozen=True, slots=True)
class GtinLot:
    gtin14: str
    lot_code: str


@dataclass(frozen=True, slots=True)
class Gtin:
    gtin14: str


Key = UnitId | LotId | BatchId | ProductId | GtinSerial | GtinLot | Gtin
"""A code as it was scanned, syntactically right."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a key names.

    `status`: `minted` is what the next scan makes active; None for what has no status of its own (a
    product, a batch). Of several lots of one code, the newest that is not voided stands for all, and
    `waiting_lot_ids` are those that a scan activates.
    """

    product_id: UUID
    status: UnitStatus | None = None
    mint_batch_id: UUID | None = None
    mint_lot_id: UUID | None = None
    unit_id: UUID | None = None
    first_scanned_at: datetime | None = None
    waiting_lot_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class ProductShown:
    """What the public sees of a product. `gtin` is the active one, as it was typed."""

    product_id: UUID
    name: str
    description: str | None
    image_url: str | None
    gtin: str | None


async def find_brand_host(connection: Connection, host: str) -> BrandHost | None:
    """The brand of a verified host, by exact match (RESOLVER, "Which brand")."""
    row = await connection.fetchrow(_BRAND_HOST, host)
    if row is None:
        return None
    return BrandHost(row["brand_id"], row["brand_name"], row["base_url"], row["now"])


async def resolve(call: Call, key: Key) -> Subject | None:
    """What `key` names in the call's brand, or None: nothing of the brand, whatever the reason.

    A serial is looked for under the GTINs that its product has or had, and never falls back to the
    product. A lot counts once all its units are minted; an unknown one falls back to the GTIN's product.
    """
    match key:
        case UnitId(unit_id):
            return _unit(await call.connection.fetchrow(_UNIT_BY_ID, call.brand_id, unit_id))
        case GtinSerial(gtin14, serial_number):
            return _unit(
                await call.connection.fetchrow(
                    _UNIT_BY_SERIAL, call.brand_id, serial_number, gtin14
                )
            )
        case LotId(mint_lot_id):
            return _lot(await call.connection.fetchrow(_LOT_BY_ID, call.brand_id, mint_lot_id))
        case GtinLot(gtin14, lot_code):
            row = await call.connection.fetchrow(_LOTS_BY_CODE, call.brand_id, gtin14, lot_code)
            return _lot(row) if row is not None else await resolve(call, Gtin(gtin14))
        case BatchId(mint_batch_id):
            return _batch(
                await call.connection.fetchrow(_BATCH_BY_ID, call.brand_id, mint_batch_id)
            )
        case Gtin(gtin14):
            return _product(await call.connection.fetchrow(_PRODUCT_BY_GTIN, call.brand_id, gtin14))
        case ProductId(product_id):
            return _product(
                await call.connection.fetchrow(_PRODUCT_BY_ID, call.brand_id, product_id)
            )


async def find_product_shown(call: Call, product_id: UUID) -> ProductShown | None:
    """What the public sees of a product of the call's brand, or None."""
    row = await call.connection.fetchrow(_PRODUCT_SHOWN, call.brand_id, product_id)
    if row is None:
        return None
    return ProductShown(
        row["product_id"], row["name"], row["description"], row["image_url"], row["gtin"]
    )


def _unit(row: asyncpg.Record | None) -> Subject | None:
    if row is None:
        return None
    status = unit_status(
        batch_is_voided=row["batch_is_voided"],
        is_revoked=row["revoked_at"] is not None,
        activation_mode=row["activation_mode"],
        is_activated=row["activated_at"] is not None,
        lot_is_activated=row["lot_activated_at"] is not None,
    )
    # Scans are folded a moment after they happen; the activation was written at the first one.
    seen = [
        moment for moment in (row["first_scanned_at"], row["activated_at"]) if moment is not None
    ]
    return Subject(
        product_id=row["product_id"],
        status=status,
        mint_batch_id=row["mint_batch_id"],
        mint_lot_id=row["mint_lot_id"],
        unit_id=row["unit_id"],
        first_scanned_at=min(seen, default=None),
    )


def _lot(row: asyncpg.Record | None) -> Subject | None:
    if row is None:
        return None
    waiting = tuple(row["waiting_lot_ids"])
    status: UnitStatus = "minted" if waiting else "active"
    return Subject(
        product_id=row["product_id"],
        status="revoked" if row["batch_is_voided"] else status,
        mint_batch_id=row["mint_batch_id"],
        mint_lot_id=row["mint_lot_id"],
        waiting_lot_ids=waiting,
    )


def _batch(row: asyncpg.Record | None) -> Subject | None:
    if row is None:
        return None
    return Subject(
        product_id=row["product_id"],
        status="revoked" if row["batch_is_voided"] else None,
        mint_batch_id=row["mint_batch_id"],
    )


def _product(row: asyncpg.Record | None) -> Subject | None:
    return None if row is None else Subject(product_id=row["product_id"])

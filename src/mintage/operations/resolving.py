"""What scanned codes name, inside one brand (RESOLVER, "Order" and its table).

Read only, and many keys at once: the database's function `resolve` sets the brand and looks for them all.
What a scan changes is in `scanning`; how a code is written in a URL, and what is answered, is the
resolver's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from mintage.db.connection import Connection
from mintage.db.joined import joined
from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.rules.lifecycle import UnitStatus, unit_status

if TYPE_CHECKING:
    import asyncpg

KEYS_MAX: Final = 500
"""As many keys as one statement looks for."""

_AT_HOST: Final = query("resolve", "at_host")
_IN_BRAND: Final = query("resolve", "in_brand")
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
class Link:
    """A stored link of a product; `link_type` as in `gs1:pip`."""

    link_type: str
    href: str
    title: str
    hreflang: str | None
    media_type: str | None
    is_default: bool
    context: str | None = None


class Subject(NamedTuple):
    """What a key names.

    `status`: `minted` is what the next scan makes active; None for what has no status of its own (a
    product, a batch). Of several lots of one code, the newest that is not voided stands for all, and
    `waiting_lot_ids` are those that a scan activates. `links` are the product's.
    """

    product_id: UUID
    status: UnitStatus | None = None
    mint_batch_id: UUID | None = None
    mint_lot_id: UUID | None = None
    unit_id: UUID | None = None
    first_scanned_at: datetime | None = None
    waiting_lot_ids: tuple[UUID, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class AtHost:
    """A host, and what each key names there: subjects in the order of the keys."""

    host: BrandHost
    subjects: tuple[Subject | None, ...]


@dataclass(frozen=True, slots=True)
class ProductShown:
    """What the public sees of a product. `gtin` is the active one, as it was typed."""

    product_id: UUID
    name: str
    description: str | None
    image_url: str | None
    gtin: str | None


async def resolve_at_host(connection: Connection, host: str, keys: Sequence[Key]) -> AtHost | None:
    """What each of `keys` names in the brand of a verified host, by exact match; None for another host.

    At most `KEYS_MAX` keys; without any only the host is looked up. Needs a transaction as the
    resolver's role and no brand: the statement finds it (RESOLVER, "Which brand").
    """
    kinds, ids, gtins, texts = _columns_of(keys)
    rows = await connection.fetch(_AT_HOST, host, joined(kinds), ids, joined(gtins), joined(texts))
    if not rows:
        return None
    first = next(row for row in rows if row["brand_id"] is not None)
    brand_host = BrandHost(first["brand_id"], first["brand_name"], first["base_url"], first["now"])
    return AtHost(brand_host, _subjects(rows, len(keys)))


async def resolve(call: Call, key: Key) -> Subject | None:
    """What `key` names in the call's brand, or None: nothing of the brand, whatever the reason.

    A serial is looked for under the GTINs that its product has or had, and never falls back to the
    product. A lot counts once all its units are minted; an unknown one falls back to the GTIN's product.
    """
    rows = await call.connection.fetch(_IN_BRAND, call.brand_id, *_columns_of([key]))
    return _subjects(rows, 1)[0]


async def find_product_shown(call: Call, product_id: UUID) -> ProductShown | None:
    """What the public sees of a product of the call's brand, or None."""
    row = await call.connection.fetchrow(_PRODUCT_SHOWN, call.brand_id, product_id)
    if row is None:
        return None
    return ProductShown(
        row["product_id"], row["name"], row["description"], row["image_url"], row["gtin"]
    )


_Column = tuple[list[str], list[UUID | None], list[str | None], list[str | None]]


def _columns_of(keys: Sequence[Key]) -> _Column:
    """The keys as the function's arrays: kind, id, GTIN, and serial or lot code."""
    if len(keys) > KEYS_MAX:
        raise ValueError(f"at most {KEYS_MAX} keys at once")
    kinds: list[str] = []
    ids: list[UUID | None] = []
    gtins: list[str | None] = []
    texts: list[str | None] = []
    for key in keys:
        kind, id_, gtin14, text = _row_of(key)
        kinds.append(kind)
        ids.append(id_)
        gtins.append(gtin14)
        texts.append(text)
    # Without any id no column: the function's `unnest` fills up with nulls, which cost more to send.
    return kinds, ids if any(ids) else [], gtins, texts


def _row_of(key: Key) -> tuple[str, UUID | None, str | None, str | None]:
    match key:
        case GtinSerial(gtin14, serial_number):
            return "serial", None, gtin14, serial_number
        case UnitId(unit_id):
            return "unit", unit_id, None, None
        case LotId(mint_lot_id):
            return "lot", mint_lot_id, None, None
        case GtinLot(gtin14, lot_code):
            return "lot_code", None, gtin14, lot_code
        case Gtin(gtin14):
            return "gtin", None, gtin14, None
        case BatchId(mint_batch_id):
            return "batch", mint_batch_id, None, None
        case ProductId(product_id):
            return "product", product_id, None, None


def _subjects(rows: Sequence[asyncpg.Record], count: int) -> tuple[Subject | None, ...]:
    found: list[Subject | None] = [None] * count
    for row in rows:
        key_no = row["key_no"]
        if key_no is not None:
            found[key_no - 1] = _subject(row)
    return tuple(found)


def _subject(row: asyncpg.Record) -> Subject:
    links = row["links"]
    first_scanned_at, activated_at = row["first_scanned_at"], row["activated_at"]
    if first_scanned_at is None or (activated_at is not None and activated_at < first_scanned_at):
        # Scans are folded a moment after they happen; the activation was written at the first one.
        first_scanned_at = activated_at
    waiting = row["waiting_lot_ids"]
    return Subject(
        row["product_id"],
        _status(row),
        row["mint_batch_id"],
        row["mint_lot_id"],
        row["unit_id"],
        first_scanned_at,
        tuple(waiting) if waiting else (),
        tuple(Link(*link) for link in links) if links else (),
    )


def _status(row: asyncpg.Record) -> UnitStatus | None:
    if row["unit_id"] is not None:
        return unit_status(
            batch_is_voided=row["batch_is_voided"],
            is_revoked=row["revoked_at"] is not None,
            activation_mode=row["activation_mode"],
            is_activated=row["activated_at"] is not None,
            lot_is_activated=row["lot_activated_at"] is not None,
        )
    if row["batch_is_voided"]:
        return "revoked"
    if row["mint_lot_id"] is None:
        return None
    return "minted" if row["waiting_lot_ids"] else "active"

"""The units of one slice of a batch as rows for a pack: read in one query, status and URL decided here.

Not here: `list_mint_units` (`mint_units`), which pages and filters; what a file looks like (`packs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.operations.resolver_urls import brand_base_url, resolver_url
from mintage.packs.rows import UnitRow
from mintage.rules.lifecycle import ActivationMode, IdentityMode, UnitStatus, unit_status
from mintage.rules.unit_ids import unit_id_bounds

_OF_SLICE: Final = query("unit_row", "of_slice")
_LOTS: Final = query("mint_batch", "lots")


class SliceIncomplete(Exception):
    """The table does not hold exactly the units that the slice has."""


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What all units of a batch have in common."""

    mint_batch_id: UUID
    unit_id_low: UUID
    requested_quantity: int
    gtin14: str | None
    identity_mode: IdentityMode
    activation_mode: ActivationMode
    is_voided: bool


@dataclass(frozen=True, slots=True)
class Lot:
    """A contiguous range of `quantity` units from `first_unit_no` on."""

    lot_id: UUID
    lot_code: str
    first_unit_no: int
    quantity: int
    is_activated: bool


async def read_unit_rows(
    call: Call, batch: BatchFacts, first_unit_no: int, unit_count: int
) -> list[UnitRow]:
    """Units `first_unit_no` … `first_unit_no + unit_count − 1` of `batch`, in that order.

    Raises `SliceIncomplete` unless each of them is there exactly once.
    """
    low, high = unit_id_bounds(
        batch.unit_id_low, batch.requested_quantity, first_unit_no, unit_count
    )
    base_url = await brand_base_url(call)
    lots = await read_lots(call, batch)
    records = await call.connection.fetch(_OF_SLICE, call.brand_id, batch.mint_batch_id, low, high)
    if [record[1] for record in records] != [*range(first_unit_no, first_unit_no + unit_count)]:
        raise SliceIncomplete(f"{len(records)} units found where {unit_count} are due")
    rows: list[UnitRow] = []
    parts: list[Lot | None] = [*lots] or [None]
    for lot in parts:
        rows += _rows(batch, base_url, lot, _part_of(records, first_unit_no, lot))
    if len(rows) != unit_count:
        raise SliceIncomplete(f"lots hold {len(rows)} units where {unit_count} are due")
    return rows


def status_of(
    batch: BatchFacts, lot: Lot | None, *, is_revoked: bool = False, is_activated: bool = False
) -> UnitStatus:
    """The status of a unit of `batch`; of one that was never touched unless told otherwise."""
    return unit_status(
        batch_is_voided=batch.is_voided,
        activation_mode=batch.activation_mode,
        lot_is_activated=lot is not None and lot.is_activated,
        is_revoked=is_revoked,
        is_activated=is_activated,
    )


async def read_lots(call: Call, batch: BatchFacts) -> list[Lot]:
    """The lots of a batch in the order of their units; none in serial mode."""
    if batch.identity_mode == "serial":
        return []
    records = await call.connection.fetch(_LOTS, call.brand_id, batch.mint_batch_id)
    lots = [
        Lot(
            lot_id=record["id"],
            lot_code=record["lot_code"],
            first_unit_no=record["first_unit_no"],
            quantity=record["quantity"],
            is_activated=record["activated_at"] is not None,
        )
        for record in records
    ]
    return sorted(lots, key=lambda lot: lot.first_unit_no)


def _part_of(
    records: Sequence[asyncpg.Record], first_unit_no: int, lot: Lot | None
) -> Sequence[asyncpg.Record]:
    """The records of one lot; all of them where there are no lots."""
    if lot is None:
        return records
    start = lot.first_unit_no - first_unit_no
    return records[max(start, 0) : max(start + lot.quantity, 0)]


def _rows(
    batch: BatchFacts, base_url: str, lot: Lot | None, records: Sequence[asyncpg.Record]
) -> Iterator[UnitRow]:
    lot_code, lot_id = (lot.lot_code, lot.lot_id) if lot is not None else (None, None)
    # Few units are touched: the status of all others is worked out once.
    untouched = status_of(batch, lot)
    for unit_id, unit_no, serial_number, created_at, activated_at, revoked_at in records:
        url = resolver_url(base_url, batch.gtin14, unit_id, serial_number, lot_code, lot_id)
        is_untouched = activated_at is None and revoked_at is None
        yield UnitRow(
            unit_id,
            unit_no,
            url,
            serial_number,
            batch.gtin14,
            untouched
            if is_untouched
            else status_of(
                batch, lot, is_revoked=revoked_at is not None, is_activated=activated_at is not None
            ),
            created_at,
            lot_code,
        )

"""The units of one slice of a batch as rows for a pack: read in one query, status and URL decided here.

Not here: `list_mint_units` (`mint_units`), which pages and filters; what a file looks like (`packs`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.operations.resolver_urls import brand_base_url, resolver_url
from mintage.packs.rows import UnitRow
from mintage.rules.lifecycle import ActivationMode, unit_status
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
    activation_mode: ActivationMode
    is_voided: bool


@dataclass(frozen=True, slots=True)
class Lot:
    """A contiguous range of units from `first_unit_no` on."""

    lot_id: UUID
    lot_code: str
    first_unit_no: int
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
    lots = await _read_lots(call, batch.mint_batch_id)
    records = await call.connection.fetch(_OF_SLICE, call.brand_id, batch.mint_batch_id, low, high)
    rows = [
        _row(batch, base_url, _lot_of(lots, unit_no), unit_id, unit_no, *rest)
        for unit_id, unit_no, *rest in records
    ]
    if [row.unit_no for row in rows] != list(range(first_unit_no, first_unit_no + unit_count)):
        raise SliceIncomplete(f"{len(rows)} units found where {unit_count} are due")
    return rows


async def _read_lots(call: Call, mint_batch_id: UUID) -> list[Lot]:
    records = await call.connection.fetch(_LOTS, call.brand_id, mint_batch_id)
    return [
        Lot(
            record["id"],
            record["lot_code"],
            record["first_unit_no"],
            record["activated_at"] is not None,
        )
        for record in sorted(records, key=lambda record: record["first_unit_no"])
    ]


def _lot_of(lots: Sequence[Lot], unit_no: int) -> Lot | None:
    place = bisect_right(lots, unit_no, key=lambda lot: lot.first_unit_no)
    return lots[place - 1] if place else None


def _row(  # noqa: PLR0917 - the columns of one record, in its order
    batch: BatchFacts,
    base_url: str,
    lot: Lot | None,
    unit_id: UUID,
    unit_no: int,
    serial_number: str | None,
    created_at: datetime,
    activated_at: datetime | None,
    revoked_at: datetime | None,
) -> UnitRow:
    return UnitRow(
        unit_id=unit_id,
        unit_no=unit_no,
        resolver_url=resolver_url(
            base_url,
            batch.gtin14,
            unit_id,
            serial_number,
            lot.lot_code if lot else None,
            lot.lot_id if lot else None,
        ),
        serial_number=serial_number,
        gtin=batch.gtin14,
        status=unit_status(
            batch_is_voided=batch.is_voided,
            is_revoked=revoked_at is not None,
            activation_mode=batch.activation_mode,
            is_activated=activated_at is not None,
            lot_is_activated=lot is not None and lot.is_activated,
        ),
        created_at=created_at,
    )

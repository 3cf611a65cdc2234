"""The units of one slice of a batch for a pack: read by columns, status and URL decided here.

Not here: `list_mint_units` (`mint_units`), which pages and filters; what a file looks like (`packs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import numpy as np

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.operations.resolver_urls import resolver_url, settled_base_url
from mintage.packs.columns import UnitColumns, UrlEnd
from mintage.rules.lifecycle import ActivationMode, IdentityMode, UnitStatus, unit_status
from mintage.rules.unit_ids import unit_id_bounds, unit_nos_of
from mintage.rules.violation import RuleViolation

_OF_UNTOUCHED_SLICE: Final = query("unit_row", "of_untouched_slice")
_OF_SLICE: Final = query("unit_row", "of_slice")
_LOTS: Final = query("mint_batch", "lots")
_ANY_ID: Final = UUID(int=0)


class SliceIncomplete(Exception):
    """The table does not hold exactly the units that the slice has."""


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What all units of a batch have in common. `base_url` is of the brand's primary host, if it has one."""

    mint_batch_id: UUID
    unit_id_low: UUID
    requested_quantity: int
    gtin14: str | None
    identity_mode: IdentityMode
    activation_mode: ActivationMode
    is_voided: bool
    base_url: str | None


@dataclass(frozen=True, slots=True)
class Lot:
    """A contiguous range of `quantity` units from `first_unit_no` on."""

    lot_id: UUID
    lot_code: str
    first_unit_no: int
    quantity: int
    is_activated: bool


async def read_unit_columns(
    call: Call, batch: BatchFacts, first_unit_no: int, unit_count: int
) -> list[UnitColumns]:
    """Units `first_unit_no` … `first_unit_no + unit_count − 1` of `batch`, in that order.

    Raises `SliceIncomplete` unless each of them is there exactly once.
    """
    base_url = settled_base_url(batch.base_url)
    lots = await _read_lots(call, batch)
    end = first_unit_no + unit_count
    columns: list[UnitColumns] = []
    parts: list[Lot | None] = [*lots] or [None]
    for lot in parts:
        start, stop = first_unit_no, end
        if lot is not None:
            start = max(start, lot.first_unit_no)
            stop = min(stop, lot.first_unit_no + lot.quantity)
        if start >= stop:
            continue
        records = await _read_slice(call, batch, start, stop - start)
        _require_each_once(batch, records, start, stop)
        columns += [_part(batch, base_url, lot, record) for record in records]
    found = sum(part.count for part in columns)
    if found != unit_count:
        raise SliceIncomplete(f"{found} units are in a lot where {unit_count} are due")
    return columns


async def _read_slice(
    call: Call, batch: BatchFacts, first_unit_no: int, unit_count: int
) -> list[asyncpg.Record]:
    """The rows of `of_slice`, in the order of their units."""
    bounds = unit_id_bounds(batch.unit_id_low, batch.requested_quantity, first_unit_no, unit_count)
    key = (call.brand_id, batch.mint_batch_id, *bounds)
    whole = await call.connection.fetchrow(_OF_UNTOUCHED_SLICE, *key)
    if whole is None or whole["ids"] is None:
        return []
    if not whole["is_touched"] and whole["created_at"] == whole["last_created_at"]:
        return [whole]
    records = await call.connection.fetch(_OF_SLICE, *key)
    return sorted(records, key=lambda each: each["first_unit_no"])


def _require_each_once(
    batch: BatchFacts, records: list[asyncpg.Record], start: int, stop: int
) -> None:
    """Raises `SliceIncomplete` unless the ids are those of units `start` … `stop` − 1, in their order, and
    the rows bear such numbers."""
    ids = b"".join(record["ids"] for record in records)
    try:
        found = unit_nos_of(batch.unit_id_low, batch.requested_quantity, ids)
    except RuleViolation as violation:
        raise SliceIncomplete("a unit has an id that its batch cannot have") from violation
    if not np.array_equal(found, np.arange(start, stop, dtype=np.uint64)):
        raise SliceIncomplete(f"{len(found)} units found where {stop - start} are due")
    next_no = start
    for record in records:
        last_no = next_no + len(record["ids"]) // 16 - 1
        if (record["first_unit_no"], record["last_unit_no"]) != (next_no, last_no):
            raise SliceIncomplete("a unit bears a number that is not its own")
        next_no = last_no + 1


def _untouched_status(batch: BatchFacts, lot: Lot | None) -> UnitStatus:
    return unit_status(
        batch_is_voided=batch.is_voided,
        activation_mode=batch.activation_mode,
        lot_is_activated=lot is not None and lot.is_activated,
        is_revoked=False,
        is_activated=False,
    )


async def _read_lots(call: Call, batch: BatchFacts) -> list[Lot]:
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


def _part(batch: BatchFacts, base_url: str, lot: Lot | None, record: asyncpg.Record) -> UnitColumns:
    first = record["first_unit_no"]
    url_start, url_ends_in = _url(batch, base_url, lot)
    return UnitColumns(
        first_unit_no=first,
        count=len(record["ids"]) // 16,
        ids=record["ids"],
        serials=record["serials"],
        activated=frozenset(number - first for number in record.get("activated") or ()),
        revoked=frozenset(number - first for number in record.get("revoked") or ()),
        untouched_status=_untouched_status(batch, lot),
        url_start=url_start,
        url_ends_in=url_ends_in,
        gtin=batch.gtin14,
        lot_code=lot.lot_code if lot is not None else None,
        created_at=record["created_at"],
    )


def _url(batch: BatchFacts, base_url: str, lot: Lot | None) -> tuple[str, UrlEnd]:
    """The URL up to its last segment, and what that is."""
    if lot is not None:
        url = resolver_url(base_url, batch.gtin14, _ANY_ID, None, lot.lot_code, lot.lot_id)
        return url, "nothing"
    url = resolver_url(base_url, batch.gtin14, _ANY_ID, "0", None, None)
    if batch.gtin14 is None:
        return url.removesuffix(str(_ANY_ID)), "id"
    return url.removesuffix("0"), "serial"

"""list_mint_units: the units of a brand, a batch or a lot, newest batch first.

A batch's and a lot's units are one range of ids each (DATA-MODEL, "Unit ids"), so every form of the list is
one range read of the primary key. Not here: making units (`mint_execution`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from pydantic import Field

from mintage.db.paging import ListKey, encode_cursor
from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input, not_found
from mintage.operations.arguments import BrandArguments, ListMintUnits, Uuid
from mintage.operations.call import Answer, Call
from mintage.operations.listing import HIGHEST_ID, LOWEST_ID, start_id
from mintage.operations.resolver_urls import brand_base_url, resolver_url
from mintage.rules.unit_ids import unit_id_bounds, unit_id_high

_RANGE_OF_BATCH: Final = query("mint_unit", "range_of_batch")
_RANGE_OF_LOT: Final = query("mint_unit", "range_of_lot")
_LOWEST_OF_THE_NEXT: Final = query("mint_unit", "lowest_of_the_next")
_LIST: Final = query("mint_unit", "list")
_COLUMNS: Final = (
    "id",
    "mint_batch_id",
    "mint_lot_id",
    "lot_code",
    "unit_no",
    "product_id",
    "product_sku",
    "gtin",
    "serial_number",
    "status",
    "activation_mode",
    "resolver_url",
    "activated_at",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class _Range:
    """Ids from `lowest` (inclusive) to `end` (exclusive)."""

    lowest: UUID
    end: UUID

    def below(self, identifier: UUID) -> _Range:
        return _Range(self.lowest, min(self.end, identifier))


async def list_mint_units(call: Call, arguments: ListMintUnits) -> Answer:
    """One page of units in `id desc` order (SPEC §4).

    With `_status`, which needs a batch or a lot, a call looks at 20,000 units at most: a short page with
    `has_more: true` is right then.
    """
    if arguments.status is not None and not (arguments.mint_batch_id or arguments.mint_lot_id):
        problem = "is given without a batch or lot"
        hint = "give _mint_batch_id or _mint_lot_id with it, or leave it out"
        raise invalid_input([ArgumentProblem("_status", problem, hint)])
    filters = {
        "batch": arguments.mint_batch_id,
        "lot": arguments.mint_lot_id,
        "status": arguments.status,
    }
    key = ListKey("list_mint_units", call.brand_id, filters)
    after = start_id(key, arguments.cursor)
    found = await _range(call, arguments)
    if found is None:
        return _page([], None)
    looked_at = found.below(after)
    stopped_at = None
    if arguments.status is not None:
        stopped_at = await call.connection.fetchval(
            _LOWEST_OF_THE_NEXT,
            call.brand_id,
            looked_at.lowest,
            looked_at.end,
            call.limits.status_filter_rows_max,
        )
        if stopped_at is not None:
            looked_at = _Range(stopped_at, looked_at.end)
    rows = await call.connection.fetch(
        _LIST,
        call.brand_id,
        looked_at.lowest,
        looked_at.end,
        arguments.limit + 1,
        arguments.status,
    )
    base_url = await brand_base_url(call)
    shown = [_unit(row, base_url) for row in rows[: arguments.limit]]
    if len(rows) > arguments.limit:
        return _page(shown, encode_cursor(key, [str(shown[-1]["id"])]))
    return _page(shown, encode_cursor(key, [str(stopped_at)]) if stopped_at is not None else None)


class FindMintUnit(BrandArguments):
    unit_id: Annotated[Uuid, Field(description="the UUID of a mint unit")]


async def find_mint_unit(call: Call, arguments: FindMintUnit) -> Answer:
    """One unit as the list shows it: `{ok, unit}`; an unknown id is `P0002`."""
    lowest = arguments.unit_id
    rows = await call.connection.fetch(_LIST, call.brand_id, lowest, _next(lowest), 1, None)
    if not rows:
        raise not_found("mint unit")
    return {"ok": True, "unit": _unit(rows[0], await brand_base_url(call))}


async def _range(call: Call, arguments: ListMintUnits) -> _Range | None:
    """The ids to look at; None where a filter fits nothing of this brand."""
    if arguments.mint_lot_id is not None:
        lot = await call.connection.fetchrow(_RANGE_OF_LOT, call.brand_id, arguments.mint_lot_id)
        if lot is None or arguments.mint_batch_id not in {None, lot["mint_batch_id"]}:
            return None
        lowest, highest = unit_id_bounds(
            lot["unit_id_low"], lot["requested_quantity"], lot["first_unit_no"], lot["quantity"]
        )
        return _Range(lowest, _next(highest))
    if arguments.mint_batch_id is not None:
        batch = await call.connection.fetchrow(
            _RANGE_OF_BATCH, call.brand_id, arguments.mint_batch_id
        )
        if batch is None:
            return None
        return _Range(batch["unit_id_low"], _next(unit_id_high(batch["unit_id_low"])))
    return _Range(LOWEST_ID, HIGHEST_ID)


def _next(identifier: UUID) -> UUID:
    """The id above; the highest there is has none, and is no unit's."""
    return UUID(int=min(identifier.int + 1, HIGHEST_ID.int))


def _unit(row: asyncpg.Record, base_url: str) -> dict[str, object]:
    url = resolver_url(
        base_url, row["gtin"], row["id"], row["serial_number"], row["lot_code"], row["mint_lot_id"]
    )
    return {name: (url if name == "resolver_url" else row[name]) for name in _COLUMNS}


def _page(shown: list[dict[str, object]], cursor: str | None) -> Answer:
    return {"ok": True, "units": shown, "has_more": cursor is not None, "next_cursor": cursor}

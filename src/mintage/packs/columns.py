"""Units by columns: how a slice travels from the database, into another process, and into a file.

A slice of 10,000 units is some hundred thousand bytes in four values, made and passed on in a
millisecond; `rows_of` makes the rows that formats write. Not here: reading the slice from the database
(`operations.unit_rows`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from mintage.packs.rows import UnitRow
from mintage.rules.gs1 import percent_encode
from mintage.rules.lifecycle import UnitStatus

UrlEnd = Literal["nothing", "id", "serial"]
_ID_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class UnitColumns:
    """`count` consecutive units that were made at one time and lie in one lot, or in none.

    `ids` has 16 octets for each, `serials` a line each, or None where there are none. `activated` and
    `revoked` are the places (from 0) of units that scans or people have touched; all others have
    `untouched_status`. A unit's URL is `url_start` and what `url_ends_in` names, percent-encoded.
    """

    first_unit_no: int
    count: int
    ids: bytes
    serials: str | None
    activated: frozenset[int]
    revoked: frozenset[int]
    untouched_status: UnitStatus
    url_start: str
    url_ends_in: UrlEnd
    gtin: str | None
    lot_code: str | None
    created_at: datetime

    @property
    def are_untouched(self) -> bool:
        """True if all have the same status."""
        return not (self.activated or self.revoked)


def rows_of(columns: list[UnitColumns]) -> Iterator[UnitRow]:
    """The units as rows, in their order."""
    for part in columns:
        yield from _rows(part)


def _rows(part: UnitColumns) -> Iterator[UnitRow]:
    serials = part.serials.split("\n") if part.serials is not None else [None] * part.count
    statuses: list[UnitStatus] = [part.untouched_status] * part.count
    for place in part.activated:
        statuses[place] = "active"
    for place in part.revoked:
        statuses[place] = "revoked"
    for place, (serial, status) in enumerate(zip(serials, statuses, strict=True)):
        unit_id = UUID(bytes=part.ids[place * _ID_OCTETS : (place + 1) * _ID_OCTETS])
        url = part.url_start
        if part.url_ends_in == "id":
            url += str(unit_id)
        elif part.url_ends_in == "serial":
            url += percent_encode(serial or "")
        yield UnitRow(
            unit_id,
            part.first_unit_no + place,
            url,
            serial,
            part.gtin,
            status,
            part.created_at,
            part.lot_code,
        )

"""The `csv` format: one line per unit, for machines (SPEC §7; RFC 4180).

UTF-8, CRLF, a header, every field quoted, empty for null; a print profile may ask for another form.
Values are never altered: serials and lot codes that a spreadsheet would read as a formula are refused
when they are brought (SECURITY).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from mintage.packs.context import PackContext
from mintage.packs.rows import UnitRow
from mintage.packs.tables import table, utc_text

COLUMNS: Final = ("unit_id", "resolver_url", "serial_number", "gtin", "status", "created_at")


def write_csv(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """The file of `rows`, in chunks of some 300 KB: the header first, then a line per unit."""
    return table(COLUMNS, fields_of(rows), context.profile)


def fields_of(rows: Iterable[UnitRow]) -> Iterator[tuple[str, ...]]:
    """The values of each row in the order of `COLUMNS`."""
    # Units of one cycle have one time, so it is written out once for all of them.
    moment: datetime | None = None
    created_at = ""
    for row in rows:
        if row.created_at != moment:
            moment = row.created_at
            created_at = utc_text(moment)
        yield (
            str(row.unit_id),
            row.resolver_url,
            row.serial_number or "",
            row.gtin or "",
            row.status,
            created_at,
        )

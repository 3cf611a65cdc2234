"""The `csv` format: one line per unit, for machines (SPEC §7; RFC 4180).

UTF-8, CRLF, a header, every field quoted, empty for null. Values are never altered: serials and lot
codes that a spreadsheet would read as a formula are refused when they are brought (SECURITY).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from mintage.packs.rows import UnitRow

HEADER: Final = b'"unit_id","resolver_url","serial_number","gtin","status","created_at"\r\n'
_LINES_A_CHUNK: Final = 2000


def write_csv(rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """The file of `rows`, in chunks of some 300 KB: the header first, then a line per unit."""
    yield HEADER
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _LINES_A_CHUNK)):
        yield "".join(_lines(chunk)).encode("utf-8")


def _lines(rows: list[UnitRow]) -> Iterator[str]:
    # Units of one cycle have one time, so it is written out once for all of them.
    moment: datetime | None = None
    created_at = ""
    for row in rows:
        if row.created_at != moment:
            moment = row.created_at
            created_at = _utc_text(moment)
        serial = row.serial_number or ""
        if '"' in serial:
            serial = serial.replace('"', '""')
        yield (
            f'"{row.unit_id}","{row.resolver_url}","{serial}","{row.gtin or ""}",'
            f'"{row.status}","{created_at}"\r\n'
        )


def _utc_text(moment: datetime) -> str:
    """`moment` as the API writes times (SPEC §2): UTC with microseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"

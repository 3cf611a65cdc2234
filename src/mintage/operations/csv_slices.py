"""A csv slice by columns: the bytes of `packs.csv_pack`, without an object per unit.

The database sends ids, serials and touched units of a slice as four values. Where all lines are of one
length (generated serials, or a lot; no unit touched) they are put together as one array of bytes, as
the buffers of minting are; otherwise as text, a line at a time. Not here: the forms in which fields
are quoted where needed only, which `packs.csv_pack` writes from rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.operations.resolver_urls import brand_base_url, resolver_url
from mintage.operations.unit_rows import BatchFacts, Lot, SliceIncomplete, read_lots, status_of
from mintage.packs.csv_pack import COLUMNS
from mintage.packs.print_profiles import PrintProfile
from mintage.packs.tables import PLAIN, encoded, header, utc_text
from mintage.rules.gs1 import percent_encode
from mintage.rules.unit_ids import unit_id_bounds

CSV: Final = "csv"
UrlEnd = Literal["nothing", "id", "serial"]
_COLUMNS_OF_SLICE: Final = query("unit_row", "columns_of_slice")
_ANY_ID: Final = UUID(int=0)
# PostgreSQL's binary form of an integer array: a head of 20 octets, then length and value of each.
_ARRAY_HEAD_OCTETS: Final = 20
_LINES_A_BLOCK: Final = 1000
_ID_GROUPS: Final = (8, 4, 4, 4, 12)


@dataclass(frozen=True, slots=True)
class UnitColumns:
    """Consecutive units that were made at one time and lie in one lot, or in none.

    `ids` has 16 octets for each, `serials` one line each or None. `activated` and `revoked` are places
    (from 0) of the units that scans or people have touched. A URL ends in what `url_ends_in` names.
    """

    count: int
    ids: bytes
    serials: str | None
    activated: frozenset[int]
    revoked: frozenset[int]
    untouched_status: str
    url_start: str
    url_ends_in: UrlEnd
    gtin: str
    created_at: datetime


def has_columns(profile: PrintProfile | None) -> bool:
    """Whether `csv_file` can write what `profile` asks for: every field is quoted."""
    return (profile or PLAIN).quoting == "all"


async def read_unit_columns(
    call: Call, batch: BatchFacts, first_unit_no: int, unit_count: int
) -> list[UnitColumns]:
    """Units `first_unit_no` … `first_unit_no + unit_count − 1` of `batch`, in that order.

    Raises `SliceIncomplete` unless each of them is there exactly once.
    """
    base_url = await brand_base_url(call)
    lots = await read_lots(call, batch)
    end = first_unit_no + unit_count
    columns: list[UnitColumns] = []
    numbers: list[NDArray[np.int32]] = []
    parts: list[Lot | None] = [*lots] or [None]
    for lot in parts:
        start, stop = first_unit_no, end
        if lot is not None:
            start = max(start, lot.first_unit_no)
            stop = min(stop, lot.first_unit_no + lot.quantity)
        if start >= stop:
            continue
        bounds = unit_id_bounds(batch.unit_id_low, batch.requested_quantity, start, stop - start)
        records = await call.connection.fetch(
            _COLUMNS_OF_SLICE, call.brand_id, batch.mint_batch_id, *bounds
        )
        for record in sorted(records, key=lambda each: each["first_unit_no"]):
            numbers.append(_integers(record["unit_nos"]))
            columns.append(_columns(batch, base_url, lot, record))
    found = np.concatenate(numbers) if numbers else np.empty(0, np.int32)
    if not np.array_equal(found, np.arange(first_unit_no, end)):
        raise SliceIncomplete(f"{len(found)} units found where {unit_count} are due")
    return columns


def csv_file(columns: list[UnitColumns], profile: PrintProfile | None) -> Iterator[bytes]:
    """The file of a slice: the header, then the lines of each time and lot."""
    form = profile or PLAIN
    yield from encoded(form, [header(COLUMNS, form)])
    for part in columns:
        serials = None if part.activated or part.revoked else _serials_in_columns(part)
        if serials is None:
            yield _lines_of_any_length(part, form)
        else:
            yield from _lines_of_one_length(part, serials, form)


def _columns(
    batch: BatchFacts, base_url: str, lot: Lot | None, record: asyncpg.Record
) -> UnitColumns:
    first = record["first_unit_no"]
    url_start, url_ends_in = _url(batch, base_url, lot)
    return UnitColumns(
        count=len(record["ids"]) // 16,
        ids=record["ids"],
        serials=record["serials"],
        activated=frozenset(number - first for number in record["activated"] or ()),
        revoked=frozenset(number - first for number in record["revoked"] or ()),
        untouched_status=status_of(batch, lot),
        url_start=url_start,
        url_ends_in=url_ends_in,
        gtin=batch.gtin14 or "",
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


def _integers(array: bytes) -> NDArray[np.int32]:
    pairs = np.frombuffer(array, ">i4", offset=_ARRAY_HEAD_OCTETS)
    return pairs[1::2].astype(np.int32)


def _serials_in_columns(part: UnitColumns) -> NDArray[np.uint8] | None:
    """The serials, a line of the array each; None unless all are of one length, letters and digits."""
    if part.serials is None:
        return np.empty((part.count, 0), np.uint8)
    octets = f"{part.serials}\n".encode()
    if len(octets) % part.count or not octets.replace(b"\n", b"").isalnum():
        return None
    lines = np.frombuffer(octets, np.uint8).reshape(part.count, -1)
    return lines[:, :-1] if (lines[:, -1] == ord("\n")).all() else None


def _lines_of_one_length(
    part: UnitColumns, serials: NDArray[np.uint8], form: PrintProfile
) -> Iterator[bytes]:
    ids = _id_texts(part)
    between, end = _between(form), _line_end(part, form)
    ends: dict[UrlEnd, NDArray[np.uint8]] = {
        "nothing": np.empty((part.count, 0), np.uint8),
        "id": ids,
        "serial": serials,
    }
    fields: list[bytes | NDArray[np.uint8]] = [
        b'"',
        ids,
        f"{between}{part.url_start}".encode(),
        ends[part.url_ends_in],
        between.encode(),
        serials,
        f"{between}{part.gtin}{between}{part.untouched_status}{end}".encode(),
    ]
    one_line = b"".join(each if isinstance(each, bytes) else each[0].tobytes() for each in fields)
    # Every line is the first one, then values are laid over it; a block at a time, which a cache holds.
    block = np.tile(np.frombuffer(one_line, np.uint8), (min(_LINES_A_BLOCK, part.count), 1))
    for start in range(0, part.count, _LINES_A_BLOCK):
        lines = block[: part.count - start]
        place = 0
        for each in fields:
            if isinstance(each, bytes):
                place += len(each)
                continue
            width = each.shape[1]
            lines[:, place : place + width] = each[start : start + _LINES_A_BLOCK]
            place += width
        yield lines.tobytes()


def _lines_of_any_length(part: UnitColumns, form: PrintProfile) -> bytes:
    texts = _id_texts(part).tobytes().decode()
    ids = [texts[start : start + 36] for start in range(0, len(texts), 36)]
    serials = part.serials.split("\n") if part.serials is not None else [""] * part.count
    last = {
        "nothing": [""] * part.count,
        "id": ids,
        "serial": list(map(percent_encode, serials)) if part.url_ends_in == "serial" else [],
    }[part.url_ends_in]
    statuses = [part.untouched_status] * part.count
    for place in part.activated:
        statuses[place] = "active"
    for place in part.revoked:
        statuses[place] = "revoked"
    between, end = _between(form), _line_end(part, form)
    return "".join(
        f'"{unit_id}{between}{part.url_start}{last_segment}{between}{serial}'
        f"{between}{part.gtin}{between}{status}{end}"
        for unit_id, last_segment, serial, status in zip(
            ids, last, (text.replace('"', '""') for text in serials), statuses, strict=True
        )
    ).encode()


def _id_texts(part: UnitColumns) -> NDArray[np.uint8]:
    """The ids in their text form, 36 octets each (RFC 9562 §4)."""
    digits = np.frombuffer(part.ids.hex().encode(), np.uint8).reshape(part.count, 32)
    texts = np.full((part.count, 36), ord("-"), np.uint8)
    start = 0
    for hyphens, length in enumerate(_ID_GROUPS):
        texts[:, start + hyphens : start + hyphens + length] = digits[:, start : start + length]
        start += length
    return texts


def _between(form: PrintProfile) -> str:
    return f'"{form.delimiter}"'


def _line_end(part: UnitColumns, form: PrintProfile) -> str:
    return f'{_between(form)}{utc_text(part.created_at)}"{form.line_end}'

"""Binary COPY buffers for `mint_unit`, built column-wise with numpy.

Layout per tuple (PostgreSQL documentation, COPY, "Binary Format"): int16 field count, then for each field
an int32 byte length (−1 for null) and the value in network byte order. Not here: which ids and serials go
in (`rules/unit_ids`, `rules/serials`), and sending it (`operations/minting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

COLUMNS: Final = ("brand_id", "id", "mint_batch_id", "unit_no", "serial_number", "created_at")
SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER: Final = b"\xff\xff"
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_UUID_FIELD: Final = 4 + 16
_HEAD_BYTES: Final = 2 + 3 * _UUID_FIELD + 8  # up to and with unit_no
_TAIL_BYTES: Final = 12  # created_at


def unit_copy_buffer(
    *,
    brand_id: UUID,
    mint_batch_id: UUID,
    unit_ids: Bytes,
    first_unit_no: int,
    serials: Bytes | Sequence[str] | None,
    created_at: datetime,
) -> bytes:
    """One complete binary COPY stream for `len(unit_ids)` units.

    `unit_ids` is (n, 16) bytes; `serials` is (n, 16) bytes of ASCII for generated serials, a sequence of n
    texts for brought ones, or None for units without a serial.
    """
    if serials is None:
        rows = _fixed_rows(unit_ids, serial_bytes=0)
    elif isinstance(serials, np.ndarray):
        rows = _fixed_rows(unit_ids, serial_bytes=serials.shape[1])
        rows[:, _HEAD_BYTES + 4 : _HEAD_BYTES + 4 + serials.shape[1]] = serials
    else:
        return _varied_rows(brand_id, mint_batch_id, unit_ids, first_unit_no, serials, created_at)
    _fill_head(rows, brand_id, mint_batch_id, unit_ids, first_unit_no)
    rows[:, -_TAIL_BYTES:] = np.frombuffer(_timestamp_field(created_at), dtype=np.uint8)
    return b"".join((SIGNATURE, rows.data, TRAILER))


def _fixed_rows(unit_ids: Bytes, *, serial_bytes: int) -> Bytes:
    rows = np.empty((len(unit_ids), _HEAD_BYTES + 4 + serial_bytes + _TAIL_BYTES), dtype=np.uint8)
    length = serial_bytes if serial_bytes else -1
    rows[:, _HEAD_BYTES : _HEAD_BYTES + 4] = np.frombuffer(
        length.to_bytes(4, "big", signed=True), dtype=np.uint8
    )
    return rows


def _fill_head(
    rows: Bytes, brand_id: UUID, mint_batch_id: UUID, unit_ids: Bytes, first_unit_no: int
) -> None:
    uuid_length = (16).to_bytes(4, "big")
    head = b"".join(
        (
            len(COLUMNS).to_bytes(2, "big"),
            uuid_length,
            brand_id.bytes,
            uuid_length,
            bytes(16),
            uuid_length,
            mint_batch_id.bytes,
            (4).to_bytes(4, "big"),
            bytes(4),
        )
    )
    rows[:, :_HEAD_BYTES] = np.frombuffer(head, dtype=np.uint8)
    id_at = 2 + _UUID_FIELD + 4
    rows[:, id_at : id_at + 16] = unit_ids
    numbers = np.arange(first_unit_no, first_unit_no + len(unit_ids), dtype=">i4")
    rows[:, _HEAD_BYTES - 4 : _HEAD_BYTES] = numbers.view(np.uint8).reshape(-1, 4)


def _varied_rows(
    brand_id: UUID,
    mint_batch_id: UUID,
    unit_ids: Bytes,
    first_unit_no: int,
    serials: Sequence[str],
    created_at: datetime,
) -> bytes:
    # The head of every row is built as one block and then scattered to each row's place; the serials'
    # characters are scattered likewise from one joined text.
    count = len(unit_ids)
    characters = np.frombuffer("".join(serials).encode("ascii"), dtype=np.uint8)
    lengths = np.fromiter((len(serial) for serial in serials), dtype=np.int64, count=count)
    head = np.empty((count, _HEAD_BYTES + 4), dtype=np.uint8)
    _fill_head(head, brand_id, mint_batch_id, unit_ids, first_unit_no)
    head[:, _HEAD_BYTES:] = lengths.astype(">i4").view(np.uint8).reshape(-1, 4)
    row_bytes = _HEAD_BYTES + 4 + lengths + _TAIL_BYTES
    ends = np.cumsum(row_bytes)
    starts = ends - row_bytes
    out = np.empty(int(ends[-1]) if count else 0, dtype=np.uint8)
    out[starts[:, None] + np.arange(_HEAD_BYTES + 4)] = head
    serial_ends = np.cumsum(lengths)
    shift = starts + _HEAD_BYTES + 4 - (serial_ends - lengths)
    out[np.arange(len(characters)) + np.repeat(shift, lengths)] = characters
    tail = np.frombuffer(_timestamp_field(created_at), dtype=np.uint8)
    out[(ends - _TAIL_BYTES)[:, None] + np.arange(_TAIL_BYTES)] = tail
    return b"".join((SIGNATURE, out.data, TRAILER))


def _timestamp_field(moment: datetime) -> bytes:
    since = moment - _EPOCH
    microseconds = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    return (8).to_bytes(4, "big") + microseconds.to_bytes(8, "big", signed=True)

"""Binary COPY buffers for `mint_unit`, built column-wise with numpy.

Layout per tuple (PostgreSQL documentation, COPY, "Binary Format"): int16 field count, then for each field
an int32 byte length (−1 for null) and the value in network byte order. Not here: which ids and serials go
in (`rules/unit_ids`, `rules/serials`), and sending it (`operations/minting`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
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
_PIECE_BYTES: Final = 256 * 1024
_TAIL_BYTES: Final = 12  # created_at


def unit_copy_buffer(
    *,
    brand_id: UUID,
    mint_batch_id: UUID,
    unit_ids: Bytes,
    first_unit_no: int,
    serials: Bytes | Sequence[str] | None,
    created_at: datetime,
) -> bytearray:
    """One complete binary COPY stream for `len(unit_ids)` units.

    `unit_ids` is (n, 16) bytes; `serials` is (n, 16) bytes of ASCII for generated serials, a sequence of n
    texts for brought ones, or None for units without a serial.
    """
    if serials is None or isinstance(serials, np.ndarray):
        serial_bytes = 0 if serials is None else serials.shape[1]
        row_bytes = _HEAD_BYTES + 4 + serial_bytes + _TAIL_BYTES
        buffer = _framed(len(unit_ids) * row_bytes)
        rows = _body(buffer).reshape(len(unit_ids), row_bytes)
        length = serial_bytes if serial_bytes else -1
        rows[:, _HEAD_BYTES : _HEAD_BYTES + 4] = _octets(length.to_bytes(4, "big", signed=True))
        if serials is not None:
            rows[:, _HEAD_BYTES + 4 : _HEAD_BYTES + 4 + serial_bytes] = serials
        _fill_head(rows, brand_id, mint_batch_id, unit_ids, first_unit_no)
        rows[:, -_TAIL_BYTES:] = _octets(_timestamp_field(created_at))
        return buffer
    return _varied_rows(brand_id, mint_batch_id, unit_ids, first_unit_no, serials, created_at)


def stamp(buffer: bytearray, count: int, created_at: datetime) -> None:
    """Give all `count` rows of a buffer with rows of one length another `created_at`."""
    rows = _body(buffer).reshape(count, -1)
    rows[:, -_TAIL_BYTES:] = _octets(_timestamp_field(created_at))


async def pieces(buffer: bytearray) -> AsyncIterator[bytes]:
    """The stream in parts, for the driver: the server works on the first while the next are sent."""
    view = memoryview(buffer)
    for start in range(0, len(view), _PIECE_BYTES):
        yield bytes(view[start : start + _PIECE_BYTES])


def _framed(body_bytes: int) -> bytearray:
    """A stream with room for that many bytes of rows between signature and trailer."""
    buffer = bytearray(len(SIGNATURE) + body_bytes + len(TRAILER))
    buffer[: len(SIGNATURE)] = SIGNATURE
    buffer[-len(TRAILER) :] = TRAILER
    return buffer


def _body(buffer: bytearray) -> Bytes:
    return np.frombuffer(buffer, dtype=np.uint8)[len(SIGNATURE) : -len(TRAILER)]


def _octets(value: bytes) -> Bytes:
    return np.frombuffer(value, dtype=np.uint8)


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
    rows[:, :_HEAD_BYTES] = _octets(head)
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
) -> bytearray:
    # The head of every row is built as one block and then scattered to each row's place; the serials'
    # characters are scattered likewise from one joined text.
    count = len(unit_ids)
    characters = _octets("".join(serials).encode("ascii"))
    lengths = np.fromiter((len(serial) for serial in serials), dtype=np.int64, count=count)
    head = np.empty((count, _HEAD_BYTES + 4), dtype=np.uint8)
    _fill_head(head, brand_id, mint_batch_id, unit_ids, first_unit_no)
    head[:, _HEAD_BYTES:] = lengths.astype(">i4").view(np.uint8).reshape(-1, 4)
    row_bytes = _HEAD_BYTES + 4 + lengths + _TAIL_BYTES
    ends = np.cumsum(row_bytes)
    starts = ends - row_bytes
    buffer = _framed(int(ends[-1]) if count else 0)
    out = _body(buffer)
    out[starts[:, None] + np.arange(_HEAD_BYTES + 4)] = head
    serial_ends = np.cumsum(lengths)
    shift = starts + _HEAD_BYTES + 4 - (serial_ends - lengths)
    out[np.arange(len(characters)) + np.repeat(shift, lengths)] = characters
    tail = _octets(_timestamp_field(created_at))
    out[(ends - _TAIL_BYTES)[:, None] + np.arange(_TAIL_BYTES)] = tail
    return buffer


def _timestamp_field(moment: datetime) -> bytes:
    since = moment - _EPOCH
    microseconds = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    return (8).to_bytes(4, "big") + microseconds.to_bytes(8, "big", signed=True)

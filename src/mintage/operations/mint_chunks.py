"""One chunk of units as a COPY buffer: ids and serials from `rules`, framing from `db.copy_buffers`.

Not here: sending it, and closing the cycle (`mint_execution`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from mintage.db.copy_buffers import unit_copy_buffer
from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.rules.serials import serial_chunk
from mintage.rules.unit_ids import unit_id_bounds, unit_id_chunk

_BROUGHT_SERIALS: Final = query("mint_batch", "brought_serials")


@dataclass(frozen=True, slots=True)
class Chunk:
    """`count` units from `first_unit_no` (0-based): a binary COPY stream, and the id range that is theirs."""

    buffer: bytes
    first_unit_no: int
    count: int
    lowest_id: UUID
    highest_id: UUID


def build_chunk(
    *,
    brand_id: UUID,
    mint_batch_id: UUID,
    unit_id_low: UUID,
    requested_quantity: int,
    first_unit_no: int,
    count: int,
    serial_prefix: str | None,
    serial_strata: int | None,
    brought_serials: Sequence[str] | None,
    created_at: datetime,
) -> Chunk:
    """The chunk, with the operating system's randomness. Pure computing: call it in a thread."""
    unit_ids = unit_id_chunk(unit_id_low, first_unit_no, count, requested_quantity, os.urandom)
    serials = (
        serial_chunk(serial_prefix, first_unit_no, count, serial_strata, os.urandom)
        if serial_prefix is not None and serial_strata is not None
        else brought_serials
    )
    lowest_id, highest_id = unit_id_bounds(unit_id_low, requested_quantity, first_unit_no, count)
    buffer = unit_copy_buffer(
        brand_id=brand_id,
        mint_batch_id=mint_batch_id,
        unit_ids=unit_ids,
        first_unit_no=first_unit_no,
        serials=serials,
        created_at=created_at,
    )
    return Chunk(buffer, first_unit_no, count, lowest_id, highest_id)


async def read_brought_serials(
    call: Call, mint_batch_id: UUID, first_unit_no: int, count: int
) -> list[str]:
    """The registered serials of units `first_unit_no` … `+ count − 1`, in unit order."""
    rows = await call.connection.fetch(
        _BROUGHT_SERIALS, call.brand_id, mint_batch_id, first_unit_no, first_unit_no + count
    )
    if len(rows) != count:
        raise LookupError(f"{count} serials are due, {len(rows)} are registered")
    return [row["serial_number"] for row in rows]

"""One chunk of units as a COPY buffer: ids and serials from `rules`, framing from `db.copy_buffers`.

Not here: sending it, and closing the cycle (`mint_execution`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from mintage.db.connection import Connection
from mintage.db.copy_buffers import stamp, unit_copy_buffer
from mintage.db.queries import query
from mintage.rules.serials import serial_chunk
from mintage.rules.unit_ids import unit_id_bounds, unit_id_chunk

_BROUGHT_SERIALS: Final = query("mint_batch", "brought_serials")


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """A chunk's units: `count` of them from `first_unit_no` (0-based), and what they are made of."""

    brand_id: UUID
    mint_batch_id: UUID
    unit_id_low: UUID
    requested_quantity: int
    first_unit_no: int
    count: int
    serial_prefix: str | None
    serial_strata: int | None

    def id_bounds(self) -> tuple[UUID, UUID]:
        """The lowest and the highest id, both inclusive, between which exactly these units lie."""
        return unit_id_bounds(
            self.unit_id_low, self.requested_quantity, self.first_unit_no, self.count
        )

    def next(self, count_max: int) -> ChunkPlan | None:
        """The chunk after this one, of `count_max` units at most; None after the last."""
        first_unit_no = self.first_unit_no + self.count
        count = min(count_max, self.requested_quantity - first_unit_no)
        return replace(self, first_unit_no=first_unit_no, count=count) if count > 0 else None


def build_chunk(
    plan: ChunkPlan, brought_serials: Sequence[str] | None, created_at: datetime
) -> bytearray:
    """The chunk's binary COPY stream, with the operating system's randomness.

    Pure computing of a few milliseconds: call it in a thread.
    """
    unit_ids = unit_id_chunk(
        plan.unit_id_low, plan.first_unit_no, plan.count, plan.requested_quantity, os.urandom
    )
    serials = (
        serial_chunk(
            plan.serial_prefix, plan.first_unit_no, plan.count, plan.serial_strata, os.urandom
        )
        if plan.serial_prefix is not None and plan.serial_strata is not None
        else brought_serials
    )
    return unit_copy_buffer(
        brand_id=plan.brand_id,
        mint_batch_id=plan.mint_batch_id,
        unit_ids=unit_ids,
        first_unit_no=plan.first_unit_no,
        serials=serials,
        created_at=created_at,
    )


class ChunkShelf:
    """Chunks built ahead, while the server took the one before: a few, each used once or dropped.

    A chunk is determined by its plan and chance alone, so one that lay here is as good as a new one; it is
    stamped with its own time when it is taken.
    """

    def __init__(self, chunks_max: int = 4) -> None:
        self._chunks_max = chunks_max
        self._buffers: dict[ChunkPlan, bytearray] = {}

    async def take(self, plan: ChunkPlan, created_at: datetime) -> bytearray:
        """The chunk of `plan`, built now unless it lies here."""
        buffer = self._buffers.pop(plan, None)
        if buffer is None:
            return await asyncio.to_thread(build_chunk, plan, None, created_at)
        stamp(buffer, plan.count, created_at)
        return buffer

    async def build_ahead(self, plan: ChunkPlan, created_at: datetime) -> None:
        """Build the chunk of `plan` and lay it here; the oldest makes room."""
        buffer = await asyncio.to_thread(build_chunk, plan, None, created_at)
        while len(self._buffers) >= self._chunks_max:
            del self._buffers[next(iter(self._buffers))]
        self._buffers[plan] = buffer


async def read_brought_serials(connection: Connection, plan: ChunkPlan) -> list[str]:
    """The registered serials of the plan's units, in unit order. `LookupError` when some are missing."""
    rows = await connection.fetch(
        _BROUGHT_SERIALS,
        plan.brand_id,
        plan.mint_batch_id,
        plan.first_unit_no,
        plan.first_unit_no + plan.count,
    )
    if len(rows) != plan.count:
        raise LookupError(f"{plan.count} serials are due, {len(rows)} are registered")
    return [row["serial_number"] for row in rows]

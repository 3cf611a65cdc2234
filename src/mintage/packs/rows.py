"""What a pack format is given: one row per unit, all of it decided (status, URL) before it comes here."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from mintage.rules.lifecycle import UnitStatus


class UnitRow(NamedTuple):
    """One unit as a pack tells it. A named tuple: a million of them are made in a second.

    `lot_code` is that of the unit's lot in batch mode, None in serial mode.
    """

    unit_id: UUID
    unit_no: int
    resolver_url: str
    serial_number: str | None
    gtin: str | None
    status: UnitStatus
    created_at: datetime
    lot_code: str | None

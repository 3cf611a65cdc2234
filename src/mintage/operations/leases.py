"""Leases whose holder lost its connection or is stopped: given back without an attempt, later if need be.

A lease that cannot be given back because the database is away is owed: the process remembers it and gives it
back before its next claim. Not here: claims (`mint_claims`, `pack_execution`), and failed attempts
(`mint_execution`, `pack_execution`).
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mintage.db.connection import AWAY_ERRORS
from mintage.db.queries import query
from mintage.telemetry import logger

if TYPE_CHECKING:
    from mintage.operations.call import Transactions

OWNER: Final = f"{socket.gethostname()}:{os.getpid()}"
OWED_MAX: Final = 100
_GIVE_BACK: Final = query("work_item", "give_back")
_RENEW: Final = query("work_item", "renew")
_log = logger("operations")


@dataclass(frozen=True, slots=True)
class Lease:
    """One claim of one item: `epoch` is its token, `minted_quantity` what a job had when it was claimed."""

    kind: str
    brand_id: UUID
    ref_id: UUID
    epoch: int
    minted_quantity: int = 0


class LeaseLost(Exception):
    """The item is another worker's now."""


class OwedLeases:
    """What a process has to give back; of more than `OWED_MAX` the oldest are left to lapse."""

    def __init__(self) -> None:
        self._leases: list[Lease] = []

    def add(self, lease: Lease) -> None:
        """Remember `lease`, which the database may still count as held."""
        self._leases = [*self._leases, lease][-OWED_MAX:]

    def take(self) -> Lease | None:
        """One that is owed, and from now on is not; None when there is none."""
        return self._leases.pop(0) if self._leases else None


async def renew(transactions: Transactions, lease: Lease, lease_s: float) -> None:
    """Let `lease` last for `lease_s` seconds from now. Raises `LeaseLost`, and what the driver raises."""
    identity = transactions.caller.identity(lease.brand_id)
    key = (lease.kind, lease.brand_id, lease.ref_id, lease.epoch)
    async with transactions.database.transaction(identity) as connection:
        if await connection.fetchval(_RENEW, *key, OWNER, lease_s) is None:
            raise LeaseLost("a lease was lost while it waited")


async def give_back(transactions: Transactions, lease: Lease) -> None:
    """End `lease` without an attempt; where the database is away it is owed."""
    try:
        await _give_back(transactions, lease)
    except AWAY_ERRORS:
        _log.warning("a lease is given back later", kind=lease.kind, ref_id=str(lease.ref_id))


async def give_back_owed(transactions: Transactions) -> None:
    """Give back what this process owes. Raises what the driver raises when the database is away still."""
    while (lease := transactions.owed_leases.take()) is not None:
        await _give_back(transactions, lease)


async def _give_back(transactions: Transactions, lease: Lease) -> None:
    service = transactions.caller.identity(lease.brand_id)
    try:
        async with transactions.database.transaction(service) as connection:
            await connection.execute(
                _GIVE_BACK,
                lease.kind,
                lease.brand_id,
                lease.ref_id,
                lease.epoch,
                OWNER,
                lease.minted_quantity,
            )
    except AWAY_ERRORS:
        transactions.owed_leases.add(lease)
        raise

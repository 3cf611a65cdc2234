"""Scans as the resolver makes them, without its HTTP: what is named, activated, recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mintage.db.connection import DatabaseRole, Identity
from mintage.operations.call import ANONYMOUS, Call, new_id
from mintage.operations.resolving import Key, resolve
from mintage.operations.scanning import Scan, activate, record_scans
from mintage.rules.lifecycle import ScanOutcome
from tests.support.world import World


async def scan(world: World, key: Key, *, scanned_at: datetime | None = None) -> ScanOutcome | None:
    """Somebody scans what `key` names in the brand under test; the outcome, None if it names nothing."""
    identity = Identity(DatabaseRole.RESOLVER, world.brand_id)
    async with world.platform.database.transaction(identity) as connection:
        now = scanned_at or await connection.fetchval("select clock_timestamp()")
        call = Call(connection, ANONYMOUS, world.brand_id, None, now, world.platform.limits, "scan")
        subject = await resolve(call, key)
        if subject is None:
            return None
        outcome = await activate(call, subject)
    async with world.platform.database.transaction(identity) as connection:
        call = Call(connection, ANONYMOUS, world.brand_id, None, now, world.platform.limits, "scan")
        facts: dict[str, Any] = dict.fromkeys(("ip_prefix", "browser", "os", "device"))
        stored = Scan(
            id=new_id(now),
            scanned_at=now,
            subject=subject,
            outcome=outcome,
            traffic_class="human",
            path="/",
            **facts,
        )
        await record_scans(call, [stored])
    return outcome

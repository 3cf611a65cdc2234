"""The resolver's fixture: a desk to scan at."""

from __future__ import annotations

import pytest_asyncio

from mintage.operations.call import SERVICE
from mintage.resolver.app import Resolver
from mintage.resolver.scan_buffer import ScanBuffer
from tests.resolver.desk import KEY, NOW, PROXY, Desk
from tests.support.world import World


@pytest_asyncio.fixture
async def desk(world: World) -> Desk:
    database, limits = world.platform.database, world.platform.limits
    async with database.transaction(SERVICE.identity(None)) as connection:
        await connection.execute("select ensure_scan_event_partitions($1, 1)", NOW)
    buffer = ScanBuffer(database, limits)
    resolver = Resolver(
        database, limits, buffer, lambda: (KEY,), frozenset({PROXY}), pinned_now=NOW
    )
    return Desk(world, resolver, buffer)

"""Who waits for a lock, and who is connected: of this test's database alone.

`pg_locks` and `pg_stat_activity` show the whole server, which other tests use at the same time; every
statement here (and, by tests/test_tidy.py, in any test) names the current database.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.support.minting import value

if TYPE_CHECKING:
    from tests.support.world import World

WAITERS: Final = (
    "select pid from pg_stat_activity "
    "where datname = current_database() and wait_event_type = 'Lock' "
    "and exists (select from pg_locks where pg_locks.pid = pg_stat_activity.pid and not granted)"
)


async def waiting(world: World) -> int:
    """How many sessions wait for another's lock."""
    found: int = await value(world, f"select count(*) from ({WAITERS}) as waiter")
    return found


async def until_somebody_waits(world: World) -> None:
    """Return once a transaction waits for another one's lock."""
    while not await waiting(world):
        await asyncio.sleep(0.01)


async def until_nobody_waits(world: World) -> None:
    """Return once no transaction waits: the server has noticed that a killed client is gone."""
    while await waiting(world):
        await asyncio.sleep(0.01)

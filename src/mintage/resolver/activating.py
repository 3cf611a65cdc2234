"""First scans that come while others of their brand are being written go together in the next transaction.

An activation is written before its scan is answered, and one by one each would wait for the disk alone. Lots
are few, and go by themselves. Not here: who wins (`operations.scanning`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import asyncpg

from mintage.db.connection import Database, DatabaseRole, Identity
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.resolving import BrandHost, Subject
from mintage.operations.scanning import FirstScan, activate, activate_units
from mintage.rules.lifecycle import ScanOutcome
from mintage.settings import Limits

_Waiting = tuple[FirstScan, asyncio.Future[ScanOutcome]]


class Activations:
    """Activates what scans activate, many units at a time; nothing is kept."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._lanes: dict[UUID, list[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def activate(self, host: BrandHost, subject: Subject) -> ScanOutcome:
        """What a scan of `subject`, which waits for its first one, comes to; raises what the driver does."""
        if subject.unit_id is None:
            return (await self._write(host.brand_id, host.now, subject))[0]
        lane = self._lanes.get(host.brand_id)
        if lane is None:
            lane = self._lanes[host.brand_id] = []
            task = asyncio.create_task(self._run(host.brand_id, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        future: asyncio.Future[ScanOutcome] = asyncio.get_running_loop().create_future()
        lane.append((FirstScan(subject, host.now), future))
        return await future

    async def _run(self, brand_id: UUID, lane: list[_Waiting]) -> None:
        try:
            while lane:
                together = lane[: self._limits.activations_together_max]
                del lane[: len(together)]
                await self._activate_together(brand_id, together)
        finally:
            del self._lanes[brand_id]
            for _, future in lane:
                future.cancel()

    async def _activate_together(self, brand_id: UUID, together: list[_Waiting]) -> None:
        try:
            scans = [scan for scan, _ in together]
            outcomes = await self._write(brand_id, scans[-1].scanned_at, scans)
            for (_, future), outcome in zip(together, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
        except Exception as error:  # noqa: BLE001 - each of those who wait is told, and handles it
            for _, future in together:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in together:
                future.cancel()
            raise

    async def _write(
        self, brand_id: UUID, now: datetime, what: Subject | list[FirstScan]
    ) -> list[ScanOutcome]:
        """In one transaction; again where it met another that locked in another order."""
        identity = Identity(DatabaseRole.RESOLVER, brand_id)
        timeout_s = self._limits.resolver_statement_timeout_s
        for tries_left in reversed(range(self._limits.attempts_max)):
            try:
                async with self._database.transaction(
                    identity, statement_timeout_s=timeout_s
                ) as connection:
                    call = Call(
                        connection, ANONYMOUS, brand_id, None, now, self._limits, "resolver"
                    )
                    if isinstance(what, Subject):
                        return [await activate(call, what)]
                    return await activate_units(call, what)
            except asyncpg.DeadlockDetectedError:
                if not tries_left:
                    raise
        raise AssertionError("there is at least one try")

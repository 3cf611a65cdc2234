"""Scans on their way to the database: a bounded buffer that never makes a redirect wait or fail.

Events are written within `Limits.scan_flush_interval_s`, one statement a brand. `stop` writes what is
there; a kill loses what came since the last flush. With the database away events wait, up to
`Limits.scans_waiting_max`; then new ones are dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from mintage.db.connection import AWAY_ERRORS, Database, DatabaseRole, Identity
from mintage.meters import RESOLVER
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.countries import NO_COUNTRIES, Countries
from mintage.operations.resolving import Subject
from mintage.operations.scanning import Scan, TrafficClass, record_scans
from mintage.operations.user_agents import families
from mintage.resolver.origins import Address, prefix_of
from mintage.rules.lifecycle import ScanOutcome
from mintage.rules.unit_ids import uuid7_of
from mintage.settings import Limits
from mintage.telemetry import logger

PATH_CHARACTERS_MAX: Final = 512

_AGENTS_AT_A_TIME: Final = 16
_TRANSIENT_ERRORS: Final = (
    *AWAY_ERRORS,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
)


class SeenScan(NamedTuple):
    """A scan as the request showed it; what is kept of it is worked out when it is written."""

    brand_id: UUID
    scanned_at: datetime
    subject: Subject
    outcome: ScanOutcome
    traffic_class: TrafficClass
    address: Address | None
    user_agent: str
    path: str


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Scans of one brand that are written together or not at all, however often it is tried."""

    brand_id: UUID
    scans: tuple[Scan, ...]


class ScanBuffer:
    """Give it to the resolver, have `run` run as a task, `stop` it after the last request."""

    def __init__(
        self, database: Database, limits: Limits, countries: Countries = NO_COUNTRIES
    ) -> None:
        self.dropped_count = 0
        self._database = database
        self._limits = limits
        self._countries = countries
        self._waiting: deque[SeenScan] = deque()
        self._chunks: deque[_Chunk] = deque()
        self._chunked_count = 0
        self._has_work = asyncio.Event()
        self._is_stopping = asyncio.Event()
        self._flushing = asyncio.Lock()

    @property
    def scans_max(self) -> int:
        """How many scans may wait."""
        return self._limits.scans_waiting_max

    def __len__(self) -> int:
        return len(self._waiting) + self._chunked_count

    def record(self, seen: SeenScan) -> None:
        """Take a scan. Never waits, never raises; a full buffer drops it and counts that."""
        RESOLVER.scanned(seen.outcome)
        if len(self) >= self._limits.scans_waiting_max:
            if self.dropped_count == 0:
                logger("resolver").warning("scan buffer full, scans are dropped", scans=len(self))
            self.dropped_count += 1
            return
        self._waiting.append(seen)
        self._has_work.set()

    async def run(self) -> None:
        """Write scans as they come, until `stop`."""
        # The first call reads the library's rules: before there are requests that wait.
        families("")
        while not self._is_stopping.is_set():
            await self._has_work.wait()
            await self._pause(self._limits.scan_flush_interval_s)
            if not await self._flush():
                await self._pause(self._limits.scan_retry_interval_s)

    async def stop(self) -> None:
        """Write what is there and end `run`; after `Limits.scan_stop_wait_s` the rest is lost."""
        self._is_stopping.set()
        self._has_work.set()
        try:
            async with asyncio.timeout(self._limits.scan_stop_wait_s):
                while True:
                    if await self._flush():
                        break
                    await asyncio.sleep(self._limits.scan_retry_interval_s)
        except TimeoutError:
            self.dropped_count += len(self)
        if self.dropped_count:
            logger("resolver").error("scans were lost", scans=self.dropped_count)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_stopping.wait(), seconds)

    async def _flush(self) -> bool:
        """Write all that is there; False when the database would not have it now."""
        async with self._flushing:
            while self._chunks or self._waiting:
                if not self._chunks:
                    await self._cut_chunks()
                if not await self._write(self._chunks[0]):
                    return False
                self._chunked_count -= len(self._chunks.popleft().scans)
            self._has_work.clear()
            return True

    async def _cut_chunks(self) -> None:
        by_brand: dict[UUID, list[Scan]] = {}
        count = min(len(self._waiting), self._limits.scan_flush_max)
        octets = os.urandom(10 * count)
        for place in range(count):
            if place % _AGENTS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            seen = self._waiting[place]
            random = octets[10 * place : 10 * place + 10]
            by_brand.setdefault(seen.brand_id, []).append(_scan_of(seen, random, self._countries))
        for brand_id, scans in by_brand.items():
            self._chunks.append(_Chunk(brand_id, tuple(scans)))
            self._chunked_count += len(scans)
            for _ in scans:
                self._waiting.popleft()

    async def _write(self, chunk: _Chunk) -> bool:
        identity = Identity(DatabaseRole.RESOLVER, chunk.brand_id)
        now = chunk.scans[-1].scanned_at
        try:
            async with self._database.transaction(identity) as connection:
                call = Call(connection, ANONYMOUS, chunk.brand_id, None, now, self._limits, "scans")
                await record_scans(call, chunk.scans)
        except asyncpg.UniqueViolationError:
            return (
                True  # The try before was committed, though its connection broke before saying so.
            )
        except asyncpg.DataError as error:  # A driver's error like those below, but it would stay.
            self._give_up(chunk, error)
        except _TRANSIENT_ERRORS:
            return False
        except asyncpg.PostgresError as error:
            self._give_up(chunk, error)
        return True

    def _give_up(self, chunk: _Chunk, error: Exception) -> None:
        self.dropped_count += len(chunk.scans)
        logger("resolver").error(
            "scans cannot be stored", scans=len(chunk.scans), error=type(error).__name__
        )


def _scan_of(seen: SeenScan, octets: bytes, countries: Countries) -> Scan:
    read = families(seen.user_agent)
    return Scan(
        id=uuid7_of(int(seen.scanned_at.timestamp() * 1000), octets),
        scanned_at=seen.scanned_at,
        subject=seen.subject,
        outcome=seen.outcome,
        traffic_class=seen.traffic_class,
        ip_prefix=prefix_of(seen.address) if seen.address is not None else None,
        browser=read.browser,
        os=read.os,
        device=read.device,
        path=seen.path[:PATH_CHARACTERS_MAX],
        country=countries.of(seen.address),
    )

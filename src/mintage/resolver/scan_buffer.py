"""Scans on their way to the database: a bounded buffer that never makes a redirect wait or fail.

Events are written within `Limits.scan_flush_interval_s`, one statement a brand. `stop` writes what is
there; a kill loses what came since the last flush. While the database will not have them events wait, up
to `Limits.scans_waiting_max`; then new ones are dropped and counted. A scan that can never be stored is
given up alone: it takes no other with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from asyncpg.pgproto import pgproto

from mintage.db.connection import AWAY_ERRORS, BUSY_ERRORS, Database, DatabaseRole, Identity
from mintage.meters import RESOLVER
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.countries import NO_COUNTRIES, Countries
from mintage.operations.resolving import Subject
from mintage.operations.scanning import (
    Scan,
    TrafficClass,
    ensure_months,
    prefix_of,
    record_scans,
)
from mintage.operations.user_agents import NO_FAMILIES, Families, agent_class, families
from mintage.resolver.origins import Address
from mintage.rules.lifecycle import ScanOutcome
from mintage.rules.unit_ids import uuid7_octets
from mintage.settings import Limits
from mintage.telemetry import logger

PATH_CHARACTERS_MAX: Final = 512

_AGENTS_AT_A_TIME: Final = 16
_TOLD_AGAIN_AFTER_S: Final = 60.0
_EXPECTED_ERRORS: Final = (*AWAY_ERRORS, *BUSY_ERRORS)
# What is wrong with a scan itself, and stays so. All else that a server says may become good: a database that
# is being restored, a grant or a month that is missing.
_ERRORS_OF_CONTENT: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.RaiseError,
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
        self._told_at: dict[str, float] = {}
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
        # The first calls read the libraries' rules: before there are requests that wait.
        agent_class("Mozilla/5.0")
        self._read_agent("")
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
            try:
                return await self._write_all()
            except Exception as error:  # noqa: BLE001 - the last catch: scans after this one are written
                self._tell("scans could not be written", error)
                return False

    async def _write_all(self) -> bool:
        while self._chunks or self._waiting:
            if not self._chunks:
                await self._cut_chunks()
                continue
            left = await self._write(self._chunks[0])
            if left is None:
                return False
            self._chunked_count -= len(self._chunks.popleft().scans)
            self._chunks.extendleft(reversed(left))
            self._chunked_count += sum(len(chunk.scans) for chunk in left)
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
            try:
                scan = self._scan_of(seen, random)
            except Exception as error:  # noqa: BLE001 - it would stay, and hold up all others
                self._give_up(error)
                continue
            by_brand.setdefault(seen.brand_id, []).append(scan)
        for brand_id, scans in by_brand.items():
            self._chunks.append(_Chunk(brand_id, tuple(scans)))
            self._chunked_count += len(scans)
        for _ in range(count):
            self._waiting.popleft()

    async def _write(self, chunk: _Chunk) -> tuple[_Chunk, ...] | None:
        """Store a chunk; what is left of it to try, or None if all of it is to be tried later."""
        try:
            try:
                await self._store(chunk)
            except asyncpg.CheckViolationError:
                await self._make_room(chunk)
                await self._store(chunk)
        except asyncpg.UniqueViolationError:
            pass  # The try before was committed, though its connection broke before saying so.
        except _EXPECTED_ERRORS:
            return None
        except asyncpg.PostgresError as error:
            if not isinstance(error, _ERRORS_OF_CONTENT):
                self._tell("scans wait: the database refuses them", error)
                return None
            return self._divide(chunk, error)
        except Exception as error:  # noqa: BLE001 - it would stay: the scan that raises it is looked for
            return self._divide(chunk, error)
        return ()

    async def _store(self, chunk: _Chunk) -> None:
        async with self._calling(chunk) as call:
            await record_scans(call, chunk.scans)

    async def _make_room(self, chunk: _Chunk) -> None:
        """Months are made by workers, of which there may have been none for long."""
        async with self._calling(chunk) as call:
            await ensure_months(call, [scan.scanned_at for scan in chunk.scans])

    @contextlib.asynccontextmanager
    async def _calling(self, chunk: _Chunk) -> AsyncIterator[Call]:
        identity = Identity(DatabaseRole.RESOLVER, chunk.brand_id)
        now = chunk.scans[-1].scanned_at
        async with self._database.transaction(identity) as connection:
            yield Call(connection, ANONYMOUS, chunk.brand_id, None, now, self._limits, "scans")

    def _divide(self, chunk: _Chunk, error: Exception) -> tuple[_Chunk, ...]:
        """The halves of a chunk with a scan in it that cannot be stored; a scan that is alone is given up."""
        half = len(chunk.scans) // 2
        if half:
            return (
                replace(chunk, scans=chunk.scans[:half]),
                replace(chunk, scans=chunk.scans[half:]),
            )
        self._give_up(error)
        return ()

    def _give_up(self, error: Exception) -> None:
        self.dropped_count += 1
        self._tell("a scan cannot be stored", error)

    def _tell(self, event: str, error: Exception) -> None:
        """Log what went wrong, each kind once a minute at most."""
        now = time.monotonic()
        if now - self._told_at.get(event, -_TOLD_AGAIN_AFTER_S) < _TOLD_AGAIN_AFTER_S:
            return
        self._told_at[event] = now
        logger("resolver").error(event, scans=len(self), dropped=self.dropped_count, exc_info=error)

    def _scan_of(self, seen: SeenScan, octets: bytes) -> Scan:
        read = self._read_agent(seen.user_agent)
        return Scan(
            id=pgproto.UUID(uuid7_octets(int(seen.scanned_at.timestamp() * 1000), octets)),
            scanned_at=seen.scanned_at,
            subject=seen.subject,
            outcome=seen.outcome,
            traffic_class=seen.traffic_class,
            ip_prefix=prefix_of(seen.address) if seen.address is not None else None,
            browser=read.browser,
            os=read.os,
            device=read.device,
            path=seen.path[:PATH_CHARACTERS_MAX],
            country=self._country_of(seen.address),
        )

    def _country_of(self, address: Address | None) -> str | None:
        try:
            return self._countries.of(address)
        except Exception as error:  # noqa: BLE001 - a scan without its country is a scan all the same
            self._tell("the country of a scan cannot be read", error)
            return None

    def _read_agent(self, user_agent: str) -> Families:
        try:
            return families(user_agent)
        except Exception as error:  # noqa: BLE001 - as for countries
            self._tell("the user agent of a scan cannot be read", error)
            return NO_FAMILIES

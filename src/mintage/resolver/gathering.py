"""Keys asked for while a query is under way go together in the next one of that host.

One query at a time for each host, begun after each of its questions was asked: what it finds is never older
than the question, and nothing is kept. Queries that follow one another go in one transaction, which sees at
each of them what is committed by then. Not here: what a key names (`operations.resolving`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mintage.db.connection import Connection, Database, DatabaseRole, Identity
from mintage.operations.resolving import KEYS_MAX, BrandHost, Key, Subject, resolve_at_host
from mintage.settings import Limits

_IDENTITY: Final = Identity(DatabaseRole.RESOLVER)
_QUERIES_A_TURN_MAX: Final = 16

Found = tuple[BrandHost, Subject | None]


class TooManyWaiting(OSError):
    """More questions wait than are taken: answered as if the database were away."""


@dataclass(slots=True)
class _Lane:
    """The questions of one host that wait for its next query, and the task that asks them."""

    keys: list[Key | None] = field(default_factory=list)
    futures: list[asyncio.Future[Found | None]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class _Questions(NamedTuple):
    """Those that go in one query: a key, and who waits for what it names."""

    keys: list[Key | None]
    futures: list[asyncio.Future[Found | None]]


class KeyGatherer:
    """Answers what a key names at a host, many at a time."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._waiting_max = limits.questions_waiting_max
        self._timeout_s = limits.resolver_statement_timeout_s
        self._lanes: dict[str, _Lane] = {}
        self._turns = asyncio.Semaphore(limits.hosts_asked_at_once_max)
        self._waiting_count = 0

    async def find(self, host: str, key: Key | None) -> Found | None:
        """The brand of `host` and what `key` names there (None: nothing of it); None for no brand's host.

        `key` None asks for the host alone. Raises what the driver raises, and `TooManyWaiting`.
        """
        if self._waiting_count >= self._waiting_max:
            raise TooManyWaiting
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = _Lane()
            lane.task = asyncio.create_task(self._run(host, lane))
        future: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        lane.keys.append(key)
        lane.futures.append(future)
        self._waiting_count += 1
        return await future

    async def _run(self, host: str, lane: _Lane) -> None:
        try:
            while lane.futures:
                async with self._turns:
                    await self._take_turn(host, lane)
        finally:
            del self._lanes[host]
            self._waiting_count -= len(lane.futures)
            for future in lane.futures:
                future.cancel()

    async def _take_turn(self, host: str, lane: _Lane) -> None:
        """Ask in one transaction until nobody waits here, or another host may want the turn."""
        asked: _Questions | None = None
        try:
            async with self._database.transaction(
                _IDENTITY, read_only=True, statement_timeout_s=self._timeout_s
            ) as connection:
                for _ in range(_QUERIES_A_TURN_MAX):
                    asked = self._cut(lane)
                    await _ask(connection, host, asked)
                    await asyncio.sleep(0)  # Who asks now, goes with the next query.
                    if not lane.futures or self._turns.locked():
                        break
        except Exception as error:  # noqa: BLE001 - each of those who wait is told, and handles it
            for future in (asked or self._cut(lane)).futures:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for future in (asked or self._cut(lane)).futures:
                future.cancel()
            raise

    def _cut(self, lane: _Lane) -> _Questions:
        cut = _Questions(lane.keys[:KEYS_MAX], lane.futures[:KEYS_MAX])
        del lane.keys[:KEYS_MAX], lane.futures[:KEYS_MAX]
        self._waiting_count -= len(cut.futures)
        return cut


async def _ask(connection: Connection, host: str, asked: _Questions) -> None:
    found = await resolve_at_host(connection, host, [key for key in asked.keys if key is not None])
    # Before the commit: it changes nothing, and nobody need wait for it.
    subjects = iter(found.subjects) if found is not None else iter(())
    for key, future in zip(asked.keys, asked.futures, strict=True):
        answer = None
        if found is not None:
            answer = (found.host, next(subjects) if key is not None else None)
        if not future.done():
            future.set_result(answer)

"""Keys asked for while a query is under way go together in the next one of that host.

One query at a time for each host, begun after each of its questions was asked: what it finds is never older
than the question, and nothing is kept. Queries that follow one another go in one transaction, which sees at
each of them what is committed by then. Who waits when one has been answered is asked for before those of
that one are told, and many who wait are shared out over two: so the database looks while answers are
written. Not here: what a key names (`operations.resolving`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from mintage.db.connection import Database, DatabaseRole, Identity
from mintage.operations.resolving import (
    KEYS_MAX,
    AtHost,
    BrandHost,
    Key,
    Subject,
    resolve_at_host,
)
from mintage.settings import Limits

_IDENTITY: Final = Identity(DatabaseRole.RESOLVER)
_QUERIES_A_TURN_MAX: Final = 16
_KEYS_ENOUGH: Final = 32
"""For as many a query is worth its while. Fewer go when no more come; of twice as many, half wait."""
_TOLD_TOGETHER: Final = 16
"""After as many answers the loop writes them, and reads what came, instead of after all of a query."""

Found = tuple[BrandHost, Subject | None]
Told = Callable[[Found | BaseException | None], None]
"""Called with what was found, or with why it could not be asked. Must not raise."""


class TooManyWaiting(OSError):
    """More questions wait than are taken: answered as if the database were away."""


class _Question(NamedTuple):
    """A key, and who waits for what it names."""

    key: Key | None
    told: Told


@dataclass(slots=True)
class _Lane:
    """The questions of one host that wait for its next query, and the task that asks them."""

    waiting: list[_Question] = field(default_factory=list)
    telling_count: int = 0
    task: asyncio.Task[None] | None = None


class KeyGatherer:
    """Answers what a key names at a host, many at a time."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._waiting_max = limits.questions_waiting_max
        self._timeout_s = limits.resolver_statement_timeout_s
        self._lanes: dict[str, _Lane] = {}
        self._turns = asyncio.Semaphore(limits.hosts_asked_at_once_max)
        self._waiting_count = 0

    def ask(self, host: str, key: Key | None, told: Told) -> None:
        """Have `told` called with the brand of `host` and what `key` names there (None: nothing of it);
        with None for no brand's host, with what the driver raised where it did.

        `key` None asks for the host alone. Raises `TooManyWaiting`.
        """
        if self._waiting_count >= self._waiting_max:
            raise TooManyWaiting
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = _Lane()
            lane.task = asyncio.create_task(self._run(host, lane))
        lane.waiting.append(_Question(key, told))
        self._waiting_count += 1

    async def find(self, host: str, key: Key | None) -> Found | None:
        """What `ask` tells; raises what the driver raises, and `TooManyWaiting`."""
        future: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self.ask(host, key, partial(_settle, future))
        return await future

    async def _run(self, host: str, lane: _Lane) -> None:
        try:
            while lane.waiting:
                async with self._turns:
                    await self._take_turn(host, lane)
        finally:
            del self._lanes[host]
            self._waiting_count -= len(lane.waiting)
            for question in lane.waiting:
                question.told(asyncio.CancelledError())

    async def _take_turn(self, host: str, lane: _Lane) -> None:
        """Ask in one transaction until nobody waits here, or another host may want the turn."""
        asked: list[_Question] | None = None
        loop = asyncio.get_running_loop()
        try:
            async with self._database.transaction(
                _IDENTITY, read_only=True, statement_timeout_s=self._timeout_s
            ) as connection:
                for _ in range(_QUERIES_A_TURN_MAX):
                    if not await _is_enough_asked(lane):
                        break
                    asked = self._cut(lane)
                    keys = [question.key for question in asked if question.key is not None]
                    found = await resolve_at_host(connection, host, keys)
                    # Soon: the next query goes out first. And before the commit, which changes nothing.
                    lane.telling_count += 1
                    loop.call_soon(_tell, lane, _answers(asked, found))
                    asked = []
                    if self._turns.locked():
                        break
        except BaseException as error:
            for question in self._cut(lane) if asked is None else asked:
                question.told(error)  # Who handles it.
            if not isinstance(error, Exception):
                raise

    def _cut(self, lane: _Lane) -> list[_Question]:
        count = min(max(_KEYS_ENOUGH, -(-len(lane.waiting) // 2)), KEYS_MAX)
        cut = lane.waiting[:count]
        del lane.waiting[:count]
        self._waiting_count -= len(cut)
        return cut


async def _is_enough_asked(lane: _Lane) -> bool:
    """Wait as long as more questions keep coming, until there are enough; False if nobody asks any more."""
    while (count := len(lane.waiting)) < _KEYS_ENOUGH:
        await asyncio.sleep(0)
        if len(lane.waiting) == count and not lane.telling_count:
            break
    return bool(lane.waiting)


def _answers(asked: list[_Question], found: AtHost | None) -> Iterator[tuple[Told, Found | None]]:
    if found is None:
        yield from ((question.told, None) for question in asked)
        return
    subjects = iter(found.subjects)
    for key, told in asked:
        yield told, (found.host, next(subjects) if key is not None else None)


def _tell(lane: _Lane, answers: Iterator[tuple[Told, Found | None]]) -> None:
    count = 0
    for told, answer in islice(answers, _TOLD_TOGETHER):
        told(answer)
        count += 1
    if count == _TOLD_TOGETHER:
        asyncio.get_running_loop().call_soon(_tell, lane, answers)
    else:
        lane.telling_count -= 1


def _settle(future: asyncio.Future[Found | None], found: Found | BaseException | None) -> None:
    if future.done():
        return
    if isinstance(found, asyncio.CancelledError):
        future.cancel()
    elif isinstance(found, BaseException):
        future.set_exception(found)
    else:
        future.set_result(found)

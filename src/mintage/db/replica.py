"""A streaming replica: how old what it knows may be, looked at once a second.

Each look notes how far the primary's log reaches; once the replica has replayed that, it knows all that was
committed before the look. It is fresh while the last such look is at most `lag_s_max` seconds ago: no answer
of it is older, whatever becomes of the replica, the primary or the looking. A server that was promoted, or
that belongs to another primary, is no replica. Not here: what is read (`resolver`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import asyncpg

from mintage.db.connection import AWAY_ERRORS, Database, DatabaseRole, Identity
from mintage.db.queries import query
from mintage.telemetry import logger

LOOK_INTERVAL_S: Final = 1.0
REPLICA_TIMEOUT_S: Final = 2.0
"""As long as a read of the replica may take before the primary is asked instead."""

REPLICA_ERRORS: Final = (*AWAY_ERRORS, asyncpg.PostgresError)
"""What a replica raises while the primary may answer: replay cancels a query, a table is not there yet."""

_POSITION: Final = query("replica", "position")
_IDENTITY: Final = Identity(DatabaseRole.RESOLVER)
_log = logger("db")


class _Position(NamedTuple):
    """A server's place in the log; `position` None on a replica that has replayed nothing."""

    cluster: int
    is_replica: bool
    position: int | None


class _Mark(NamedTuple):
    """The primary's log reached `position` at `noted_at` or later."""

    position: int
    noted_at: float


class Replica:
    """Read from `database` while `is_fresh`. Have `run` run as a task until it is cancelled.

    `clock` is in seconds and never set back. Whoever opened `database` closes it.
    """

    def __init__(
        self,
        database: Database,
        primary: Database,
        *,
        lag_s_max: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self._primary = primary
        self._lag_s_max = lag_s_max
        self._clock = clock
        self._marks: deque[_Mark] = deque(maxlen=int(lag_s_max / LOOK_INTERVAL_S) + 1)
        self._cluster: int | None = None
        self._has_all_until: float | None = None
        self._was_fresh = False

    @property
    def is_fresh(self) -> bool:
        """True while the replica has all that was committed on the primary `lag_s_max` seconds ago."""
        return (
            self._has_all_until is not None
            and self._clock() - self._has_all_until <= self._lag_s_max
        )

    @property
    def age_s(self) -> float | None:
        """For how long at most the replica has been without what was committed; None while nobody knows."""
        return None if self._has_all_until is None else self._clock() - self._has_all_until

    def failed(self, error: BaseException) -> None:
        """A read of the replica failed: it is not asked again before a look has found it well."""
        self._has_all_until = None
        self._tell(type(error).__name__)

    async def run(self) -> None:
        """Look every `LOOK_INTERVAL_S`, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - the next look tries again; without one it is not fresh
                _log.exception("looking at the replica failed")
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def look(self) -> None:
        """Find out what the replica has by now."""
        await self._note_primary()
        try:
            found = await _position_of(self.database)
        except REPLICA_ERRORS as error:
            self.failed(error)
            return
        if not found.is_replica or found.position is None or found.cluster != self._cluster:
            self._has_all_until = None
            self._tell("it is no replica of this primary")
            return
        while self._marks and self._marks[0].position <= found.position:
            self._has_all_until = self._marks.popleft().noted_at
        self._tell("it is behind, or nobody knows")

    async def _note_primary(self) -> None:
        noted_at = self._clock()
        try:
            found = await _position_of(self._primary)
        except REPLICA_ERRORS:
            return
        if not found.is_replica and found.position is not None:
            self._cluster = found.cluster
            self._marks.append(_Mark(found.position, noted_at))

    def _tell(self, reason: str) -> None:
        is_fresh = self.is_fresh
        if is_fresh and not self._was_fresh:
            _log.info("the replica is read from")
        elif self._was_fresh and not is_fresh:
            _log.warning("the replica is not read from", reason=reason)
        self._was_fresh = is_fresh


async def _position_of(database: Database) -> _Position:
    async with (
        asyncio.timeout(REPLICA_TIMEOUT_S),
        database.transaction(_IDENTITY, read_only=True) as connection,
    ):
        [row] = await connection.fetch(_POSITION)
        return _Position(row["cluster"], row["is_replica"], row["position"])

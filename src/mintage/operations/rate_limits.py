"""How many calls one caller may make in one brand: `Limits.calls_a_minute`, over all processes (SPEC §2).

A process counts for itself first, without the database. A caller's first few calls are only counted;
from then on he is given calls by the share: one statement charges those that were counted and takes some
more of what is left, and they are used up before the database is asked again. What is left unused of a
share is forgotten after a while. Not here: the arithmetic (`rules.rates`), and who asks (`perform`).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from mintage import meters
from mintage.db.connection import AWAY_ERRORS, Database
from mintage.db.queries import query
from mintage.errors import RATE_LIMITED, MintageError
from mintage.operations.call import ANONYMOUS, Transactions
from mintage.rules.rates import Rate, take, whole_seconds
from mintage.settings import Limits

PERIOD_S: Final = 60.0
SHARE_LIFETIME_S: Final = 10.0
_UNASKED_S: Final = 1.0
_COUNTED_FIRST_DIVISOR: Final = 10
_TAKE_SHARE: Final = query("rate_limit", "take_share")
_REMOVE_PAID_BACK: Final = query("rate_limit", "remove_paid_back")


@dataclass(slots=True)
class _Bucket:
    """One caller in one brand, as this process knows it; times are of its monotonic clock."""

    counted_max: int
    paid_back_at: float = 0.0
    counted: int = 0
    share: int = 0
    share_ends_at: float = 0.0
    refused_until: float = 0.0
    unasked_until: float = 0.0
    last_asked_at: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class CallRates:
    """The calls of this process. `clock` gives monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, UUID | None], _Bucket] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._buckets)

    async def count(
        self, database: Database, limits: Limits, caller: str, brand_id: UUID | None
    ) -> None:
        """Count one call of `caller` in the brand (None for what is in no brand).

        Raises `MintageError` 429 with the seconds to wait. While the database is away this process's own
        count is the limit.
        """
        rate = Rate(limits.calls_a_minute, PERIOD_S)
        bucket = self._bucket(limits, caller, brand_id)
        self._count_here(bucket, rate)
        if self._has_call(bucket):
            return
        async with bucket.asking:
            # Whoever asked meanwhile may have been given enough, or refused.
            self._refuse_until(bucket, rate)
            if self._has_call(bucket):
                return
            await self._ask(database, limits, bucket, rate, _hash(caller, brand_id))

    def _bucket(self, limits: Limits, caller: str, brand_id: UUID | None) -> _Bucket:
        now = self.clock()
        key = (caller, brand_id)
        bucket = self._buckets.pop(key, None)
        if bucket is None or now - bucket.last_asked_at > PERIOD_S:
            counted_max = min(
                limits.calls_counted_first_max, limits.calls_a_minute // _COUNTED_FIRST_DIVISOR
            )
            bucket = _Bucket(counted_max)
            while len(self._buckets) >= limits.callers_counted_max:
                del self._buckets[next(iter(self._buckets))]
        bucket.last_asked_at = now
        self._buckets[key] = bucket
        return bucket

    def _count_here(self, bucket: _Bucket, rate: Rate) -> None:
        self._refuse_until(bucket, rate)
        taken = take(rate, bucket.paid_back_at, self.clock())
        if taken.wait_s > 0:
            raise _too_many(taken.wait_s, rate)
        bucket.paid_back_at = taken.paid_back_at

    def _refuse_until(self, bucket: _Bucket, rate: Rate) -> None:
        wait_s = bucket.refused_until - self.clock()
        if wait_s > 0:
            raise _too_many(wait_s, rate)

    def _has_call(self, bucket: _Bucket) -> bool:
        if bucket.share > 0 and bucket.share_ends_at > self.clock():
            bucket.share -= 1
            return True
        if bucket.counted < bucket.counted_max:
            bucket.counted += 1
            return True
        return bucket.unasked_until > self.clock()

    async def _ask(
        self, database: Database, limits: Limits, bucket: _Bucket, rate: Rate, key: bytes
    ) -> None:
        try:
            async with database.transaction(
                ANONYMOUS.identity(None), waits_for_disk=False
            ) as connection:
                row = await connection.fetchrow(
                    _TAKE_SHARE,
                    key,
                    bucket.counted,
                    limits.calls_share_max,
                    rate.calls,
                    rate.period_s,
                )
        except AWAY_ERRORS:
            # Whoever waits here would wait for the database one after the other.
            bucket.unasked_until = self.clock() + _UNASKED_S
            return
        # Counted calls are charged now, and no more of them are made before a caller has been idle.
        bucket.counted = bucket.counted_max = 0
        granted, owed_s = (0, rate.period_s) if row is None else (row["granted"], row["owed_s"])
        if granted == 0:
            wait_s = take(rate, owed_s, 0.0).wait_s
            bucket.refused_until = self.clock() + wait_s
            raise _too_many(wait_s, rate)
        bucket.share = granted - 1
        bucket.share_ends_at = self.clock() + SHARE_LIFETIME_S


async def remove_old_rate_limits(transactions: Transactions) -> int:
    """Remove the rows of callers who owe nothing any more; how many."""
    async with transactions.database.transaction(transactions.caller.identity(None)) as connection:
        status = await connection.execute(_REMOVE_PAID_BACK)
    return int(status.split()[-1])


def _hash(caller: str, brand_id: UUID | None) -> bytes:
    """The row's key: a table that any caller's transaction may read names nobody."""
    return hashlib.sha256(f"{brand_id}\n{caller}".encode()).digest()


def _too_many(wait_s: float, rate: Rate) -> MintageError:
    meters.RATE_LIMITED.labels("calls").inc()
    return MintageError(
        RATE_LIMITED,
        hint=f"at most {rate.calls} calls a minute are taken of one caller in one brand",
        retry_after_s=whole_seconds(wait_s),
    )

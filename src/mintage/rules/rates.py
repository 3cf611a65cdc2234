"""How often something may be done: GCRA, the generic cell rate algorithm, as pure functions of times.

All that is kept of a caller is one time, `paid_back_at`: until then his calls are owed. A call moves it
by one interval; it may lie one period ahead, so `calls` may come at once, and then one per interval.
Times are seconds of any one clock. Not here: where the time is kept (`operations.rate_limits`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

SHARES_OF_WHAT_IS_LEFT = 8
# A float of seconds keeps a microsecond; less than that is rounding, never a caller's haste.
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """`calls` (1 or more) in `period_s` seconds."""

    calls: int
    period_s: float

    @property
    def interval_s(self) -> float:
        """Seconds in which one call is paid back."""
        return self.period_s / self.calls


class Taken(NamedTuple):
    """`wait_s` is 0 for a call that may be made; else nothing was taken, and after it one may be."""

    paid_back_at: float
    wait_s: float


def take(rate: Rate, paid_back_at: float, now: float) -> Taken:
    """One call at `now` of a caller whose calls are owed until `paid_back_at`."""
    after = max(paid_back_at, now) + rate.interval_s
    wait_s = after - now - rate.period_s
    return Taken(after, 0.0) if wait_s <= _ROUNDING_S else Taken(paid_back_at, wait_s)


def calls_left(rate: Rate, paid_back_at: float, now: float) -> int:
    """How many calls may be made at `now`, at once."""
    owed_s = max(paid_back_at - now, 0.0)
    return max(math.floor((rate.period_s - owed_s + _ROUNDING_S) / rate.interval_s), 0)


def share_of(left: int, share_max: int) -> int:
    """How many of the `left` calls one process is given at a time: the fewer the less are left.

    So processes that share a limit leave few unused when it is reached.
    """
    return min(share_max, -(-left // SHARES_OF_WHAT_IS_LEFT))


def whole_seconds(wait_s: float) -> int:
    """`wait_s` for a Retry-After header: rounded up, at least 1 (RFC 9110 §10.2.3)."""
    return max(math.ceil(wait_s - _ROUNDING_S), 1)

"""How often a password may be tried: 5 a minute per account and address (SECURITY).

Counted in this process by GCRA (the generic cell rate algorithm): one time per key says when its
tries are paid back. Not here: whether a password is right.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

TRIES_A_MINUTE: Final = 5
KEYS_MAX: Final = 10_000
_INTERVAL_S: Final = 60 / TRIES_A_MINUTE
_BURST_S: Final = _INTERVAL_S * (TRIES_A_MINUTE - 1)


@dataclass(slots=True)
class Tries:
    """Tries by (account, address). `clock` gives monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    _paid_back_at: dict[tuple[str, str], float] = field(default_factory=dict, init=False)

    def take(self, account: str, address: str) -> int | None:
        """Take one try; None if there was one, else the whole seconds until there is."""
        key, now = (account, address), self.clock()
        paid_back_at = max(self._paid_back_at.pop(key, now), now)
        wait_s = paid_back_at - now - _BURST_S
        if wait_s > 0:
            self._paid_back_at[key] = paid_back_at
            return math.ceil(wait_s)
        self._make_room(now)
        self._paid_back_at[key] = paid_back_at + _INTERVAL_S
        return None

    def wait_s(self, account: str, address: str) -> int | None:
        """As `take`, and takes none: None if there is a try, else the seconds until there is."""
        now = self.clock()
        wait_s = self._paid_back_at.get((account, address), now) - now - _BURST_S
        return math.ceil(wait_s) if wait_s > 0 else None

    def give_back(self, account: str, address: str) -> None:
        """Forget the tries of one who has shown the right password."""
        self._paid_back_at.pop((account, address), None)

    def __len__(self) -> int:
        return len(self._paid_back_at)

    def _make_room(self, now: float) -> None:
        # Keys stand in the order of their last try: the front ones are paid back first, nearly.
        while self._paid_back_at:
            oldest = next(iter(self._paid_back_at))
            if self._paid_back_at[oldest] > now and len(self._paid_back_at) < KEYS_MAX:
                return
            del self._paid_back_at[oldest]

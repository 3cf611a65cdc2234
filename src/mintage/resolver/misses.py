"""The limit on misses: 60 a minute from one IPv4 address or IPv6 /64 (RESOLVER; SECURITY, enumeration).

Counted in this process. A minute begins with the first miss; after the 60th, the address is told nothing
more until the minute is over.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from mintage.resolver.origins import Address, Network
from mintage.settings import Limits

_WINDOW_S: Final = 60.0


@dataclass(slots=True)
class _Window:
    ends_at: float
    misses: int


class MissLimit:
    """Counts misses by address; holds at most `Limits.miss_addresses_max` of them, the oldest go first."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._misses_max = limits.misses_a_minute_max
        self._addresses_max = limits.miss_addresses_max
        self._clock = clock
        self._windows: dict[Address | Network, _Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def wait_s(self, address: Address | None) -> int | None:
        """Seconds for which `address` is told nothing, or None if it may ask."""
        if address is None or not self._windows:
            return None
        window = self._windows.get(_counted_as(address))
        now = self._clock()
        if window is None or window.ends_at <= now or window.misses < self._misses_max:
            return None
        return max(1, math.ceil(window.ends_at - now))

    def count(self, address: Address | None) -> None:
        """One more miss of `address`."""
        if address is None:
            return
        key = _counted_as(address)
        now = self._clock()
        window = self._windows.get(key)
        if window is not None and window.ends_at > now:
            window.misses += 1
            return
        self._windows.pop(key, None)
        self._make_room(now)
        self._windows[key] = _Window(now + _WINDOW_S, 1)

    def _make_room(self, now: float) -> None:
        # All windows are of one length, so they end in the order in which they were put in.
        while self._windows:
            oldest = next(iter(self._windows))
            is_over = self._windows[oldest].ends_at <= now
            if not is_over and len(self._windows) < self._addresses_max:
                return
            del self._windows[oldest]


def _counted_as(address: Address) -> Address | Network:
    return address if address.version == 4 else ip_network((address, 64), strict=False)

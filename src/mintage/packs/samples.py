"""Which units of a pack are read back before it is closed: the first, the last, and some between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def sample_of(items: Sequence[_Item], count_max: int) -> list[_Item]:
    """At most `count_max` (2 or more) of `items`, evenly spread, the ends among them; always the same."""
    if len(items) <= count_max:
        return list(items)
    step = (len(items) - 1) / (count_max - 1)
    return [items[round(place * step)] for place in range(count_max)]

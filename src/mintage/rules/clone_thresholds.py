"""From where on scans of one unit look like those of a copy: thresholds, which a brand may change.

Not here: counting scans. A unit's severity is the highest whose threshold it reaches (RESOLVER,
"Clone signal"): `info` below all of them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

THRESHOLD_MAX: Final = 1_000_000
DEFAULTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        # Scans of a unit in one UTC day, at least so many.
        "scans_a_day_review": 10,
        "scans_a_day_elevated": 30,
        "scans_a_day_high": 100,
        # Countries that a unit was scanned in within one UTC day, at least so many.
        "countries_a_day_review": 2,
        "countries_a_day_elevated": 3,
        "countries_a_day_high": 5,
        # Minutes between two scans of a unit in different countries, at most so many.
        "travel_minutes_review": 120,
        "travel_minutes_elevated": 60,
        "travel_minutes_high": 15,
    }
)
_RISING: Final = ("scans_a_day", "countries_a_day")
_FALLING: Final = ("travel_minutes",)


def thresholds_of(changes: Mapping[str, int]) -> dict[str, int]:
    """All thresholds: a brand's own where it has set them."""
    return {name: changes.get(name, default) for name, default in DEFAULTS.items()}


def out_of_order(thresholds: Mapping[str, int]) -> list[str]:
    """The thresholds of `high` or `elevated` that are reached before the milder one is."""
    wrong = []
    for name in (*_RISING, *_FALLING):
        for milder, graver in (("review", "elevated"), ("elevated", "high")):
            step = thresholds[f"{name}_{graver}"] - thresholds[f"{name}_{milder}"]
            if (step < 0) if name in _RISING else (step > 0):
                wrong.append(f"{name}_{graver}")
    return wrong

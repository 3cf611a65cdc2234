"""The overview: the brand's figures, its days, what runs now, what happened last, what looks like clones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from starlette.responses import Response

from mintage.console.choices import CHOOSE_RUNNING_BATCH
from mintage.console.render import fragment, page
from mintage.console.rows import Bar
from mintage.console.visit import Visit
from mintage.operations import overview as operations_overview
from mintage.rpcs import Rpc

DAYS: Final = 30
_READ: Final = Rpc(
    operations_overview.read_overview,
    operations_overview.ReadOverview,
    "mint:read",
    is_read_only=True,
)
RUNNING_MAX: Final = 10
SIGNAL_DAYS: Final = 7
SIGNALS_MAX: Final = 6
_CHART_WIDTH: Final = 600
_CHART_HEIGHT: Final = 120


async def overview(visit: Visit) -> Response:
    """`GET /console/b/<slug>/`."""
    found = await visit.ask_own(_READ, days=DAYS, signal_days=SIGNAL_DAYS)
    days = found["days"]
    return page(
        visit,
        "overview.html",
        section="overview",
        kpis=found["kpis"],
        minted=bars(days, "units_minted"),
        scanned=bars(days, "scans"),
        chart_width=_CHART_WIDTH,
        chart_height=_CHART_HEIGHT,
        events=found["events"],
        names=found["names"],
        signals=_by_unit(found["signals"]),
        signal_days=SIGNAL_DAYS,
        running=found["running"],
    )


async def running(visit: Visit) -> Response:
    """`GET …/running`: the batches that are being minted, again and again."""
    return fragment(visit, "parts/running.html", running=await _running(visit))


def _by_unit(signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Units whose scans look like those of a copy, the latest first, each once with its worst."""
    worst: dict[object, dict[str, Any]] = {}
    for scan in signals:
        known = worst.get(scan["unit_id"])
        if known is None or (scan["severity"], known["severity"]) == ("high", "elevated"):
            worst[scan["unit_id"]] = scan
    latest = sorted(worst.values(), key=lambda scan: scan["scanned_at"], reverse=True)
    return latest[:SIGNALS_MAX]


async def _running(visit: Visit) -> list[dict[str, Any]]:
    answer = await visit.ask_own(CHOOSE_RUNNING_BATCH, limit=RUNNING_MAX)
    found: list[dict[str, Any]] = answer["batches"]
    return found


def bars(days: Sequence[dict[str, Any]], figure: str) -> list[Bar]:
    """A bar per day, the highest as high as the chart; all of height 0 where nothing happened."""
    values = [day[figure] for day in days]
    scale = (_CHART_HEIGHT - 4) / (max(values, default=0) or 1)
    found = []
    for day, value, (x, width) in zip(days, values, _places(len(days)), strict=True):
        # A day on which something happened is seen, however little it was.
        height = max(round(value * scale, 2), 2.0) if value else 0.0
        found.append(Bar(x, round(_CHART_HEIGHT - height, 2), width, height, day["day"], value))
    return found


@lru_cache(maxsize=8)
def _places(count: int) -> tuple[tuple[float, float], ...]:
    """Where each of `count` bars begins, and how wide it is."""
    step = _CHART_WIDTH / max(count, 1)
    return tuple(
        (round(index * step + step * 0.14, 2), round(step * 0.72, 2)) for index in range(count)
    )

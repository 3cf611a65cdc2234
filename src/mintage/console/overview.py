"""The overview: the brand's figures, its days, what runs now, what happened last, what looks like clones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from mintage.console.choices import CHOOSE_RUNNING_BATCH
from mintage.console.pieces import Bar
from mintage.console.render import fragment, page
from mintage.console.visit import Visit
from mintage.operations import scan_events
from mintage.rpcs import Rpc

DAYS: Final = 30
_SIGNALS: Final = Rpc(
    scan_events.list_scan_signals, scan_events.ListScanSignals, "mint:read", is_read_only=True
)
RUNNING_MAX: Final = 10
EVENTS_MAX: Final = 8
SIGNAL_DAYS: Final = 7
SIGNALS_MAX: Final = 6
_CHART_WIDTH: Final = 600
_CHART_HEIGHT: Final = 120


async def overview(visit: Visit) -> Response:
    """`GET /console/b/<slug>/`."""
    kpis, activity, events, signals, running = await asyncio.gather(
        visit.ask("get_mint_kpis"),
        visit.ask("get_scan_activity", days=DAYS),
        visit.ask("list_mint_events", limit=EVENTS_MAX),
        _signals(visit),
        _running(visit),
    )
    days = activity["days"]
    return page(
        visit,
        "overview.html",
        section="overview",
        kpis=kpis["kpis"],
        minted=bars(days, "units_minted"),
        scanned=bars(days, "scans"),
        chart_width=_CHART_WIDTH,
        chart_height=_CHART_HEIGHT,
        events=events["events"],
        signals=signals,
        signal_days=SIGNAL_DAYS,
        running=running,
    )


async def running(visit: Visit) -> Response:
    """`GET …/running`: the batches that are being minted, again and again."""
    return fragment(visit, "parts/running.html", running=await _running(visit))


async def _signals(visit: Visit) -> list[dict[str, Any]]:
    """Units whose scans look like those of a copy, the latest first, each once with its worst."""
    since = datetime.now(UTC) - timedelta(days=SIGNAL_DAYS)
    answer = await visit.ask_own(_SIGNALS, since=since, limit=SIGNALS_MAX * 4)
    by_unit: dict[object, dict[str, Any]] = {}
    for scan in answer["scan_events"]:
        by_unit.setdefault(scan["unit_id"], scan)
    latest = sorted(by_unit.values(), key=lambda scan: scan["scanned_at"], reverse=True)
    return latest[:SIGNALS_MAX]


async def _running(visit: Visit) -> list[dict[str, Any]]:
    answer = await visit.ask_own(CHOOSE_RUNNING_BATCH, limit=RUNNING_MAX)
    found: list[dict[str, Any]] = answer["batches"]
    return found


def bars(days: Sequence[dict[str, Any]], figure: str) -> list[Bar]:
    """A bar per day, the highest as high as the chart; all of height 0 where nothing happened."""
    highest = max((day[figure] for day in days), default=0)
    step = _CHART_WIDTH / max(len(days), 1)
    found = []
    for index, day in enumerate(days):
        value = day[figure]
        height = round(value / highest * (_CHART_HEIGHT - 4), 2) if highest else 0.0
        if value and height < 2:
            height = 2.0  # A day on which something happened is seen, however little it was.
        found.append(
            Bar(
                x=round(index * step + step * 0.14, 2),
                y=round(_CHART_HEIGHT - height, 2),
                width=round(step * 0.72, 2),
                height=height,
                day=str(day["day"]),
                value=value,
            )
        )
    return found

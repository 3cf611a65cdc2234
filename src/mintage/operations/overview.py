"""A brand's first page, read in one statement: figures, days, latest events, signs of copies, what is minted.

Of no public table: the API has an RPC for each of these (`kpis`, `scan_activity`, `mint_events`,
`scan_events`), and what is told here is what they tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field

from mintage.db.queries import query
from mintage.operations.arguments import BrandArguments
from mintage.operations.call import Answer, Call
from mintage.operations.kpis import kpis_of

_READ: Final = query("overview", "read")
_RECENT_DAYS: Final = 7

DayOfMetric = tuple[str, str, int]
"""A UTC day as text, a metric and its value."""


class ReadOverview(BrandArguments):
    days: Annotated[int, Field(ge=_RECENT_DAYS, le=90, description="an integer from 7 to 90")]
    signal_days: Annotated[int, Field(ge=1, le=90, description="an integer from 1 to 90")]


async def read_overview(call: Call, arguments: ReadOverview) -> Answer:
    """`{ok, kpis, days, events, names, signals, running}`.

    `kpis` as `get_mint_kpis`, `days` as `get_scan_activity`; `events` are the newest eight, `names` as
    `choices.name_actors` answers them; `signals` the newest scans of the last `_signal_days` that look like
    a copy's, high and elevated ones together; `running` up to ten batches that are minted or wait for it.
    """
    today = call.now.astimezone(UTC).date()
    first = today - timedelta(days=arguments.days - 1)
    row = await call.connection.fetchrow(
        _READ,
        call.brand_id,
        first,
        call.may("admin"),
        call.now - timedelta(days=arguments.signal_days),
    )
    if row is None:
        raise LookupError("a statement that answers one row answered none")
    since = (today - timedelta(days=_RECENT_DAYS - 1)).isoformat()
    recent: defaultdict[str, int] = defaultdict(int)
    for day, metric, value in row["folded"]:
        if since <= day <= today.isoformat():
            recent[metric] += value
    return {
        "ok": True,
        "kpis": kpis_of(row["totals"], recent, row["as_of"]),
        "days": _days(first, arguments.days, [*row["folded"], *row["waiting"]]),
        "events": _timed(row["events"], "created_at"),
        "names": row["names"],
        "signals": _timed(row["signals"], "scanned_at"),
        "running": row["running"],
    }


def _days(first: date, count: int, told: Sequence[DayOfMetric]) -> list[dict[str, Any]]:
    """`count` days from `first`, those on which nothing happened too."""
    days: dict[str, dict[str, Any]] = {
        (first + timedelta(days=number)).isoformat(): {
            "day": first + timedelta(days=number),
            "scans": 0,
            "units_minted": 0,
            "units_activated": 0,
        }
        for number in range(count)
    }
    for day, metric, value in told:
        of_day = days.get(day)
        if of_day is not None and metric in of_day:
            of_day[metric] += value
    return list(days.values())


def _timed(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Rows of JSON with the time `name` as a time."""
    for row in rows:
        row[name] = datetime.fromisoformat(row[name])
    return rows

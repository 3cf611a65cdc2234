"""Activity: every event of the brand, and its scans, with filters, and as CSV for a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from mintage.console.choices import ACTORS_MAX, NAME_ACTORS
from mintage.console.lists import Listed, listed
from mintage.console.render import HEADERS, page, url_of
from mintage.console.visit import Visit
from mintage.rules.lifecycle import EVENT_TYPES, SCAN_SEVERITIES

EVENT_FILTERS: Final = ("event_type", "mint_batch_id", "from", "to")
SCAN_FILTERS: Final = ("severity", "mint_batch_id", "product_id", "from", "to")
ROWS_MAX: Final = 100_000
_PAGE: Final = 200
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")
_EVENT_COLUMNS: Final = (
    "created_at",
    "event_type",
    "actor_type",
    "actor_id",
    "mint_batch_id",
    "mint_job_id",
    "payload",
    "id",
)
_SCAN_COLUMNS: Final = (
    "scanned_at",
    "outcome",
    "unit_id",
    "mint_lot_id",
    "product_id",
    "traffic_class",
    "country",
    "browser",
    "os",
    "device",
    "severity",
    "id",
)


async def events(visit: Visit) -> Response:
    """`GET /console/b/<slug>/activity`."""
    found, actors = await asyncio.gather(
        listed(visit, "list_mint_events", "events", EVENT_FILTERS, limit=50),
        visit.ask_own(NAME_ACTORS, limit=ACTORS_MAX),
    )
    return page(
        visit,
        "activity.html",
        section="activity",
        listed=found,
        event_types=EVENT_TYPES,
        names=actors["names"],
        csv_url=_csv_url(visit, "activity.csv", found),
    )


async def scans(visit: Visit) -> Response:
    """`GET /console/b/<slug>/activity/scans`."""
    found = await listed(visit, "list_scan_events", "scan_events", SCAN_FILTERS, limit=50)
    return page(
        visit,
        "scans.html",
        section="activity",
        listed=found,
        severities=SCAN_SEVERITIES,
        csv_url=_csv_url(visit, "activity/scans.csv", found),
    )


async def events_csv(visit: Visit) -> Response:
    """`GET …/activity.csv`: all rows that fit the filters, the newest 100,000 at most."""
    return await _csv(visit, "list_mint_events", "events", EVENT_FILTERS, _EVENT_COLUMNS)


async def scans_csv(visit: Visit) -> Response:
    """`GET …/activity/scans.csv`."""
    return await _csv(visit, "list_scan_events", "scan_events", SCAN_FILTERS, _SCAN_COLUMNS)


def _csv_url(visit: Visit, path: str, found: Listed) -> str:
    return url_of(visit.here.url(path), **found.filters)


async def _csv(
    visit: Visit, rpc_name: str, key: str, filters: tuple[str, ...], columns: tuple[str, ...]
) -> Response:
    # The first page before the answer begins: what is wrong with the filters is still an error then.
    first = await listed(visit, rpc_name, key, filters, limit=_PAGE)

    async def lines() -> AsyncIterator[str]:
        yield _line(columns)
        rows, cursor, written = first.rows, first.next_cursor, 0
        while True:
            yield "".join(_line([_cell(row[column]) for column in columns]) for row in rows)
            written += len(rows)
            if cursor is None or written >= ROWS_MAX:
                return
            answer = await visit.ask(rpc_name, **first.arguments, limit=_PAGE, cursor=cursor)
            rows, cursor = answer[key], answer["next_cursor"]

    if first.problems:
        return page(
            visit, "filters_wrong.html", section="activity", status=400, problems=first.problems
        )
    disposition = f'attachment; filename="{visit.here.slug}-{key}.csv"'
    return StreamingResponse(
        lines(),
        headers=HEADERS | {"content-disposition": disposition},
        media_type="text/csv; charset=utf-8",
    )


def _cell(value: Any) -> str:
    """A value as a cell; a text that a spreadsheet would read as a formula is quoted by an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    shown = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{shown}" if shown.startswith(_FORMULA_SIGNS) else shown


def _line(cells: tuple[str, ...] | list[str]) -> str:
    """A line of RFC 4180."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()

"""list_scan_events: the scans of a brand, newest first (CATALOGUE). Recording them is `scan_recording`."""

from __future__ import annotations

from typing import Final

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.operations.arguments_telemetry import ListScanEvents
from mintage.operations.call import Answer, Call
from mintage.operations.listing import BEGINNING, page_answer, start_position

_NEWEST: Final = query("scan_event", "list_newest")
_OF_UNIT: Final = query("scan_event", "list_of_unit")
_OF_SEVERITY: Final = query("scan_event", "list_of_severity")
_OF_BATCH: Final = query("scan_event", "list_of_batch")
_OF_PRODUCT: Final = query("scan_event", "list_of_product")


async def list_scan_events(call: Call, arguments: ListScanEvents) -> Answer:
    """One page of scan events in `(scanned_at desc, id desc)` order, by any of the filters."""
    unit_id, batch_id = arguments.unit_id, arguments.mint_batch_id
    product_id, severity = arguments.product_id, arguments.severity
    filters = {
        "unit": unit_id,
        "batch": batch_id,
        "product": product_id,
        "severity": severity,
        "from": arguments.from_,
        "to": arguments.to,
    }
    key = ListKey("list_scan_events", call.brand_id, filters)
    start = start_position(key, arguments.cursor, arguments.to)
    common = (
        call.brand_id,
        arguments.from_ or BEGINNING,
        start.created_at,
        start.id,
        arguments.limit + 1,
    )
    if unit_id is not None:
        rows = await call.connection.fetch(
            _OF_UNIT, *common, unit_id, batch_id, product_id, severity
        )
    elif severity is not None:
        rows = await call.connection.fetch(_OF_SEVERITY, *common, severity, batch_id, product_id)
    elif batch_id is not None:
        rows = await call.connection.fetch(_OF_BATCH, *common, batch_id, product_id)
    elif product_id is not None:
        rows = await call.connection.fetch(_OF_PRODUCT, *common, product_id)
    else:
        rows = await call.connection.fetch(_NEWEST, *common)
    listed = [dict(row) for row in rows]
    return page_answer(key, "scan_events", listed, arguments.limit, time="scanned_at")

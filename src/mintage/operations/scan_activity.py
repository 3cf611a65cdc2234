"""get_scan_activity: scans, minted and activated units by day (CATALOGUE), read from the tallies alone."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Final

from mintage.db.queries import query
from mintage.operations.arguments_telemetry import GetScanActivity
from mintage.operations.call import Answer, Call

_ACTIVITY: Final = query("scan_event", "activity")


async def get_scan_activity(call: Call, arguments: GetScanActivity) -> Answer:
    """The last `_days` UTC days, today the last of them, oldest first: `{ok, days}`."""
    today = call.now.astimezone(UTC).date()
    first = today - timedelta(days=arguments.days - 1)
    rows = await call.connection.fetch(_ACTIVITY, call.brand_id, first, today)
    return {"ok": True, "days": [dict(row) for row in rows]}

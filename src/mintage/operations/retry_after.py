"""When a receiver under load wants to be called again: its `Retry-After`, read and bounded (decision 0295).

Not here: what comes of it (`webhook_sending`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

RETRY_AFTER_STATUSES: Final = frozenset({429, 502, 503, 504})
"""Answers of a receiver that is under load: what they say of when to come again is heard."""
_SECONDS: Final = re.compile("[0-9]+")


def asked_delay_s(retry_after: str | None, schedule_s: tuple[float, ...], now: datetime) -> float:
    """Seconds for which a receiver wants no call: its `Retry-After` (RFC 9110 §10.2.3), seconds or a date.

    The longest pause of the schedule at most; 0 for what is neither, or past.
    """
    if retry_after is None:
        return 0.0
    value = retry_after.strip()
    if _SECONDS.fullmatch(value):
        asked_s = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, IndexError, TypeError, OverflowError):
            return 0.0
        if moment.tzinfo is None:  # The oldest of the three forms names no zone: it is GMT.
            moment = moment.replace(tzinfo=UTC)
        asked_s = (moment - now).total_seconds()
    return min(max(asked_s, 0.0), max(schedule_s))

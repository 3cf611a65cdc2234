"""What webhooks tell of, and how a failed delivery is tried again (Standard Webhooks).

Not here: where a webhook may lead (`webhook_urls`), and what it is told (`operations.webhook_outbox`).
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal, get_args

WebhookEventType = Literal[
    "mint_job.completed",
    "mint_job.failed",
    "mint_job.retried",
    "mint_batch.status_changed",
    "payload_pack.completed",
    "payload_pack.failed",
    "export_group.completed",
    "export_group.failed",
    "clone_signal.raised",
]
WebhookStatus = Literal["active", "disabled", "removed"]
WebhookDeliveryStatus = Literal["pending", "delivered", "failed"]
DisabledReason = Literal["failing", "gone"]
DeliveryFailure = Literal[
    "HTTP_STATUS",
    "GONE",
    "REDIRECTED",
    "TIMEOUT",
    "CONNECTION_FAILED",
    "TLS_FAILED",
    "NAME_NOT_RESOLVED",
    "ADDRESS_REFUSED",
    "ANSWER_UNREADABLE",
    "WEBHOOK_DISABLED",
    "WEBHOOK_REMOVED",
]

WEBHOOK_EVENT_TYPES: Final[tuple[WebhookEventType, ...]] = get_args(WebhookEventType)
WEBHOOK_STATUSES: Final[tuple[WebhookStatus, ...]] = get_args(WebhookStatus)
WEBHOOK_DELIVERY_STATUSES: Final[tuple[WebhookDeliveryStatus, ...]] = get_args(
    WebhookDeliveryStatus
)
JITTER: Final = 0.1
RETRY_AFTER_STATUSES: Final = frozenset({429, 502, 503, 504})
"""Answers of a receiver that is under load: what they say of when to come again is heard."""
_SECONDS: Final = re.compile("[0-9]+")


def retry_delay_s(
    schedule_s: tuple[float, ...], attempts: int, draw: float, asked_s: float = 0.0
) -> float | None:
    """Seconds until the try after `attempts` failed ones (1 or more); None when there is none left.

    `draw`, from 0 to 1, moves it by up to a tenth either way: what failed together comes back apart. It is
    never less than the receiver asked for (`asked_s`, as `asked_delay_s` bounds it).
    """
    if attempts > len(schedule_s):
        return None
    return max(schedule_s[attempts - 1] * (1 + JITTER * (2 * draw - 1)), asked_s)


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

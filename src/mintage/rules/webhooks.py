"""What webhooks tell of, and how a failed delivery is tried again (Standard Webhooks).

Not here: where a webhook may lead (`webhook_urls`), and what it is told (`operations.webhook_outbox`).
"""

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


def retry_delay_s(
    schedule_s: tuple[float, ...], attempts: int, draw: float, asked_s: float = 0.0
) -> float | None:
    """Seconds until the try after `attempts` failed ones (1 or more); None when there is none left.

    `draw`, from 0 to 1, moves it by up to a tenth either way: what failed together comes back apart. It is
    never less than the receiver asked for (`asked_s`).
    """
    if attempts > len(schedule_s):
        return None
    return max(schedule_s[attempts - 1] * (1 + JITTER * (2 * draw - 1)), asked_s)

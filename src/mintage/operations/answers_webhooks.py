"""What the RPCs of webhooks answer. The base: `answer_models`."""

from __future__ import annotations

from typing import Literal

from mintage.operations.answer_models import Count, Id, Moment, Page, Success, Wire
from mintage.rules.webhooks import (
    DeliveryFailure,
    DisabledReason,
    WebhookDeliveryStatus,
    WebhookEventType,
)


class WebhookRow(Wire):
    id: Id
    url: str
    event_types: list[WebhookEventType]
    status: Literal["active", "disabled"]
    disabled_reason: DisabledReason | None
    disabled_at: Moment | None
    failing_since: Moment | None
    held_until: Moment | None
    created_at: Moment


class WebhookMade(Success):
    """`secret` is shown this once."""

    webhook: WebhookRow
    secret: str


class WebhookPage(Page):
    webhooks: list[WebhookRow]


class WebhookDelivery(Wire):
    """`answer_code`, `failure` and `answer_excerpt` are of the last try; `event_id` is its webhook-id."""

    id: Id
    event_id: Id
    event_type: WebhookEventType
    data: dict[str, object]
    status: WebhookDeliveryStatus
    attempts: Count
    next_try_at: Moment | None
    last_attempt_at: Moment | None
    answer_code: int | None
    failure: DeliveryFailure | None
    answer_excerpt: str | None
    delivered_at: Moment | None
    created_at: Moment


class WebhookDeliveryPage(Page):
    deliveries: list[WebhookDelivery]


class Redelivered(Success):
    """How many deliveries are pending again; `webhook_delivery_id` where one was named."""

    webhook_delivery_id: Id | None
    status: Literal["pending"]
    redelivered: Count
    has_more: bool

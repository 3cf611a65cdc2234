"""The arguments of the RPCs of webhooks. Not here: how raw JSON becomes them (`arguments`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints

from mintage.errors import ArgumentProblem
from mintage.operations.argument_checks import distinct, stated
from mintage.operations.arguments import BrandArguments, Cursor, From, Limit, To, Uuid
from mintage.rules import webhooks

WebhookId = Annotated[Uuid, Field(description="the UUID of a webhook")]
REDELIVER_HINT: Final = (
    "give exactly one of _webhook_delivery_id (that delivery) and _webhook_id (all of it that failed, "
    "from _from to _to if they are given)"
)
WebhookDeliveryId = Annotated[Uuid, Field(description="the UUID of a webhook delivery")]


class CreateWebhook(BrandArguments):
    url: Annotated[str, StringConstraints(min_length=9, max_length=2000)] = Field(
        description="an https:// URL of at most 2,000 characters that leads to a public host"
    )
    event_types: Annotated[
        list[webhooks.WebhookEventType],
        Field(min_length=1, max_length=len(webhooks.WEBHOOK_EVENT_TYPES)),
        AfterValidator(distinct),
        stated(uniqueItems=True),
    ] = Field(
        description="a list of one or more different ones of "
        + ", ".join(webhooks.WEBHOOK_EVENT_TYPES)
    )
    webhook_id: WebhookId | None = None


class ListWebhooks(BrandArguments):
    limit: Limit = 20
    cursor: Cursor | None = None


class RemoveWebhook(BrandArguments):
    webhook_id: WebhookId


class ListWebhookDeliveries(BrandArguments):
    webhook_id: WebhookId
    status: webhooks.WebhookDeliveryStatus | None = Field(
        default=None, description="pending, delivered or failed"
    )
    limit: Limit = 20
    cursor: Cursor | None = None


class RedeliverWebhook(BrandArguments):
    webhook_delivery_id: WebhookDeliveryId | None = None
    webhook_id: WebhookId | None = None
    from_: From | None = Field(default=None, alias="_from")
    to: To | None = None

    @classmethod
    def faults_beyond_types(cls, sound: Mapping[str, Any]) -> list[ArgumentProblem]:
        if "_webhook_delivery_id" not in sound:
            return []
        problem = "is given with _webhook_delivery_id"
        return [
            ArgumentProblem(name, problem, REDELIVER_HINT)
            for name in ("_webhook_id", "_from", "_to")
            if name in sound
        ]

"""Webhooks: made and given another secret, listed, removed; their deliveries listed and sent again.

A secret is answered once, when it is made, and kept sealed (`webhook_secrets`). Not here: what is told
(`webhook_outbox`) and how it is sent (`webhook_sending`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input, not_found
from mintage.operations.arguments_webhooks import (
    REDELIVER_HINT,
    CreateWebhook,
    ListWebhookDeliveries,
    ListWebhooks,
    RedeliverWebhook,
    RemoveWebhook,
)
from mintage.operations.call import Answer, BlockingReason, Call, Refused
from mintage.operations.events import record_event
from mintage.operations.listing import BEGINNING, END, page_answer, start_position
from mintage.operations.webhook_secrets import new_secret, secret_text
from mintage.rules.webhook_urls import WebhookUrlProblem, read_webhook_url

_LOCK_BRAND: Final = query("webhook", "lock_brand")
_COUNT: Final = query("webhook", "count")
_INSERT: Final = query("webhook", "insert")
_REPLACE: Final = query("webhook", "replace")
_NEWEST: Final = query("webhook", "list_newest")
_FIND: Final = query("webhook", "find")
_TAKE_UP: Final = query("webhook", "take_up")
_REMOVE: Final = query("webhook", "remove")
_END_PENDING: Final = query("webhook_delivery", "end_pending")
_DELIVERIES: Final = query("webhook_delivery", "list_of_webhook")
_DELIVERIES_OF_STATUS: Final = query("webhook_delivery", "list_of_status")
_WEBHOOK_OF: Final = query("webhook_delivery", "webhook_of")
_REDELIVER: Final = query("webhook_delivery", "redeliver")
_REDELIVER_FAILED: Final = query("webhook_delivery", "redeliver_failed")
_HAS_FAILED: Final = query("webhook_delivery", "has_failed")
_WAKE: Final = query("work_item", "wake")


async def create_webhook(call: Call, arguments: CreateWebhook) -> Answer:
    """Make a webhook, or replace one: it is active, with a new secret, which is answered this once.

    The secret before signs as well for a day. Raises 400 for a URL that no webhook may have and `P0002`
    for an unknown webhook; refuses `TOO_MANY_WEBHOOKS`.
    """
    try:
        read_webhook_url(arguments.url, call.limits.webhook_private_hosts)
    except WebhookUrlProblem as problem:
        hint = "must be an https:// URL that leads to a public host, such as https://example.com/mintage"
        raise invalid_input([ArgumentProblem("_url", str(problem), hint)]) from None
    await call.connection.execute(_LOCK_BRAND, call.brand_id)
    secret = new_secret()
    last: tuple[object, ...]
    if arguments.webhook_id is None:
        webhook_id, change = call.new_id(), "created"
        count = await call.connection.fetchval(_COUNT, call.brand_id)
        if count >= call.limits.webhooks_max:
            raise _too_many(call.limits.webhooks_max)
        statement, last = _INSERT, (call.caller.id, call.now)
    else:
        webhook_id, change = arguments.webhook_id, "replaced"
        until = call.now + timedelta(seconds=call.limits.webhook_old_secret_s)
        statement, last = _REPLACE, (until,)
    row = await call.connection.fetchrow(
        statement,
        call.brand_id,
        webhook_id,
        arguments.url,
        arguments.event_types,
        call.sealer.seal(secret, call.brand_id, webhook_id),
        *last,
    )
    if row is None:
        raise not_found("webhook")
    await record_webhook_change(
        call, webhook_id, change, url=arguments.url, event_types=arguments.event_types
    )
    return {"ok": True, "webhook": dict(row), "secret": secret_text(secret)}


async def list_webhooks(call: Call, arguments: ListWebhooks) -> Answer:
    """One page of the brand's webhooks, newest first; never a secret."""
    key = ListKey("list_webhooks", call.brand_id, {})
    start = start_position(key, arguments.cursor, None)
    rows = await call.connection.fetch(
        _NEWEST, call.brand_id, start.created_at, start.id, arguments.limit + 1
    )
    return page_answer(key, "webhooks", [dict(row) for row in rows], arguments.limit)


async def remove_webhook(call: Call, arguments: RemoveWebhook) -> Answer:
    """End a webhook: what it was still to be told fails, its secret is gone. 400 `P0002` if unknown."""
    url = await call.connection.fetchval(_REMOVE, call.brand_id, arguments.webhook_id, call.now)
    if url is None:
        raise not_found("webhook")
    await call.connection.execute(
        _END_PENDING, call.brand_id, arguments.webhook_id, "WEBHOOK_REMOVED"
    )
    await record_webhook_change(call, arguments.webhook_id, "removed", url=url)
    return {"ok": True, "removed": True}


async def list_webhook_deliveries(call: Call, arguments: ListWebhookDeliveries) -> Answer:
    """One page of what a webhook was or is to be told, newest first. 400 `P0002` for an unknown webhook."""
    webhook_id, status = arguments.webhook_id, arguments.status
    key = ListKey(
        "list_webhook_deliveries", call.brand_id, {"webhook": webhook_id, "status": status}
    )
    start = start_position(key, arguments.cursor, None)
    if await call.connection.fetchrow(_FIND, call.brand_id, webhook_id) is None:
        raise not_found("webhook")
    bounds = (call.brand_id, webhook_id, start.created_at, start.id, arguments.limit + 1)
    if status is None:
        rows = await call.connection.fetch(_DELIVERIES, *bounds)
    else:
        rows = await call.connection.fetch(_DELIVERIES_OF_STATUS, *bounds, status)
    return page_answer(key, "deliveries", [dict(row) for row in rows], arguments.limit)


async def redeliver_webhook(call: Call, arguments: RedeliverWebhook) -> Answer:
    """Send again, now, under the same webhook-id: one delivery, or what failed of a webhook, oldest first.

    Each has all its tries again. Of many, `Limits.webhook_redeliveries_max` a call; `has_more` asks for
    another one. Raises 400 for neither, `P0002` for an unknown delivery or webhook; refuses
    `WEBHOOK_NOT_ACTIVE`.
    """
    delivery_id, webhook_id = arguments.webhook_delivery_id, arguments.webhook_id
    if delivery_id is None and webhook_id is None:
        missing = ("_webhook_delivery_id", "_webhook_id")
        problems = [ArgumentProblem(name, "is missing", REDELIVER_HINT) for name in missing]
        raise invalid_input(problems)
    if webhook_id is None:
        webhook_id = await call.connection.fetchval(_WEBHOOK_OF, call.brand_id, delivery_id)
    status = await call.connection.fetchval(_TAKE_UP, call.brand_id, webhook_id)
    if status is None:
        raise not_found("webhook" if delivery_id is None else "webhook delivery")
    if status != "active":
        raise _refused("WEBHOOK_NOT_ACTIVE", "The webhook is disabled; replace it to begin anew.")
    redelivered, has_more = 1, False
    if delivery_id is not None:
        await call.connection.execute(_REDELIVER, call.brand_id, delivery_id, call.now)
    else:
        bounds = (call.brand_id, webhook_id, arguments.from_ or BEGINNING, arguments.to or END)
        count_max = call.limits.webhook_redeliveries_max
        tag = await call.connection.execute(_REDELIVER_FAILED, *bounds, count_max, call.now)
        redelivered = int(tag.rpartition(" ")[2])
        has_more = redelivered == count_max and await call.connection.fetchval(_HAS_FAILED, *bounds)
    await call.connection.execute(_WAKE, "webhook_delivery")
    return {
        "ok": True,
        "webhook_delivery_id": delivery_id,
        "status": "pending",
        "redelivered": redelivered,
        "has_more": has_more,
    }


async def record_webhook_change(
    call: Call, webhook_id: UUID, change: str, *, url: str, **facts: object
) -> None:
    """An event of the record. Of the URL its host alone: the rest may hold a token of the receiver's."""
    host = urlsplit(url).hostname
    payload = {"subject": "webhook", "webhook_id": str(webhook_id), "change": change, "host": host}
    await record_event(call, "settings_changed", payload=payload | facts)


def _too_many(webhooks_max: int) -> Refused:
    return _refused("TOO_MANY_WEBHOOKS", f"The brand has {webhooks_max} webhooks already.")


def _refused(code: str, sentence: str) -> Refused:
    return Refused({"ok": False, "blocking_reasons": [BlockingReason(code, sentence).as_answer()]})

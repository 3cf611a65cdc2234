"""Sending one delivery: claim, send, close (Standard Webhooks; DATA-MODEL "Leases").

The request is made between two transactions; closing compares the lease's epoch. Whoever dies in between
has perhaps sent it: once the lease lapses it is sent again, under the same webhook-id. Not here: the request
itself (`worker.webhook_http`), and what is told (`webhook_outbox`).
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Final, Literal
from uuid import UUID

import asyncpg
from standardwebhooks import Webhook

from mintage.db.queries import query
from mintage.meters import LEASE_LAPSES, WEBHOOK_DURATION, WEBHOOK_KIND
from mintage.operations import steps
from mintage.operations.call import SYSTEM, Call, Transactions
from mintage.operations.retry_after import asked_delay_s
from mintage.operations.webhook_secrets import NotSealedHere
from mintage.operations.webhooks import record_webhook_change
from mintage.rules.webhooks import (
    DeliveryFailure,
    DisabledReason,
    WebhookDeliveryStatus,
    retry_delay_s,
)
from mintage.telemetry import logger
from mintage.tracing import Origin, work_span

_DUE: Final = query("webhook", "due")
_TAKE_TURN: Final = query("webhook", "take_turn")
_CLAIM: Final = query("webhook_delivery", "claim")
_CLOSE: Final = query("webhook_delivery", "close")
_NOTE_SUCCESS: Final = query("webhook", "note_success")
_NOTE_FAILURE: Final = query("webhook", "note_failure")
_DISABLE: Final = query("webhook", "disable")
_END_PENDING: Final = query("webhook_delivery", "end_pending")
_ALL_BRANDS: Final = query("duty", "all_brands")
_REMOVE_OLD: Final = query("webhook_delivery", "remove_old")
_REMOVE_OLD_SIGNALS: Final = query("webhook_delivery", "remove_old_signals")
_REMOVE_OLD_WEBHOOKS: Final = query("webhook", "remove_old")
_DRAWS: Final = 1_000_001
_log = logger("operations")

SendResult = Literal["idle", "busy", "delivered", "retried", "failed", "disabled", "lost"]
COUNTS: Final[Counter[SendResult]] = Counter()
"""What this process's sends have come to, since it started; for metrics."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A POST that is to be made now; its headers are signed for this moment."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What became of a request: `failure` None means delivered. `excerpt`: of the answer, for people.

    `retry_after`: that header of an answer of `RETRY_AFTER_STATUSES`, as it came.
    """

    answer_code: int | None = None
    failure: DeliveryFailure | None = None
    excerpt: str | None = None
    retry_after: str | None = None


Send = Callable[[WebhookRequest], Awaitable[WebhookAnswer]]


@dataclass(frozen=True, slots=True)
class _Claim:
    brand_id: UUID
    webhook_id: UUID
    delivery_id: UUID
    epoch: int
    attempts: int
    request: WebhookRequest
    origin: Origin


async def send_due_webhook(transactions: Transactions, send: Send) -> SendResult:
    """Send one delivery that is due, and close it; `idle` when there is none, `busy` when others claim now.

    2xx is delivered; 410 disables the webhook; anything else is tried again by the schedule of
    `Limits.webhook_retry_s`, then failed. A `Retry-After` holds the whole webhook back until then. A webhook
    that has failed for `webhook_disable_days` is disabled.
    """
    transactions = transactions.for_caller(SYSTEM)
    claim = await _claim(transactions)
    if not isinstance(claim, _Claim):
        return claim
    steps.reached("webhook_claimed")
    named = {"webhook_id": str(claim.webhook_id), "webhook_delivery_id": str(claim.delivery_id)}
    with work_span("webhook", claim.origin, attempt=claim.attempts, **named) as told:
        began = perf_counter()
        answer = await send(claim.request)
        WEBHOOK_DURATION.observe(perf_counter() - began)
        if answer.answer_code is not None:
            told["http.response.status_code"] = answer.answer_code
        steps.reached("webhook_sent")
        async with transactions.call(claim.brand_id) as call:
            result = await _close(call, claim, answer)
            steps.reached("webhook_closed")
        told["status"] = result
    steps.reached("webhook_committed")
    COUNTS[result] += 1
    return result


async def remove_old_webhook_deliveries(transactions: Transactions) -> int:
    """A duty: remove deliveries finished, and signals told, long ago; how many deliveries."""
    service = transactions.caller.identity(None)
    async with transactions.database.transaction(service, read_only=True) as connection:
        brand_ids = [row["id"] for row in await connection.fetch(_ALL_BRANDS)]
    removed = 0
    for brand_id in brand_ids:
        async with transactions.call(brand_id) as call:
            before = call.now - timedelta(days=call.limits.webhook_deliveries_kept_days)
            tag = await call.connection.execute(_REMOVE_OLD, brand_id, before)
            await call.connection.execute(_REMOVE_OLD_SIGNALS, brand_id, before.date())
            await call.connection.execute(_REMOVE_OLD_WEBHOOKS, brand_id, before)
            removed += int(tag.rpartition(" ")[2])
    return removed


async def _claim(transactions: Transactions) -> _Claim | SendResult:
    outcome: SendResult = "idle"
    identity = transactions.caller.identity(None)
    async with transactions.database.transaction(identity) as connection:
        steps.reached("webhook_claim_begun")
        for due in await connection.fetch(_DUE, transactions.pinned_now):
            brand_id: UUID = due["brand_id"]
            await connection.execute(transactions.caller.identity(brand_id).statements())
            call = await transactions.call_on(connection, brand_id, due["now"])
            webhook = await connection.fetchrow(_TAKE_TURN, brand_id, due["id"], call.now)
            if webhook is None:
                outcome = "busy"
                continue
            limits = call.limits
            row = await connection.fetchrow(
                _CLAIM,
                brand_id,
                due["id"],
                call.now,
                limits.webhook_lease_s,
                limits.webhook_sends_at_once_each,
            )
            if row is not None:
                steps.reached("webhook_leased")
                if row["has_lapsed"]:
                    LEASE_LAPSES.labels(WEBHOOK_KIND).inc()
                claim = _signed(call, due["id"], webhook, row)
                if claim is not None:
                    return claim
    return outcome


def _signed(
    call: Call, webhook_id: UUID, webhook: asyncpg.Record, row: asyncpg.Record
) -> _Claim | None:
    """The claim with its request; None where the secret cannot be opened, which is logged."""
    sealed = [webhook["secret_sealed"]]
    old_until: datetime | None = webhook["old_secret_until"]
    if old_until is not None and old_until > call.now:
        sealed.append(webhook["old_secret_sealed"])
    try:
        opened = [call.sealer.open(each, call.brand_id, webhook_id) for each in sealed]
    except NotSealedHere:
        _log.error("a webhook's secret was sealed with another key", webhook_id=str(webhook_id))
        return None
    message_id = str(row["event_id"])
    body = _body(row["event_type"], row["created_at"], row["data"])
    headers = {
        "content-type": "application/json",
        "user-agent": "Mintage-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(call.now.timestamp())),
        "webhook-signature": signatures(opened, message_id, call.now, body),
    }
    return _Claim(
        call.brand_id,
        webhook_id,
        row["id"],
        row["lease_epoch"],
        row["attempts"],
        WebhookRequest(webhook["url"], headers, body.encode()),
        Origin(row["request_id"], row["traceparent"]),
    )


def signatures(secrets: Sequence[bytes], message_id: str, moment: datetime, body: str) -> str:
    """The header `webhook-signature`: one by each secret (Standard Webhooks, "Signature scheme")."""
    at = moment.astimezone(UTC)  # The library takes any time for UTC, whatever its zone.
    return " ".join(Webhook(secret).sign(message_id, at, body) for secret in secrets)


def _body(event_type: str, happened_at: datetime, data: object) -> str:
    """The same text at every try."""
    moment = happened_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    content = {"type": event_type, "timestamp": moment, "data": data}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


async def _close(call: Call, claim: _Claim, answer: WebhookAnswer) -> SendResult:
    # The webhook's row is locked before the delivery's, as whoever disables or removes it does.
    if answer.failure is None:
        await call.connection.execute(_NOTE_SUCCESS, call.brand_id, claim.webhook_id)
        return await _end(call, claim, answer, "delivered", None)
    schedule_s = call.limits.webhook_retry_s
    asked_s = asked_delay_s(answer.retry_after, schedule_s, call.now)
    failing_since: datetime | None = await call.connection.fetchval(
        _NOTE_FAILURE,
        call.brand_id,
        claim.webhook_id,
        call.now,
        call.now + timedelta(seconds=asked_s) if asked_s else None,
    )
    _log.warning(
        "a webhook was not delivered",
        webhook_id=str(claim.webhook_id),
        attempts=claim.attempts,
        code=answer.failure,
        status=answer.answer_code,
    )
    reason: DisabledReason | None = None
    if answer.failure == "GONE":
        reason = "gone"
    elif failing_since is not None and failing_since <= call.now - timedelta(
        days=call.limits.webhook_disable_days
    ):
        reason = "failing"
    draw = secrets.randbelow(_DRAWS) / (_DRAWS - 1)
    delay_s = retry_delay_s(schedule_s, claim.attempts, draw, asked_s)
    if reason is not None:
        await _disable(call, claim.webhook_id, reason)
        ended = await _end(call, claim, answer, "failed", None)
        await call.connection.execute(
            _END_PENDING, call.brand_id, claim.webhook_id, "WEBHOOK_DISABLED"
        )
        return "disabled" if ended == "failed" else ended
    if delay_s is None:
        return await _end(call, claim, answer, "failed", None)
    return await _end(call, claim, answer, "pending", call.now + timedelta(seconds=delay_s))


async def _end(
    call: Call,
    claim: _Claim,
    answer: WebhookAnswer,
    status: WebhookDeliveryStatus,
    next_try_at: datetime | None,
) -> SendResult:
    tag = await call.connection.execute(
        _CLOSE,
        call.brand_id,
        claim.delivery_id,
        claim.epoch,
        status,
        next_try_at,
        answer.answer_code,
        answer.failure,
        answer.excerpt,
        call.now,
    )
    if tag != "UPDATE 1":
        return "lost"
    return "retried" if status == "pending" else status


async def _disable(call: Call, webhook_id: UUID, reason: DisabledReason) -> None:
    url = await call.connection.fetchval(_DISABLE, call.brand_id, webhook_id, reason, call.now)
    if url is not None:
        await record_webhook_change(call, webhook_id, "disabled", url=url, reason=reason)

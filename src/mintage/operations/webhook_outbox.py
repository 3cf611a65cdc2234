"""What webhooks are told: an event of the record becomes a message, in the transaction that makes it happen.

Data are ids, states and counts; never a serial, a name or a reason that somebody wrote. Clone signals are
told where scans are stored (sql/queries/scan.sql, `store_scans`). Not here: sending (`webhook_sending`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.rules.lifecycle import EventType
from mintage.rules.webhooks import WebhookEventType
from mintage.tracing import current_origin

_ANNOUNCE: Final = query("webhook_delivery", "announce")
_QUANTITIES: Final = ("minted_quantity", "requested_quantity")
_PACK: Final = ("export_group_id", "payload_pack_id", "pack_index", "pack_count")
_TOLD: Final[Mapping[EventType, tuple[WebhookEventType, tuple[str, ...]]]] = {
    "mint_job_completed": ("mint_job.completed", ("minted_quantity",)),
    "mint_job_failed": ("mint_job.failed", ("error", *_QUANTITIES)),
    "mint_job_retried": ("mint_job.retried", _QUANTITIES),
    "mint_batch_status_changed": ("mint_batch.status_changed", ("status",)),
    "payload_pack_completed": (
        "payload_pack.completed",
        (*_PACK, "unit_count", "byte_size", "sha256"),
    ),
    "payload_pack_failed": ("payload_pack.failed", (*_PACK, "error")),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One event for webhooks: `id` is its webhook-id, `data` what the body says besides type and time."""

    id: UUID
    event_type: WebhookEventType
    data: Mapping[str, object]


async def announce(call: Call, messages: Sequence[Message]) -> None:
    """Write a delivery of each message for each of the brand's active webhooks that wants it."""
    if not messages:
        return
    brand = {"brand_id": str(call.brand_id)}
    origin = current_origin(call.request_id)
    await call.connection.execute(
        _ANNOUNCE,
        call.brand_id,
        [message.id for message in messages],
        [message.event_type for message in messages],
        [brand | dict(message.data) for message in messages],
        call.now,
        origin.request_id,
        origin.traceparent,
    )


def message_of(
    event_type: EventType,
    event_id: UUID,
    payload: Mapping[str, object],
    *,
    mint_job_id: UUID | None,
    mint_batch_id: UUID | None,
) -> Message | None:
    """What webhooks are told of an event of the record, under the event's own id; None for most."""
    told = _TOLD.get(event_type)
    if told is None:
        return None
    name, keys = told
    data: dict[str, object] = {}
    if mint_job_id is not None and name.startswith("mint_job."):
        data["mint_job_id"] = str(mint_job_id)
    if mint_batch_id is not None:
        data["mint_batch_id"] = str(mint_batch_id)
    return Message(event_id, name, data | {key: payload[key] for key in keys if key in payload})


def batch_message(event_id: UUID, mint_batch_id: UUID, status: str) -> Message:
    """The batch has moved with its job, which has no event of the record of its own."""
    return Message(
        event_id,
        "mint_batch.status_changed",
        {"mint_batch_id": str(mint_batch_id), "status": status},
    )


def group_message(
    event_id: UUID, export_group_id: UUID, mint_batch_id: UUID, status: str
) -> Message:
    """An export group is completed, or failed."""
    name: WebhookEventType = (
        "export_group.completed" if status == "completed" else "export_group.failed"
    )
    data = {"export_group_id": str(export_group_id), "mint_batch_id": str(mint_batch_id)}
    return Message(event_id, name, data)

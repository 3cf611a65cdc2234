"""The record of what happened: a row of `mint_event` per event, written by whoever made it happen.

Not here: reading the record (`mint_events`). Rows are never changed: privileges see to it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.operations.webhook_outbox import announce, message_of
from mintage.rules.lifecycle import EventType

_INSERT_EVENT: Final = query("mint_event", "insert_event")
_INSERT_EVENTS: Final = query("mint_event", "insert_events")
_COUNTER_BITS: Final = 32
_RANDOM_BITS: Final = 42

_written = itertools.count()


async def record_event(
    call: Call,
    event_type: EventType,
    *,
    payload: Mapping[str, object],
    mint_job_id: UUID | None = None,
    mint_batch_id: UUID | None = None,
) -> None:
    """Write one event of this call: its caller is the actor, its time the event's (SPEC §4).

    `payload` is a JSON object; UUIDs and times in it are text already. Events of one call have one
    time, and ids that keep the order in which they were written. Webhooks that want it are told of it.
    """
    identifier = event_id(call.now)
    await call.connection.execute(
        _INSERT_EVENT,
        call.brand_id,
        identifier,
        mint_job_id,
        mint_batch_id,
        event_type,
        call.actor_type,
        call.caller.id,
        payload,
        call.now,
    )
    message = message_of(
        event_type, identifier, payload, mint_job_id=mint_job_id, mint_batch_id=mint_batch_id
    )
    if message is not None:
        await announce(call, [message])


async def record_events(
    call: Call, event_type: EventType, rows: Sequence[tuple[UUID, Mapping[str, object]]]
) -> None:
    """Write one event of `event_type` for each `(mint_batch_id, payload)`, in order; webhooks are told."""
    identifiers = [event_id(call.now) for _ in rows]
    await call.connection.execute(
        _INSERT_EVENTS,
        call.brand_id,
        event_type,
        call.actor_type,
        call.caller.id,
        call.now,
        identifiers,
        [mint_batch_id for mint_batch_id, _ in rows],
        [payload for _, payload in rows],
    )
    messages = [
        message_of(event_type, identifier, payload, mint_job_id=None, mint_batch_id=mint_batch_id)
        for identifier, (mint_batch_id, payload) in zip(identifiers, rows, strict=True)
    ]
    await announce(call, [message for message in messages if message is not None])


def event_id(now: datetime) -> UUID:
    """A UUIDv7 that counts up where another draws (RFC 9562 §6.2, a dedicated counter)."""
    milliseconds = int(now.timestamp() * 1000)
    count = next(_written) % 2**_COUNTER_BITS
    random = int.from_bytes(os.urandom(6)) % 2**_RANDOM_BITS
    low_bits = _COUNTER_BITS - 12
    return UUID(
        int=milliseconds << 80
        | 0x7 << 76
        | (count >> low_bits) << 64
        | 0b10 << 62
        | (count % 2**low_bits) << _RANDOM_BITS
        | random
    )

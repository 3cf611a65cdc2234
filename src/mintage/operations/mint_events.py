"""list_mint_events: the audit trail of a brand, newest first. Writing events is `events`."""

from __future__ import annotations

from typing import Final

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.operations.arguments import ListMintEvents
from mintage.operations.call import Answer, Call
from mintage.operations.listing import BEGINNING, page_answer, start_position
from mintage.rules.lifecycle import EVENT_TYPES_OF_ADMINS

_NEWEST: Final = query("mint_event", "list_newest")
_BY_BATCH: Final = query("mint_event", "list_by_batch")
_BY_JOB: Final = query("mint_event", "list_by_job")
_BY_TYPE: Final = query("mint_event", "list_by_type")


async def list_mint_events(call: Call, arguments: ListMintEvents) -> Answer:
    """One page of events in `(created_at desc, id desc)` order, by any of the filters (SPEC §4).

    Sign-ins are listed to those who may administer members.
    """
    filters = {
        "batch": arguments.mint_batch_id,
        "job": arguments.mint_job_id,
        "type": arguments.event_type,
        "from": arguments.from_,
        "to": arguments.to,
    }
    key = ListKey("list_mint_events", call.brand_id, filters)
    start = start_position(key, arguments.cursor, arguments.to)
    common = (
        call.brand_id,
        arguments.from_ or BEGINNING,
        start.created_at,
        start.id,
        arguments.limit + 1,
    )
    # Sign-ins are of no batch and no job.
    hidden = [] if call.may("admin") else list(EVENT_TYPES_OF_ADMINS)
    if arguments.mint_batch_id is not None:
        rows = await call.connection.fetch(
            _BY_BATCH, *common, arguments.mint_batch_id, arguments.mint_job_id, arguments.event_type
        )
    elif arguments.mint_job_id is not None:
        rows = await call.connection.fetch(
            _BY_JOB, *common, arguments.mint_job_id, arguments.event_type
        )
    elif arguments.event_type in hidden:
        rows = []
    elif arguments.event_type is not None:
        rows = await call.connection.fetch(_BY_TYPE, *common, arguments.event_type)
    else:
        rows = await call.connection.fetch(_NEWEST, *common, hidden)
    return page_answer(key, "events", [dict(row) for row in rows], arguments.limit)

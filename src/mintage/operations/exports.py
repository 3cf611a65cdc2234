"""request_payload_packs and list_payload_packs (SPEC §4, §7).

Not here: writing the files (`pack_execution`) and handing them out (`downloads`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments import BrandArguments, Uuid
from mintage.operations.arguments_exports import ListPayloadPacks, RequestPayloadPacks
from mintage.operations.call import Answer, BlockingReason, Call, Refused, TryAgain
from mintage.operations.events import record_event
from mintage.operations.listing import page_answer, start_position
from mintage.operations.pack_choice import PackChoice, read_choice, reasons_against, settle_profile
from mintage.packs import signed_manifest
from mintage.rules.lifecycle import EXPORTABLE_BATCH_STATUSES
from mintage.tracing import current_traceparent

KIND: Final = "payload_pack"
_BATCH: Final = query("export", "batch")
_INSERT_GROUP: Final = query("export", "insert_group")
_OPEN_GROUP: Final = query("export", "open_group")
_INSERT_PACKS: Final = query("export", "insert_packs")
_ENQUEUE_PACKS: Final = query("export", "enqueue_packs")
_ENQUEUE_MANIFEST: Final = query("export", "enqueue_manifest")
_WAKE: Final = query("work_item", "wake")
_GROUP_OF_PACK: Final = query("export", "group_of_pack")
_LIST_NEWEST: Final = query("export", "list_newest")
_LIST_OF_STATUS: Final = query("export", "list_of_status")
_LIST_OF_BATCH: Final = query("export", "list_of_batch")
_LIST_OF_GROUP: Final = query("export", "list_of_group")


@dataclass(frozen=True, slots=True)
class Slice:
    """The units of one pack: `unit_count` of them from `first_unit_no` (from 0) on."""

    pack_index: int
    first_unit_no: int
    unit_count: int


async def request_payload_packs(call: Call, arguments: RequestPayloadPacks) -> Answer:
    """Queue the packs of a minted batch; an open group of the same format and profile is answered.

    Answers `{ok, export_group_id, pack_count, status, is_duplicate}`, or `ok: false` with
    `BATCH_NOT_MINTED`, `BATCH_VOIDED`, the format's reasons, or `EXPORT_OPTIONS_DIFFER` if the open group has
    other options. 400 for an unknown batch, format,
    profile or option.
    """
    choice = read_choice(arguments)
    pack_format = choice.format
    batch = await call.connection.fetchrow(_BATCH, call.brand_id, arguments.mint_batch_id)
    if batch is None:
        raise not_found("mint batch")
    require_exportable(batch["status"])
    if reasons := await reasons_against(call, batch, choice):
        raise _refusal(reasons)
    profile = await settle_profile(call, choice)
    slices = slices_of(batch["requested_quantity"], call.limits.pack_units)
    group_id = await call.connection.fetchval(
        _INSERT_GROUP,
        call.brand_id,
        call.new_id(),
        batch["id"],
        pack_format.name,
        profile,
        choice.stored_options(),
        len(slices),
        call.caller.id,
        call.actor_type,
        call.now,
        call.request_id,
        current_traceparent(),
    )
    if group_id is None:
        return await _open_group(call, arguments, choice, profile)
    await _insert_packs(call, arguments, profile, group_id, batch["product_id"], slices)
    await record_event(
        call,
        "payload_packs_requested",
        payload={
            "export_group_id": str(group_id),
            "format": pack_format.name,
            "profile": profile,
            "pack_count": len(slices),
        },
        mint_batch_id=batch["id"],
    )
    await call.connection.execute(_WAKE, KIND)
    return {
        "ok": True,
        "export_group_id": group_id,
        "pack_count": len(slices),
        "status": "pending",
        "is_duplicate": False,
    }


class FindExportOfPack(BrandArguments):
    pack_id: Annotated[Uuid, Field(description="the UUID of a payload pack")]


async def find_export_of_pack(call: Call, arguments: FindExportOfPack) -> Answer:
    """The export group that a pack is of: `{ok, export_group_id}`; an unknown id is `P0002`."""
    group_id = await call.connection.fetchval(_GROUP_OF_PACK, call.brand_id, arguments.pack_id)
    if group_id is None:
        raise not_found("payload pack")
    return {"ok": True, "export_group_id": group_id}


async def list_payload_packs(call: Call, arguments: ListPayloadPacks) -> Answer:
    """One page of packs in `(created_at desc, id desc)` order, by batch, group and status (SPEC §4)."""
    filters = {
        "batch": arguments.mint_batch_id,
        "group": arguments.export_group_id,
        "status": arguments.status,
    }
    key = ListKey("list_payload_packs", call.brand_id, filters)
    start = start_position(key, arguments.cursor, None)
    common = (call.brand_id, start.created_at, start.id, arguments.limit + 1)
    status = arguments.status
    if arguments.export_group_id is not None:
        rows = await call.connection.fetch(
            _LIST_OF_GROUP, *common, status, arguments.export_group_id, arguments.mint_batch_id
        )
    elif arguments.mint_batch_id is not None:
        rows = await call.connection.fetch(_LIST_OF_BATCH, *common, status, arguments.mint_batch_id)
    elif status is not None:
        rows = await call.connection.fetch(_LIST_OF_STATUS, *common, status)
    else:
        rows = await call.connection.fetch(_LIST_NEWEST, *common)
    return page_answer(key, "packs", [dict(row) for row in rows], arguments.limit)


def slices_of(quantity: int, pack_units: int) -> list[Slice]:
    """`quantity` units cut by unit number into packs of `pack_units`, the last one perhaps smaller."""
    return [
        Slice(index, first, min(pack_units, quantity - first))
        for index, first in enumerate(range(0, quantity, pack_units), start=1)
    ]


def require_exportable(status: str) -> None:
    """Raises `Refused` with `BATCH_VOIDED` or `BATCH_NOT_MINTED` for a batch that can have no packs."""
    if status == "voided":
        message = "The mint batch was voided: it has no packs any more."
        raise _refusal([BlockingReason("BATCH_VOIDED", message)])
    if status not in EXPORTABLE_BATCH_STATUSES:
        message = f"The mint batch is {status}: packs are made once it is minted."
        raise _refusal([BlockingReason("BATCH_NOT_MINTED", message)])


def _refusal(reasons: list[BlockingReason]) -> Refused:
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer() for reason in reasons]})


async def _open_group(
    call: Call, arguments: RequestPayloadPacks, choice: PackChoice, profile: str | None
) -> Answer:
    group = await call.connection.fetchrow(
        _OPEN_GROUP, call.brand_id, arguments.mint_batch_id, arguments.format, profile
    )
    if group is None:
        # It was open at the insert and is finished now: the next attempt makes a new one.
        raise TryAgain
    if others := _other_options(choice, group["options"]):
        message = (
            f"The export group {group['id']} of this batch, format and profile is {group['status']}, with "
            f"other options ({', '.join(others)}): ask again once it is finished, or with its options."
        )
        raise _refusal([BlockingReason("EXPORT_OPTIONS_DIFFER", message)])
    return {
        "ok": True,
        "export_group_id": group["id"],
        "pack_count": group["pack_count"],
        "status": group["status"],
        "is_duplicate": True,
    }


def _other_options(choice: PackChoice, kept: Mapping[str, object]) -> list[str]:
    """The names of the options that are not those of a group, whose release may have known fewer."""
    wanted = choice.stored_options()
    defaults = choice.format.options_model().model_dump(mode="json")
    return sorted(
        name
        for name in wanted.keys() | kept
        if wanted.get(name) != kept.get(name, defaults.get(name))
    )


async def _insert_packs(
    call: Call,
    arguments: RequestPayloadPacks,
    profile: str | None,
    group_id: UUID,
    product_id: UUID,
    slices: list[Slice],
) -> None:
    # The packs of a group have one time: ascending ids keep them in order in the queue and in lists.
    *pack_ids, manifest_id = sorted(call.new_id() for _ in range(len(slices) + 1))
    await call.connection.execute(
        _INSERT_PACKS,
        call.brand_id,
        group_id,
        arguments.mint_batch_id,
        product_id,
        arguments.format,
        profile,
        len(slices),
        call.now,
        pack_ids,
        [part.pack_index for part in slices],
        [part.first_unit_no for part in slices],
        [part.unit_count for part in slices],
    )
    await call.connection.execute(_ENQUEUE_PACKS, call.brand_id, call.now, pack_ids)
    await call.connection.execute(
        _INSERT_PACKS,
        call.brand_id,
        group_id,
        arguments.mint_batch_id,
        product_id,
        signed_manifest.FORMAT,
        None,
        len(slices),
        call.now,
        [manifest_id],
        [len(slices) + 1],
        [0],
        [0],
    )
    await call.connection.execute(_ENQUEUE_MANIFEST, call.brand_id, manifest_id, call.now)

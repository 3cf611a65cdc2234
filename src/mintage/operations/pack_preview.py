"""What a pack would begin with: its context and the batch's first unit, read for a look and kept nowhere.

Judged as `request_payload_packs` judges. Not here: making the bytes (`packs.making`), and showing them.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments_exports import RequestPayloadPacks
from mintage.operations.call import Answer, BlockingReason, Call, Refused
from mintage.operations.exports import require_exportable
from mintage.operations.pack_choice import (
    PackChoice,
    read_choice,
    reasons_against,
    settle_profile,
)
from mintage.operations.unit_rows import BatchFacts, SliceIncomplete, read_unit_columns
from mintage.packs.context import PackContext
from mintage.packs.print_profiles import PROFILES

_BATCH: Final = query("export", "preview_batch")
_NO_GROUP: Final = UUID(int=0)


async def preview_payload_pack(call: Call, arguments: RequestPayloadPacks) -> Answer:
    """`{ok, context, columns}` of a pack of the batch's first unit alone, or `ok: false` with the reasons.

    400 for an unknown batch, format, profile or option.
    """
    choice = read_choice(arguments)
    batch = await call.connection.fetchrow(_BATCH, call.brand_id, arguments.mint_batch_id)
    if batch is None:
        raise not_found("mint batch")
    require_exportable(batch["status"])
    if reasons := await reasons_against(call, batch, choice):
        raise Refused({"ok": False, "blocking_reasons": [each.as_answer() for each in reasons]})
    profile = await settle_profile(call, choice)
    facts = BatchFacts(
        mint_batch_id=batch["id"],
        unit_id_low=batch["unit_id_low"],
        requested_quantity=batch["requested_quantity"],
        gtin14=batch["gtin14"],
        identity_mode=batch["identity_mode"],
        activation_mode=batch["activation_mode"],
        is_voided=False,
        base_url=batch["base_url"],
    )
    try:
        columns = await read_unit_columns(call, facts, 0, 1)
    except SliceIncomplete:
        reason = BlockingReason("BATCH_NOT_MINTED", "The mint batch has no first unit.")
        raise Refused({"ok": False, "blocking_reasons": [reason.as_answer()]}) from None
    return {"ok": True, "context": _context(call, batch, choice, profile), "columns": columns}


def _context(
    call: Call, batch: asyncpg.Record, choice: PackChoice, profile: str | None
) -> PackContext:
    return PackContext(
        brand_id=call.brand_id,
        brand_name=batch["brand_name"],
        gcp_length=batch["gcp_length"],
        biz_location=batch["biz_location"],
        read_point=batch["read_point"],
        product_id=batch["product_id"],
        product_sku=batch["product_sku"],
        product_name=batch["product_name"],
        gtin=batch["gtin14"],
        mint_batch_id=batch["id"],
        product_batch_number=batch["product_batch_number"],
        identity_mode=batch["identity_mode"],
        activation_mode=batch["activation_mode"],
        export_group_id=_NO_GROUP,
        pack_index=1,
        pack_count=1,
        first_unit_no=0,
        unit_count=1,
        generated_at=call.now,
        profile=PROFILES[profile] if profile is not None else None,
        options=choice.options,
    )

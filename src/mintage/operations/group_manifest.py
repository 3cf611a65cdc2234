"""The group manifest: what a group's last pack says of the others (SPEC §7), and when it is its turn.

It is queued once every other pack is completed, and written like any pack. Not here: its signature
(`packs.signed_manifest`), and writing packs (`pack_execution`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.operations.exports import KIND
from mintage.packs.context import PackContext
from mintage.packs.print_profiles import PROFILES, PackPlace
from mintage.packs.signed_manifest import FORMAT
from mintage.packs.tables import PLAIN, utc_text
from mintage.rules.unit_ids import unit_id_bounds

GROUP_FAILED: Final = "GROUP_FAILED"
_VERSION: Final = 1
_NEVER_CLAIMED: Final = 0
_READY: Final = query("export", "ready_manifest")
_PACKS: Final = query("export", "packs_of_manifest")
_END_UNITS: Final = query("export", "end_units")
_RELEASE: Final = query("export", "release_manifest")
_FAIL_PACK: Final = query("export", "fail_pack")
_REMOVE: Final = query("work_item", "remove")
_WAKE: Final = query("work_item", "wake")


async def release_manifest(call: Call, export_group_id: UUID) -> None:
    """Let the group's manifest be written if all other packs are completed.

    If they are finished and one of them failed, there will be none: it is failed too.
    """
    ready = await call.connection.fetchrow(_READY, call.brand_id, export_group_id)
    if ready is None:
        return
    manifest_id: UUID = ready["id"]
    if ready["failed"]:
        await call.connection.execute(_REMOVE, KIND, call.brand_id, manifest_id, _NEVER_CLAIMED)
        await call.connection.execute(_FAIL_PACK, call.brand_id, manifest_id, GROUP_FAILED)
        return
    await call.connection.execute(_RELEASE, call.brand_id, manifest_id)
    await call.connection.execute(_WAKE, KIND)


async def read_manifest(
    call: Call, context: PackContext, unit_id_low: UUID, requested_quantity: int
) -> dict[str, object]:
    """The manifest of the group that `context` is the last pack of."""
    records = await call.connection.fetch(_PACKS, call.brand_id, context.export_group_id)
    if len(records) != context.pack_count:
        raise LookupError("a manifest tells of completed packs only")
    numbers = [
        number
        for record in records
        for number in (
            record["first_unit_no"],
            record["first_unit_no"] + record["unit_count"] - 1,
        )
    ]
    units = await _end_units(call, context.mint_batch_id, unit_id_low, requested_quantity, numbers)
    first = records[0]
    return {
        "format": FORMAT,
        "version": _VERSION,
        "brand_id": str(context.brand_id),
        "brand_name": context.brand_name,
        "export_group_id": str(context.export_group_id),
        "mint_batch_id": str(context.mint_batch_id),
        "product_id": str(context.product_id),
        "product_sku": context.product_sku,
        "gtin": context.gtin,
        "identity_mode": context.identity_mode,
        "pack_format": first["format"],
        "profile": first["profile"],
        "pack_count": context.pack_count,
        "unit_count": sum(record["unit_count"] for record in records),
        "requested_at": utc_text(context.generated_at),
        "packs": [_entry(context, record, units) for record in records],
    }


def _entry(
    context: PackContext, record: asyncpg.Record, units: dict[int, dict[str, object]]
) -> dict[str, object]:
    path: str = record["storage_path"]
    place = PackPlace(
        export_group_id=context.export_group_id,
        mint_batch_id=context.mint_batch_id,
        product_sku=context.product_sku,
        pack_index=record["pack_index"],
        pack_count=context.pack_count,
        extension=path.rpartition(".")[2],
    )
    first, last = record["first_unit_no"], record["first_unit_no"] + record["unit_count"] - 1
    return {
        "pack_index": record["pack_index"],
        "name": PROFILES.get(record["profile"], PLAIN).file_name_of(place),
        "storage_path": path,
        "byte_size": record["byte_size"],
        "sha256": record["sha256"],
        "unit_count": record["unit_count"],
        "first_unit": units[first],
        "last_unit": units[last],
    }


async def _end_units(
    call: Call,
    mint_batch_id: UUID,
    unit_id_low: UUID,
    requested_quantity: int,
    numbers: Sequence[int],
) -> dict[int, dict[str, object]]:
    """The units of these numbers, by number."""
    bounds = [unit_id_bounds(unit_id_low, requested_quantity, number, 1) for number in numbers]
    records = await call.connection.fetch(
        _END_UNITS,
        call.brand_id,
        mint_batch_id,
        [low for low, _ in bounds],
        [high for _, high in bounds],
    )
    return {
        record["unit_no"]: {
            "unit_no": record["unit_no"],
            "unit_id": str(record["id"]),
            "serial_number": record["serial_number"],
        }
        for record in records
    }

"""Production batches: the ERP's batches of a product, which mint requests are counted against.

`allocated_quantity` is written by minting only; here it is what a quantity may not fall below. A
batch's number and product never change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments import CreateProductBatch, UpdateProductBatch
from mintage.operations.call import Answer, BlockingReason, Call, Refused
from mintage.operations.conflicts import taken
from mintage.operations.events import record_event
from mintage.rules.lifecycle import ProductBatchStatus

_PRODUCT_IS_KNOWN: Final = query("product", "is_known")
_INSERT: Final = query("product_batch", "insert")
_LOCK: Final = query("product_batch", "lock")
_UPDATE: Final = query("product_batch", "update")


@dataclass(frozen=True, slots=True)
class ProductBatch:
    """A row of `product_batch`. A `quantity` of None is no cap."""

    id: UUID
    product_id: UUID
    batch_number: str
    status: ProductBatchStatus
    production_date: date | None
    quantity: int | None
    allocated_quantity: int
    is_cumulative: bool
    facility_ref: str | None
    attributes: Mapping[str, object]
    created_at: datetime
    updated_at: datetime

    @property
    def attributes_text(self) -> str:
        """The attributes as they compare: Python holds 1, 1.0 and True equal, JSON does not."""
        return json.dumps(self.attributes, sort_keys=True)

    @property
    def is_overdrawn(self) -> bool:
        """True if more is allocated than a cumulative quantity allows: the schema has no such row."""
        return (
            self.is_cumulative
            and self.quantity is not None
            and self.allocated_quantity > self.quantity
        )


async def create_product_batch(call: Call, arguments: CreateProductBatch) -> Answer:
    """Make a production batch of a product (CATALOGUE).

    Raises 400 `P0002` for an unknown product, 409 for a number that the product has a batch of.
    """
    if not await call.connection.fetchval(_PRODUCT_IS_KNOWN, call.brand_id, arguments.product_id):
        raise not_found("product")
    row = await call.connection.fetchrow(
        _INSERT,
        call.brand_id,
        call.new_id(),
        arguments.product_id,
        arguments.batch_number,
        arguments.status,
        arguments.production_date,
        arguments.quantity,
        arguments.is_cumulative,
        arguments.facility_ref,
        arguments.attributes or {},
        call.now,
    )
    if row is None:
        raise taken(
            "_batch_number",
            f"batch number {arguments.batch_number}",
            "give a number that no other production batch of the product has",
        )
    made = ProductBatch(*row)
    await record_event(
        call,
        "settings_changed",
        payload={
            "subject": "product_batch",
            "product_batch_id": str(made.id),
            "product_id": str(made.product_id),
            "change": "created",
            "batch_number": made.batch_number,
            "status": made.status,
            "quantity": made.quantity,
        },
    )
    return {"ok": True, "product_batch": product_batch_answer(made)}


async def update_product_batch(call: Call, arguments: UpdateProductBatch) -> Answer:
    """Change the fields of a production batch that the patch has, and no others (CATALOGUE).

    Every status may follow every other: READY is what minting asks for, and an ERP may take a batch
    back or open it again. Raises 400 `P0002` for an unknown batch; refuses `QUANTITY_BELOW_ALLOCATED`.
    """
    row = await call.connection.fetchrow(_LOCK, call.brand_id, arguments.product_batch_id)
    if row is None:
        raise not_found("product batch")
    before = ProductBatch(*row)
    patch = arguments.patch
    after = replace(before, **{name: getattr(patch, name) for name in patch.model_fields_set})
    if after.is_overdrawn:
        raise _below_allocated(after)
    if after != before or after.attributes_text != before.attributes_text:
        after = replace(after, updated_at=call.now)
        await _save(call, before, after)
    return {"ok": True, "product_batch": product_batch_answer(after)}


def product_batch_answer(batch: ProductBatch) -> dict[str, object]:
    """The production batch object of CATALOGUE."""
    return {
        "id": batch.id,
        "product_id": batch.product_id,
        "batch_number": batch.batch_number,
        "status": batch.status,
        "production_date": batch.production_date,
        "quantity": batch.quantity,
        "allocated_quantity": batch.allocated_quantity,
        "is_cumulative": batch.is_cumulative,
        "facility_ref": batch.facility_ref,
        "attributes": batch.attributes,
        "created_at": batch.created_at,
        "updated_at": batch.updated_at,
    }


def _below_allocated(batch: ProductBatch) -> Refused:
    reason = BlockingReason(
        "QUANTITY_BELOW_ALLOCATED",
        f"{batch.allocated_quantity:,} units are allocated already; a cumulative quantity must be at "
        f"least that, not {batch.quantity:,}.",
        {"allocated_quantity": batch.allocated_quantity, "quantity": batch.quantity},
    )
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def _save(call: Call, before: ProductBatch, after: ProductBatch) -> None:
    # The row is locked: a racing request waits for this quantity, and was counted before it was read.
    status = await call.connection.execute(
        _UPDATE,
        call.brand_id,
        after.id,
        before.status,
        after.status,
        after.production_date,
        after.quantity,
        after.is_cumulative,
        after.facility_ref,
        after.attributes,
        after.updated_at,
    )
    if status != "UPDATE 1":
        raise RuntimeError("a locked production batch changed")
    await record_event(
        call,
        "settings_changed",
        payload={
            "subject": "product_batch",
            "product_batch_id": str(after.id),
            "product_id": str(after.product_id),
            "change": "updated",
            "changed": _changes(before, after),
        },
    )


def _changes(before: ProductBatch, after: ProductBatch) -> dict[str, object]:
    """What an update changed; of the attributes only that they did."""
    old, new = asdict(before), asdict(after)
    changed: dict[str, object] = {
        name: {"from": _as_json(old[name]), "to": _as_json(new[name])}
        for name in ("status", "quantity", "is_cumulative", "production_date", "facility_ref")
        if old[name] != new[name]
    }
    if before.attributes_text != after.attributes_text:
        changed["attributes"] = {}
    return changed


def _as_json(value: str | int | date | None) -> str | int | None:
    return value.isoformat() if isinstance(value, date) else value

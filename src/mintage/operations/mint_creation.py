"""What every way to begin minting has in common: a job's row, its batch with lots, quantity, and the queue.

Callers have asked `mint_preconditions` first. Not here: reading a request (`mint_submission`,
`mint_preflight`), and making units (`mint_execution`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.operations.arguments import LotArgument
from mintage.operations.call import Call, TryAgain
from mintage.operations.events import record_event
from mintage.operations.idempotency import KeyedRequest
from mintage.operations.mint_preconditions import Preconditions
from mintage.operations.tallies import Delta, add_deltas
from mintage.rules.lifecycle import ActivationMode, IdentityMode
from mintage.rules.serials import draw_lot_code, draw_prefix
from mintage.rules.unit_ids import draw_unit_id_low
from mintage.tracing import current_traceparent

_INSERT_JOB: Final = query("mint_job", "insert")
_TAKE_QUANTITY: Final = query("mint_job", "take_quantity")
_INSERT_BATCH: Final = query("mint_batch", "insert")
_INSERT_LOTS: Final = query("mint_batch", "insert_lots")
_ENQUEUE: Final = query("work_item", "enqueue")
_WAKE: Final = query("work_item", "wake")
_REDRAWN_KEYS: Final = {"mint_batch_unit_id_low", "mint_batch_serial_prefix"}


@dataclass(frozen=True, slots=True)
class MintOrder:
    """What is to be minted. `lots` None in batch mode: one lot of all."""

    product_id: UUID
    product_batch_id: UUID | None
    requested_quantity: int
    identity_mode: IdentityMode
    activation_mode: ActivationMode
    lots: Sequence[LotArgument] | None = None
    has_brought_serials: bool = False


@dataclass(frozen=True, slots=True)
class _Lot:
    lot_code: str
    quantity: int
    first_unit_no: int


async def insert_job(
    call: Call,
    request: KeyedRequest,
    status: Literal["PREFLIGHTED", "QUEUED"],
    *,
    product_id: UUID,
    product_batch_id: UUID | None,
    requested_quantity: int | None,
    identity_mode: IdentityMode,
    activation_mode: ActivationMode,
) -> UUID | None:
    """The id of the new job; None if another call with the request's key has committed one meanwhile."""
    inserted: UUID | None = await call.connection.fetchval(
        _INSERT_JOB,
        call.brand_id,
        call.new_id(),
        request.operation,
        request.key,
        request.arguments,
        request.sha256,
        status,
        product_id,
        product_batch_id,
        requested_quantity,
        identity_mode,
        activation_mode,
        call.caller.id,
        call.actor_type,
        call.now,
        call.request_id,
        current_traceparent(),
    )
    return inserted


async def insert_batch(
    call: Call,
    order: MintOrder,
    preconditions: Preconditions,
    mint_job_id: UUID,
    status: Literal["draft", "queued"],
) -> UUID:
    """The id of the new batch of a job, with its lots.

    `TryAgain` if a random draw (head of the unit ids, serial prefix) was taken in the brand.
    """
    batch_id = call.new_id()
    is_generated = order.identity_mode == "serial" and not order.has_brought_serials
    quantity = order.requested_quantity
    try:
        await call.connection.execute(
            _INSERT_BATCH,
            call.brand_id,
            batch_id,
            mint_job_id,
            order.product_id,
            order.product_batch_id,
            order.identity_mode,
            order.activation_mode,
            status,
            preconditions.gtin14,
            quantity,
            quantity if order.product_batch_id is not None else 0,
            draw_unit_id_low(int(call.now.timestamp() * 1000), os.urandom),
            draw_prefix(os.urandom) if is_generated else None,
            max(preconditions.strata or quantity, quantity) if is_generated else None,
            order.has_brought_serials,
            call.caller.id,
            call.actor_type,
            call.now,
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name in _REDRAWN_KEYS:
            raise TryAgain from None
        raise
    if order.identity_mode == "batch":
        await _insert_lots(call, order, preconditions, batch_id)
    return batch_id


async def record_request(call: Call, order: MintOrder, mint_job_id: UUID, batch_id: UUID) -> None:
    """The event and the figures of a job that is QUEUED now, with its new batch."""
    await record_event(
        call,
        "mint_requested",
        payload={
            "requested_quantity": order.requested_quantity,
            "identity_mode": order.identity_mode,
            "activation_mode": order.activation_mode,
            "product_id": str(order.product_id),
            "product_batch_id": str(order.product_batch_id) if order.product_batch_id else None,
        },
        mint_job_id=mint_job_id,
        mint_batch_id=batch_id,
    )
    await add_deltas(
        call,
        [
            Delta("batches_in_progress", 1, batch_id),
            Delta("units_requested", order.requested_quantity, batch_id),
            Delta("jobs_queued", 1, batch_id),
        ],
    )


async def queue_job(call: Call, mint_job_id: UUID, *, head_start_s: float = 0.0) -> None:
    """Put the job in the queue and wake a worker; workers see it `head_start_s` seconds later."""
    await call.connection.execute(_ENQUEUE, "mint_job", call.brand_id, mint_job_id, head_start_s)
    await call.connection.execute(_WAKE, "mint_job")


async def take_quantity(call: Call, product_batch_id: UUID | None, quantity: int) -> None:
    """Take `quantity` of the production batch, if there is one: last in a transaction, for its lock.

    `TryAgain` where the guard refuses: a racing request took it, or the production batch was changed,
    since it was looked at.
    """
    if product_batch_id is None:
        return
    taken = await call.connection.fetchval(
        _TAKE_QUANTITY, call.brand_id, product_batch_id, quantity, call.now
    )
    if taken is None:
        raise TryAgain


async def _insert_lots(
    call: Call, order: MintOrder, preconditions: Preconditions, batch_id: UUID
) -> None:
    lots = _lots(order.lots, order.requested_quantity, preconditions.batch_number)
    await call.connection.execute(
        _INSERT_LOTS,
        call.brand_id,
        batch_id,
        preconditions.gtin14,
        [call.new_id() for _ in lots],
        list(range(1, len(lots) + 1)),
        [lot.lot_code for lot in lots],
        [lot.quantity for lot in lots],
        [lot.first_unit_no for lot in lots],
    )


def _lots(
    asked: Sequence[LotArgument] | None, quantity: int, batch_number: str | None
) -> list[_Lot]:
    if asked is None:
        return [_Lot(batch_number or draw_lot_code(os.urandom), quantity, 0)]
    lots = []
    first_unit_no = 0
    for lot in asked:
        lots.append(_Lot(lot.lot_code, lot.qty, first_unit_no))
        first_unit_no += lot.qty
    return lots

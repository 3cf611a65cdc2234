"""submit_mint_request: one transaction makes the job, the batch, its lots and registered serials, or nothing.

Not here: the rows of a job and its batch (`mint_creation`), making units (`mint_execution`), and what
blocks a request (`mint_preconditions`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.arguments import SubmitMintRequest
from mintage.operations.call import Answer, BlockingReason, Call, Refused, TryAgain
from mintage.operations.idempotency import KeyedRequest, find_earlier
from mintage.operations.mint_creation import (
    MintOrder,
    insert_batch,
    insert_job,
    queue_job,
    record_request,
    take_quantity,
)
from mintage.operations.mint_preconditions import (
    Ask,
    Preconditions,
    blocked,
    check_preconditions,
)
from mintage.operations.mint_request_faults import NAMED_SERIALS_MAX

_SERIALS_A_STATEMENT: Final = 20_000
_TAKEN_SERIALS: Final = query("mint_batch", "taken_serials")
_REGISTER_SERIALS: Final = query("mint_batch", "register_serials")


async def submit_mint_request(call: Call, arguments: SubmitMintRequest) -> Answer:
    """Queue the minting of `requested_quantity` identities (SPEC §3).

    Answers `{ok, mint_job_id, mint_batch_id, status, is_duplicate}`, or `Refused` with every reason that
    blocks it. Raises 400 for bad lots and serials, 409 for a key that was used with other arguments.
    """
    return await _submit(call, arguments, head_start_s=0.0)


async def submit_mint_request_with_head_start(call: Call, arguments: SubmitMintRequest) -> Answer:
    """The same for mint-api-v1, which runs the first cycle itself: the scheduler sees the job later."""
    return await _submit(call, arguments, head_start_s=call.limits.kick_head_start_s)


async def _submit(call: Call, arguments: SubmitMintRequest, *, head_start_s: float) -> Answer:
    request = _request(arguments)
    earlier = await _earlier(call, request)
    if earlier is not None:
        return earlier
    try:
        preconditions = await _unblocked(call, arguments)
    except Refused:
        # What blocks may be the first submit with this key, committed since it was looked for.
        earlier = await _earlier(call, request)
        if earlier is None:
            raise
        return earlier
    order = _order(arguments)
    job_id = await insert_job(
        call,
        request,
        "QUEUED",
        product_id=order.product_id,
        product_batch_id=order.product_batch_id,
        requested_quantity=order.requested_quantity,
        identity_mode=order.identity_mode,
        activation_mode=order.activation_mode,
    )
    if job_id is None:
        # Another submit with this key came first: it has committed, for the insert waited for it.
        earlier = await _earlier(call, request)
        if earlier is None:
            raise TryAgain
        return earlier
    batch_id = await insert_batch(call, order, preconditions, job_id, "queued")
    await _register_serials(call, arguments, batch_id)
    await record_request(call, order, job_id, batch_id)
    await queue_job(call, job_id, head_start_s=head_start_s)
    await _take_quantity(call, order)
    return _answer(job_id, batch_id, "QUEUED", is_duplicate=False)


def _answer(job_id: UUID, batch_id: UUID, status: str, *, is_duplicate: bool) -> Answer:
    return {
        "ok": True,
        "mint_job_id": job_id,
        "mint_batch_id": batch_id,
        "status": status,
        "is_duplicate": is_duplicate,
    }


async def _earlier(call: Call, request: KeyedRequest) -> Answer | None:
    row = await find_earlier(call, request)
    if row is None:
        return None
    return _answer(row["id"], row["mint_batch_id"], row["status"], is_duplicate=True)


def _order(arguments: SubmitMintRequest) -> MintOrder:
    return MintOrder(
        arguments.product_id,
        arguments.product_batch_id,
        arguments.requested_quantity,
        arguments.identity_mode,
        arguments.activation_mode,
        arguments.lots,
        has_brought_serials=arguments.serials is not None,
    )


def _request(arguments: SubmitMintRequest) -> KeyedRequest:
    """The request as its idempotency key stands for it; a million serials as their digest."""
    serials = arguments.serials
    product_batch_id = arguments.product_batch_id
    normalised = {
        "_product_id": str(arguments.product_id),
        "_product_batch_id": str(product_batch_id) if product_batch_id else None,
        "_requested_quantity": arguments.requested_quantity,
        "_identity_mode": arguments.identity_mode,
        "_activation_mode": arguments.activation_mode,
        "_lots": [[lot.lot_code, lot.qty] for lot in arguments.lots] if arguments.lots else None,
        "_serials": hashlib.sha256("\n".join(serials).encode()).hexdigest() if serials else None,
    }
    return KeyedRequest("submit_mint_request", arguments.idempotency_key, normalised)


async def _unblocked(call: Call, arguments: SubmitMintRequest) -> Preconditions:
    """The preconditions, if nothing blocks; `Refused` with all reasons otherwise."""
    ask = Ask(
        arguments.product_id,
        arguments.product_batch_id,
        arguments.requested_quantity,
        arguments.identity_mode,
        has_lots=arguments.lots is not None,
    )
    preconditions = await check_preconditions(call, ask)
    taken = await _taken_serials(call, arguments.serials or ())
    reasons = [*preconditions.reasons, *([taken] if taken else [])]
    if reasons:
        raise blocked(ask, reasons)
    return preconditions


async def _taken_serials(call: Call, serials: Sequence[str]) -> BlockingReason | None:
    taken: set[str] = set()
    for start in range(0, len(serials), _SERIALS_A_STATEMENT):
        chunk = serials[start : start + _SERIALS_A_STATEMENT]
        rows = await call.connection.fetch(_TAKEN_SERIALS, call.brand_id, chunk)
        taken.update(row["serial_number"] for row in rows)
    if not taken:
        return None
    named = [
        {"index": index, "serial": serial}
        for index, serial in enumerate(serials)
        if serial in taken
    ]
    return BlockingReason(
        "SERIALS_NOT_UNIQUE",
        f"{len(named):,} of the serials were used in this brand before; a serial is used once for ever.",
        {"count": len(named), "first": named[:NAMED_SERIALS_MAX]},
    )


async def _register_serials(call: Call, arguments: SubmitMintRequest, batch_id: UUID) -> None:
    """Registered in order of the serial, so that racing submits wait for each other and never deadlock."""
    serials = arguments.serials
    if serials is None:
        return
    order = await asyncio.to_thread(lambda: sorted(range(len(serials)), key=serials.__getitem__))
    for start in range(0, len(order), _SERIALS_A_STATEMENT):
        indexes = order[start : start + _SERIALS_A_STATEMENT]
        status = await call.connection.execute(
            _REGISTER_SERIALS,
            call.brand_id,
            batch_id,
            [serials[index] for index in indexes],
            indexes,
        )
        if status != f"INSERT 0 {len(indexes)}":
            # A racing submit registered some of them since they were looked up: look again, and say which.
            raise TryAgain


async def _take_quantity(call: Call, order: MintOrder) -> None:
    await take_quantity(call, order.product_batch_id, order.requested_quantity)

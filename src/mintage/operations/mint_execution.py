"""process_mint_job_batch: one bounded, crash-safe cycle of minting (SPEC §4, DATA-MODEL "A cycle").

Two transactions: claim (lease with an epoch) and work (COPY, counters, events). Whoever dies in between
loses nothing: the next claim goes on at `minted_quantity`. Not here: the claim (`mint_claims`), a job's
failure (`mint_failures`), the loop that calls it (`worker`), and what is in a chunk's rows (`mint_chunks`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from time import perf_counter
from typing import Final

import asyncpg

from mintage import meters
from mintage.db import copy_buffers
from mintage.db.connection import AWAY_ERRORS, Connection, DatabaseRole, Identity
from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations import steps
from mintage.operations.arguments import ProcessMintJobBatch
from mintage.operations.call import Answer, Call, Transactions
from mintage.operations.events import event_id
from mintage.operations.leases import give_back
from mintage.operations.mint_chunks import ChunkPlan, build_chunk, read_brought_serials
from mintage.operations.mint_claims import KIND, Claim, claim_job
from mintage.operations.mint_failures import CycleFailed, fail_job, failed_answer
from mintage.operations.webhook_outbox import announce, batch_message, message_of
from mintage.rules.lifecycle import EventType, JobError
from mintage.telemetry import logger
from mintage.tracing import work_span

_ATTEMPT_FAILED: Final = query("work_item", "attempt_failed")
_REMOVE: Final = query("work_item", "remove")
_PROGRESS: Final = query("mint_job", "progress")
_CLOSE_CYCLE: Final = query("mint_job", "close_cycle")
_NOTE_ATTEMPT: Final = query("mint_job", "note_attempt")
_LOTS: Final = query("mint_batch", "lots")
_log = logger("operations")


async def process_mint_job_batch(
    transactions: Transactions, arguments: ProcessMintJobBatch
) -> Answer:
    """Run one cycle of `batch_size` units at most, of the job named or of the one whose turn it is.

    Answers as in SPEC §4: in progress, completed, IDLE, busy, or `ok: false` for a failed cycle.
    """
    began = perf_counter()
    answer = await _cycle(transactions, arguments)
    _count(answer, perf_counter() - began)
    return answer


async def _cycle(transactions: Transactions, arguments: ProcessMintJobBatch) -> Answer:
    claimed = await claim_job(transactions, arguments.mint_job_id)
    if not isinstance(claimed, Claim):
        return claimed
    with work_span("mint cycle", claimed.origin, mint_job_id=str(claimed.mint_job_id)) as told:
        answer = await _run(transactions, claimed, arguments.batch_size)
        told["status"] = str(answer["status"])
        return answer


async def _run(transactions: Transactions, claimed: Claim, batch_size: int) -> Answer:
    try:
        return await _work(transactions, claimed, batch_size)
    except AWAY_ERRORS:
        # A lost connection is no attempt.
        await give_back(transactions, claimed.lease)
        raise
    except asyncio.CancelledError:
        await asyncio.shield(give_back(transactions, claimed.lease))
        raise
    except Exception as error:  # noqa: BLE001 - booked as an attempt and logged, never lost
        return await _book_failure(transactions, claimed, error)


def _count(answer: Answer, duration_s: float) -> None:
    units = answer.get("units_created")
    if isinstance(units, int) and units > 0:
        meters.CYCLES.labels("minted").inc()
        meters.CYCLE_DURATION.observe(duration_s)
        meters.UNITS_MINTED.inc(units)
        if answer["done"]:
            meters.JOBS_FINISHED.labels("completed").inc()
    elif not answer["ok"]:
        meters.CYCLES.labels("failed").inc()
    else:
        meters.CYCLES.labels("idle" if answer["status"] == "IDLE" else "nothing").inc()


async def _work(transactions: Transactions, claim: Claim, batch_size: int) -> Answer:
    """The second transaction: COPY the chunk as the minter, then close as the service, or roll back.

    While the server takes this chunk, the next one is built.
    """
    steps.reached("mint_claimed")
    plan = claim.plan(batch_size)
    buffer = await _chunk_of(transactions, claim, plan)
    steps.reached("mint_chunk_built")
    following = None if claim.has_brought_serials else plan.next(batch_size)
    building = asyncio.create_task(_build_ahead(transactions, following, claim.now))
    try:
        await _copy_and_close(transactions, claim, plan, buffer)
    finally:
        await building
    steps.reached("mint_committed")
    minted = claim.minted_quantity + plan.count
    is_done = minted == claim.requested_quantity
    return {
        "ok": True,
        "mint_job_id": claim.mint_job_id,
        "mint_batch_id": claim.mint_batch_id,
        "status": "COMPLETED" if is_done else "PROCESSING",
        "units_created": plan.count,
        "minted_quantity": minted,
        "requested_quantity": claim.requested_quantity,
        "remaining": claim.requested_quantity - minted,
        "done": is_done,
    }


async def _copy_and_close(
    transactions: Transactions, claim: Claim, plan: ChunkPlan, buffer: bytearray
) -> None:
    minter = Identity(DatabaseRole.MINTER, claim.brand_id)
    async with transactions.database.transaction(minter) as connection:
        steps.reached("mint_copy_begun")
        try:
            await connection.copy_to_table(
                "mint_unit",
                columns=copy_buffers.COLUMNS,
                source=_pieces(buffer),
                format="binary",
            )
        except asyncpg.UniqueViolationError:
            raise CycleFailed("SERIAL_COLLISION") from None
        steps.reached("mint_copied")
        await connection.execute(transactions.caller.identity(claim.brand_id).statements())
        await _close(transactions, connection, claim, plan)


async def _pieces(buffer: bytearray) -> AsyncIterator[bytes]:
    async for piece in copy_buffers.pieces(buffer):
        yield piece
        steps.reached("mint_copy_under_way")


async def _build_ahead(transactions: Transactions, plan: ChunkPlan | None, now: datetime) -> None:
    if plan is not None:
        await transactions.shelf.build_ahead(plan, now)


async def _chunk_of(transactions: Transactions, claim: Claim, plan: ChunkPlan) -> bytearray:
    if not claim.has_brought_serials:
        return await transactions.shelf.take(plan, claim.now)
    async with transactions.call(claim.brand_id) as call:
        serials = await read_brought_serials(call.connection, plan)
    return await asyncio.to_thread(build_chunk, plan, serials, claim.now)


async def _close(
    transactions: Transactions, connection: Connection, claim: Claim, plan: ChunkPlan
) -> None:
    events = await _events(connection, claim, plan)
    row = await connection.fetchrow(
        _CLOSE_CYCLE,
        claim.brand_id,
        claim.mint_job_id,
        claim.mint_batch_id,
        *plan.id_bounds(),
        claim.epoch,
        plan.first_unit_no,
        plan.count,
        claim.now,
        transactions.caller.kind,
        transactions.caller.id,
        [event_id(claim.now) for _ in events],
        [event_type for event_type, _ in events],
        [payload for _, payload in events],
    )
    if row is None or not row["has_lease"]:
        raise CycleFailed("LEASE_LOST")
    if not row["is_closed"]:
        raise CycleFailed("INTEGRITY_CHECK_FAILED")
    steps.reached("mint_closed")
    if claim.minted_quantity + plan.count == claim.requested_quantity:
        await _announce_end(transactions, connection, claim)
        await connection.execute(_REMOVE, KIND, claim.brand_id, claim.mint_job_id, claim.epoch)
        steps.reached("mint_item_removed")


async def _announce_end(transactions: Transactions, connection: Connection, claim: Claim) -> None:
    call = await transactions.call_on(connection, claim.brand_id, claim.now)
    completed = message_of(
        "mint_job_completed",
        event_id(claim.now),
        {"minted_quantity": claim.requested_quantity},
        mint_job_id=claim.mint_job_id,
        mint_batch_id=claim.mint_batch_id,
    )
    moved = batch_message(event_id(claim.now), claim.mint_batch_id, "minted")
    await announce(call, [moved] if completed is None else [completed, moved])


async def _events(
    connection: Connection, claim: Claim, plan: ChunkPlan
) -> list[tuple[EventType, Mapping[str, object]]]:
    minted = claim.minted_quantity + plan.count
    events: list[tuple[EventType, Mapping[str, object]]] = [
        (
            "mint_units_created",
            {
                "count": plan.count,
                "first_unit_no": plan.first_unit_no,
                "last_unit_no": minted - 1,
                "minted_quantity": minted,
                "requested_quantity": claim.requested_quantity,
            },
        )
    ]
    if minted < claim.requested_quantity:
        return events
    if claim.identity_mode == "batch":
        rows = await connection.fetch(_LOTS, claim.brand_id, claim.mint_batch_id)
        lots = [{"lot_code": row["lot_code"], "quantity": row["quantity"]} for row in rows]
        events.append(("mint_lots_confirmed", {"lots": lots}))
    events.append(("mint_job_completed", {"minted_quantity": minted}))
    return events


async def _book_failure(transactions: Transactions, claim: Claim, error: Exception) -> Answer:
    """An attempt more, with back-off; the third fails the job. The work was rolled back already."""
    code: JobError = error.code if isinstance(error, CycleFailed) else "INTERNAL"
    if code == "INTERNAL":
        _log.error("a cycle failed", mint_job_id=str(claim.mint_job_id), exc_info=error)
    limits = transactions.limits
    async with transactions.call(claim.brand_id) as call:
        attempts = await call.connection.fetchval(
            _ATTEMPT_FAILED,
            KIND,
            claim.brand_id,
            claim.mint_job_id,
            claim.epoch,
            limits.backoff_s,
        )
        if attempts is None:
            return await _overtaken(call, claim)
        steps.reached("mint_attempt_booked")
        if attempts < limits.attempts_max:
            await call.connection.execute(
                _NOTE_ATTEMPT, claim.brand_id, claim.mint_job_id, attempts, code, call.now
            )
            row = await call.connection.fetchrow(_PROGRESS, claim.brand_id, claim.mint_job_id)
            status = row["status"] if row is not None else "PROCESSING"
            return failed_answer(status, attempts, code, done=False)
        await call.connection.execute(_REMOVE, KIND, claim.brand_id, claim.mint_job_id, claim.epoch)
        await fail_job(call, claim.mint_job_id, code, attempts)
        steps.reached("mint_job_failed")
        return failed_answer("FAILED", attempts, code, done=True)


async def _overtaken(call: Call, claim: Claim) -> Answer:
    """The lease is another's by now, or the job was voided: its own state is the answer.

    However this cycle failed: a late worker's brought serials, say, collide with those that the other minted.
    """
    row = await call.connection.fetchrow(_PROGRESS, claim.brand_id, claim.mint_job_id)
    if row is None:
        raise not_found("mint job")
    code = row["last_error"] if row["status"] == "FAILED" else None
    return failed_answer(
        row["status"],
        row["attempts"],
        code or "LEASE_LOST",
        done=row["status"] in {"FAILED", "COMPLETED"},
    )

"""process_mint_job_batch: one bounded, crash-safe cycle of minting (SPEC §4, DATA-MODEL "A cycle").

Two transactions: claim (lease with an epoch) and work (COPY, counters, events). Whoever dies in between
loses nothing: the next claim goes on at `minted_quantity`. Not here: the loop that calls it (`worker`),
and what is in a chunk's rows (`mint_chunks`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Final
from uuid import UUID

import asyncpg

from mintage import meters
from mintage.db import copy_buffers
from mintage.db.connection import AWAY_ERRORS, Connection, DatabaseRole, Identity
from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations import steps
from mintage.operations.arguments import ProcessMintJobBatch
from mintage.operations.call import Answer, Call, Transactions
from mintage.operations.events import event_id, record_event
from mintage.operations.leases import OWNER, Lease, give_back, give_back_owed
from mintage.operations.mint_chunks import ChunkPlan, build_chunk, read_brought_serials
from mintage.operations.tallies import Delta, add_deltas
from mintage.operations.webhook_outbox import announce, batch_message, message_of
from mintage.rules.lifecycle import EventType, JobError
from mintage.telemetry import logger
from mintage.tracing import Origin, work_span

KIND: Final = "mint_job"
_CLAIM: Final = query("work_item", "claim")
_CLAIM_ONE: Final = query("work_item", "claim_one")
_ATTEMPT_FAILED: Final = query("work_item", "attempt_failed")
_REMOVE: Final = query("work_item", "remove")
_RESERVE: Final = query("mint_job", "reserve")
_FIND_ANYWHERE: Final = query("mint_job", "find_anywhere")
_PROGRESS: Final = query("mint_job", "progress")
_CLOSE_CYCLE: Final = query("mint_job", "close_cycle")
_FAIL_JOB: Final = query("mint_job", "fail")
_NOTE_ATTEMPT: Final = query("mint_job", "note_attempt")
_FAIL_BATCH: Final = query("mint_batch", "fail")
_GIVE_BACK: Final = query("mint_job", "give_quantity_back")
_LOTS: Final = query("mint_batch", "lots")
_SENTENCES: Final[dict[JobError, str]] = {
    "SERIAL_COLLISION": "A unit id or serial of the chunk was taken already; nothing of the chunk was kept.",
    "INTEGRITY_CHECK_FAILED": "The chunk was not exactly complete; nothing of it was kept.",
    "LEASE_LOST": "The lease lapsed before the cycle was closed; nothing of the chunk was kept.",
    "VOIDED": "The mint batch was voided.",
    "INTERNAL": "The cycle failed; the reason has been logged. Nothing of the chunk was kept.",
}
_log = logger("operations")


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased job, as the claim found it. `epoch` is the token that the closing statement compares."""

    brand_id: UUID
    mint_job_id: UUID
    mint_batch_id: UUID
    epoch: int
    now: datetime
    identity_mode: str
    requested_quantity: int
    minted_quantity: int
    unit_id_low: UUID
    serial_prefix: str | None
    serial_strata: int | None
    has_brought_serials: bool
    origin: Origin

    @property
    def lease(self) -> Lease:
        return Lease(KIND, self.brand_id, self.mint_job_id, self.epoch, self.minted_quantity)

    def plan(self, count_max: int) -> ChunkPlan:
        """The chunk that is due: the units from `minted_quantity` on, `count_max` at most."""
        return ChunkPlan(
            brand_id=self.brand_id,
            mint_batch_id=self.mint_batch_id,
            unit_id_low=self.unit_id_low,
            requested_quantity=self.requested_quantity,
            first_unit_no=self.minted_quantity,
            count=min(count_max, self.requested_quantity - self.minted_quantity),
            serial_prefix=self.serial_prefix,
            serial_strata=self.serial_strata,
        )


class CycleFailed(Exception):
    """The work transaction was rolled back, for one of our reasons."""

    def __init__(self, code: JobError) -> None:
        self.code: JobError = code
        super().__init__(code)


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
    claimed = await _claim(transactions, arguments.mint_job_id)
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


async def _claim(transactions: Transactions, job_id: UUID | None) -> Claim | Answer:
    """Lease a job, in a transaction of its own. An answer instead where there is nothing to run."""
    await give_back_owed(transactions)
    claimed: Claim | Answer | None = None
    try:
        async with transactions.database.transaction(
            transactions.caller.identity(None), waits_for_disk=False
        ) as connection:
            steps.reached("mint_claim_begun")
            item = await _lease(transactions, connection, job_id)
            if item is not None:
                if item["has_lapsed"]:
                    meters.LEASE_LAPSES.labels(KIND).inc()
                steps.reached("mint_leased")
                claimed = await _reserve(transactions, connection, item)
            is_asked = claimed is None and job_id is not None
            brand_id = await connection.fetchval(_FIND_ANYWHERE, job_id) if is_asked else None
    except (*AWAY_ERRORS, asyncio.CancelledError):
        # Perhaps it was committed all the same.
        if isinstance(claimed, Claim):
            transactions.owed_leases.add(claimed.lease)
        raise
    if claimed is not None:
        return claimed
    if job_id is None:
        return {"ok": True, "mint_job_id": None, "status": "IDLE", "done": True}
    if brand_id is None:
        raise not_found("mint job")
    async with transactions.call(brand_id) as call:
        return await _state(call, job_id)


async def _lease(
    transactions: Transactions, connection: Connection, job_id: UUID | None
) -> asyncpg.Record | None:
    lease_s = transactions.limits.job_lease_s
    if job_id is None:
        return await connection.fetchrow(_CLAIM, KIND, OWNER, lease_s)
    return await connection.fetchrow(_CLAIM_ONE, KIND, job_id, OWNER, lease_s)


async def _reserve(
    transactions: Transactions, connection: Connection, item: asyncpg.Record
) -> Claim | Answer | None:
    """The leased item as a claim; an answer for its third lapse; None where its job cannot run."""
    brand_id, job_id = item["brand_id"], item["ref_id"]
    epoch, attempts = item["lease_epoch"], item["attempts"]
    await connection.execute(transactions.caller.identity(brand_id).statements())
    call = await transactions.call_on(connection, brand_id, item["now"])
    if item["has_lapsed"] and attempts >= call.limits.attempts_max:
        await connection.execute(_REMOVE, KIND, brand_id, job_id, epoch)
        await _fail_job(call, job_id, "LEASE_LOST", attempts)
        return _failed_answer("FAILED", attempts, "LEASE_LOST", done=True)
    row = await connection.fetchrow(_RESERVE, brand_id, job_id, attempts, call.now)
    if row is None:
        # Kept, it would be the first to be claimed for ever, and nothing else would run.
        _log.error("a work item has no job that can run", mint_job_id=str(job_id))
        await connection.execute(_REMOVE, KIND, brand_id, job_id, epoch)
        return None
    if row["is_first_start"]:
        await record_event(
            call,
            "mint_job_started",
            payload={"requested_quantity": row["requested_quantity"]},
            mint_job_id=job_id,
            mint_batch_id=row["mint_batch_id"],
        )
    steps.reached("mint_reserved")
    return Claim(
        brand_id=brand_id,
        mint_job_id=job_id,
        mint_batch_id=row["mint_batch_id"],
        epoch=epoch,
        now=call.now,
        identity_mode=row["identity_mode"],
        requested_quantity=row["requested_quantity"],
        minted_quantity=row["minted_quantity"],
        unit_id_low=row["unit_id_low"],
        serial_prefix=row["serial_prefix"],
        serial_strata=row["serial_strata"],
        has_brought_serials=row["has_brought_serials"],
        origin=Origin(row["request_id"], row["traceparent"]),
    )


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
            return _failed_answer(status, attempts, code, done=False)
        await call.connection.execute(_REMOVE, KIND, claim.brand_id, claim.mint_job_id, claim.epoch)
        await _fail_job(call, claim.mint_job_id, code, attempts)
        steps.reached("mint_job_failed")
        return _failed_answer("FAILED", attempts, code, done=True)


async def _overtaken(call: Call, claim: Claim) -> Answer:
    """The lease is another's by now, or the job was voided: its own state is the answer.

    However this cycle failed: a late worker's brought serials, say, collide with those that the other minted.
    """
    row = await call.connection.fetchrow(_PROGRESS, claim.brand_id, claim.mint_job_id)
    if row is None:
        raise not_found("mint job")
    code = row["last_error"] if row["status"] == "FAILED" else None
    return _failed_answer(
        row["status"],
        row["attempts"],
        code or "LEASE_LOST",
        done=row["status"] in {"FAILED", "COMPLETED"},
    )


async def _fail_job(call: Call, job_id: UUID, code: JobError, attempts: int) -> None:
    """FAILED: the units stay, what was not minted is given back to the production batch."""
    job = await call.connection.fetchrow(_FAIL_JOB, call.brand_id, job_id, attempts, code, call.now)
    batch = await call.connection.fetchrow(_FAIL_BATCH, call.brand_id, job_id, call.now)
    if job is None or batch is None:
        raise LookupError("a running job without a running batch")
    meters.JOBS_FINISHED.labels("failed").inc()
    await add_deltas(
        call,
        [
            Delta("jobs_queued", -1 if job["status_before"] == "QUEUED" else 0, batch["id"]),
            Delta("jobs_failed", 1, batch["id"]),
            Delta("batches_in_progress", -1, batch["id"]),
            Delta("batches_failed", 1, batch["id"]),
            Delta(
                "units_requested",
                batch["minted_quantity"] - batch["requested_quantity"],
                batch["id"],
            ),
        ],
    )
    await record_event(
        call,
        "mint_job_failed",
        payload={
            "error": code,
            "attempts": attempts,
            "minted_quantity": batch["minted_quantity"],
            "requested_quantity": batch["requested_quantity"],
        },
        mint_job_id=job_id,
        mint_batch_id=batch["id"],
    )
    await announce(call, [batch_message(event_id(call.now), batch["id"], "failed")])
    if batch["product_batch_id"] is not None and batch["given_back"]:
        await call.connection.execute(
            _GIVE_BACK, call.brand_id, batch["product_batch_id"], batch["given_back"], call.now
        )


async def _state(call: Call, job_id: UUID) -> Answer:
    """The answer for a job that is not to be run now: finished, failed, or leased by another."""
    row = await call.connection.fetchrow(_PROGRESS, call.brand_id, job_id)
    if row is None:
        raise not_found("mint job")
    if row["status"] == "FAILED":
        return _failed_answer("FAILED", row["attempts"], row["last_error"] or "INTERNAL", done=True)
    # A preflight that was not made a batch of is nothing to run, and nothing to wait for.
    is_done = row["status"] in {"COMPLETED", "PREFLIGHTED"}
    minted, requested = row["minted_quantity"] or 0, row["requested_quantity"] or 0
    answer: dict[str, object] = {
        "ok": True,
        "mint_job_id": row["id"],
        "mint_batch_id": row["mint_batch_id"],
        "status": row["status"],
        "units_created": 0,
        "minted_quantity": minted,
        "requested_quantity": requested,
        "remaining": requested - minted,
        "done": is_done,
    }
    return answer if is_done else answer | {"busy": True}


def _failed_answer(status: str, attempts: int, code: JobError, *, done: bool) -> Answer:
    return {
        "ok": False,
        "status": status,
        "attempts": attempts,
        "error": {"code": code, "message": _SENTENCES[code]},
        "done": done,
    }

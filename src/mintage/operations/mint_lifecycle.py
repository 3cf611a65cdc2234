"""set_mint_batch_status and retry_mint_job: what a caller may do to a batch and its job (SPEC §4).

Rows are locked in the order work_item, mint_job, mint_batch, product_batch. Not here: which moves are
legal (`rules.lifecycle`), and the moves that the executor makes (`mint_execution`, `pack_execution`).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments_minting import RetryMintJob, SetMintBatchStatus
from mintage.operations.call import Answer, BlockingReason, Call, Refused, TryAgain
from mintage.operations.events import event_id, record_event, record_events
from mintage.operations.mint_creation import queue_job
from mintage.operations.tallies import BATCHES_OF_STATUS, Delta, add_deltas
from mintage.operations.webhook_outbox import announce, batch_message, group_message
from mintage.rules.lifecycle import (
    BATCH_MOVES,
    UNFINISHED_JOB_STATUSES,
    BatchStatus,
    is_legal_batch_move,
)

_JOB_OF_BATCH: Final = query("mint_batch", "job_of")
_LOCK_BATCH: Final = query("mint_batch", "lock")
_ADVANCE: Final = query("mint_batch", "advance")
_VOID: Final = query("mint_batch", "void")
_REMOVE_ITEMS: Final = query("work_item", "remove_of_batch")
_LOCK_JOB: Final = query("mint_job", "lock")
_FAIL_JOB: Final = query("mint_job", "fail")
_FAIL_PACKS: Final = query("export", "fail_packs_of_batch")
_GIVE_BACK: Final = query("mint_job", "give_quantity_back")
_TAKE_AGAIN: Final = query("mint_job", "take_quantity_again")
_RETRY_JOB: Final = query("mint_job", "retry")
_RETRY_BATCH: Final = query("mint_batch", "retry")


async def set_mint_batch_status(call: Call, arguments: SetMintBatchStatus) -> Answer:
    """Take a batch to `status`: one step on, or void it. The same status again changes nothing.

    Answers `{ok, mint_batch_id, previous_status, status}`, or `Refused` with `ILLEGAL_STATUS_TRANSITION`.
    400 `P0002` for an unknown batch.
    """
    if arguments.status == "voided":
        previous = await _void(call, arguments)
    else:
        previous = await _advance(call, arguments)
    return {
        "ok": True,
        "mint_batch_id": arguments.mint_batch_id,
        "previous_status": previous,
        "status": arguments.status,
    }


async def retry_mint_job(call: Call, arguments: RetryMintJob) -> Answer:
    """Queue a FAILED job again; it goes on behind the units that it has minted.

    Answers `{ok, mint_job_id, status}`, or `Refused` with `JOB_STATUS_NOT_ELIGIBLE`, or with
    `BATCH_QUANTITY_EXHAUSTED` if the quantity that it gave back is used by now.
    """
    job_id = arguments.mint_job_id
    job = await call.connection.fetchrow(_RETRY_JOB, call.brand_id, job_id, call.now)
    if job is None:
        raise await _no_retry(call, job_id)
    batch = await call.connection.fetchrow(_RETRY_BATCH, call.brand_id, job_id, call.now)
    if batch is None:
        # The batch of a FAILED job is failed, or voided.
        raise status_not_eligible("FAILED", "FAILED, and its batch not voided")
    await queue_job(call, job_id)
    remaining = batch["requested_quantity"] - batch["minted_quantity"]
    await record_event(
        call,
        "mint_job_retried",
        payload={
            "previous_error": job["last_error"],
            "minted_quantity": batch["minted_quantity"],
            "requested_quantity": batch["requested_quantity"],
        },
        mint_job_id=job_id,
        mint_batch_id=batch["id"],
    )
    await announce(call, [batch_message(event_id(call.now), batch["id"], "queued")])
    await add_deltas(
        call,
        [
            Delta("jobs_failed", -1, batch["id"]),
            Delta("jobs_queued", 1, batch["id"]),
            Delta("batches_failed", -1, batch["id"]),
            Delta("batches_in_progress", 1, batch["id"]),
            Delta("units_requested", remaining, batch["id"]),
        ],
    )
    await _take_again(call, batch)
    return {"ok": True, "mint_job_id": job_id, "status": "QUEUED"}


def status_not_eligible(status: str, eligible: str) -> Refused:
    """The refusal of a job by its status."""
    reason = BlockingReason(
        "JOB_STATUS_NOT_ELIGIBLE",
        f"The mint job is {status}; it must be {eligible}.",
        {"status": status},
    )
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def _advance(call: Call, arguments: SetMintBatchStatus) -> BatchStatus:
    batch = await call.connection.fetchrow(_LOCK_BATCH, call.brand_id, arguments.mint_batch_id)
    if batch is None:
        raise not_found("mint batch")
    previous: BatchStatus = batch["status"]
    if previous == arguments.status:
        return previous
    if not is_legal_batch_move(previous, arguments.status, "caller"):
        raise _illegal(previous, arguments.status)
    tag = await call.connection.execute(
        _ADVANCE, call.brand_id, batch["id"], previous, arguments.status, call.now
    )
    if tag != "UPDATE 1":
        raise LookupError("a locked batch changed")
    group, next_group = BATCHES_OF_STATUS[previous], BATCHES_OF_STATUS[arguments.status]
    if group != next_group:
        await add_deltas(call, [Delta(group, -1, batch["id"]), Delta(next_group, 1, batch["id"])])
    await _record_change(call, batch, arguments)
    return previous


async def _void(call: Call, arguments: SetMintBatchStatus) -> BatchStatus:
    """Void a batch for good: its job fails, its open packs too, its quantity is given back."""
    batch_id = arguments.mint_batch_id
    found = await call.connection.fetchrow(_JOB_OF_BATCH, call.brand_id, batch_id)
    if found is None:
        raise not_found("mint batch")
    if found["status"] == "voided":
        return "voided"
    job_id: UUID = found["mint_job_id"]
    rows = await call.connection.fetch(_REMOVE_ITEMS, call.brand_id, job_id, batch_id)
    removed = {row["ref_id"] for row in rows}
    job = await _fail_running_job(call, job_id, removed)
    batch = await call.connection.fetchrow(_LOCK_BATCH, call.brand_id, batch_id)
    if batch is None:
        raise LookupError("a mint batch is gone")
    previous: BatchStatus = batch["status"]
    if previous == "voided":
        return previous
    await _fail_packs(call, batch_id, removed)
    tag = await call.connection.execute(_VOID, call.brand_id, batch_id, previous, call.now)
    if tag != "UPDATE 1":
        raise LookupError("a locked batch changed")
    if job is not None:
        await _record_job_failure(call, batch, job["attempts"])
    await _record_change(call, batch, arguments)
    await _count_void(call, batch, job["status_before"] if job is not None else None)
    if batch["product_batch_id"] is not None and batch["allocated_quantity"]:
        await call.connection.execute(
            _GIVE_BACK,
            call.brand_id,
            batch["product_batch_id"],
            batch["allocated_quantity"],
            call.now,
        )
    return previous


async def _fail_running_job(call: Call, job_id: UUID, removed: set[UUID]) -> asyncpg.Record | None:
    """The job as FAILED `VOIDED`, if it was unfinished; a cycle under way finds its lease gone."""
    job = await call.connection.fetchrow(_LOCK_JOB, call.brand_id, job_id)
    if job is None or job["status"] not in UNFINISHED_JOB_STATUSES:
        return None
    if job_id not in removed:
        # It was queued again since its items were looked for, and items are locked before jobs.
        raise TryAgain
    return await call.connection.fetchrow(
        _FAIL_JOB, call.brand_id, job_id, None, "VOIDED", call.now
    )


async def _fail_packs(call: Call, batch_id: UUID, removed: set[UUID]) -> None:
    packs = await call.connection.fetch(_FAIL_PACKS, call.brand_id, batch_id, "BATCH_VOIDED")
    if not packs:
        return
    if not {pack["id"] for pack in packs} <= removed:
        # They were asked for since items were looked for, and items are locked before batches.
        raise TryAgain
    await record_events(
        call,
        "payload_pack_failed",
        [
            (
                batch_id,
                {
                    "export_group_id": str(pack["export_group_id"]),
                    "payload_pack_id": str(pack["id"]),
                    "pack_index": pack["pack_index"],
                    "pack_count": pack["pack_count"],
                    "error": "BATCH_VOIDED",
                },
            )
            for pack in packs
        ],
    )
    groups = dict.fromkeys(pack["export_group_id"] for pack in packs)
    await announce(
        call,
        [group_message(event_id(call.now), group_id, batch_id, "failed") for group_id in groups],
    )


async def _record_job_failure(call: Call, batch: asyncpg.Record, attempts: int) -> None:
    await record_event(
        call,
        "mint_job_failed",
        payload={
            "error": "VOIDED",
            "attempts": attempts,
            "minted_quantity": batch["minted_quantity"],
            "requested_quantity": batch["requested_quantity"],
        },
        mint_job_id=batch["mint_job_id"],
        mint_batch_id=batch["id"],
    )


async def _record_change(call: Call, batch: asyncpg.Record, arguments: SetMintBatchStatus) -> None:
    await record_event(
        call,
        "mint_batch_status_changed",
        payload={
            "previous_status": batch["status"],
            "status": arguments.status,
            "reason": arguments.reason,
        },
        mint_job_id=batch["mint_job_id"],
        mint_batch_id=batch["id"],
    )


async def _count_void(call: Call, batch: asyncpg.Record, job_status: str | None) -> None:
    """`job_status` is the job's before, if it was unfinished. The fold makes all units revoked ones."""
    is_failed = batch["status"] == "failed"
    requested = batch["minted_quantity"] if is_failed else batch["requested_quantity"]
    await add_deltas(
        call,
        [
            Delta(BATCHES_OF_STATUS[batch["status"]], -1, batch["id"]),
            Delta("batches_voided", 1, batch["id"]),
            Delta("units_requested", -requested, batch["id"]),
            Delta("jobs_queued", -1 if job_status == "QUEUED" else 0, batch["id"]),
            Delta("jobs_failed", 1 if job_status is not None else 0, batch["id"]),
        ],
    )


async def _no_retry(call: Call, job_id: UUID) -> Exception:
    job = await call.connection.fetchrow(_LOCK_JOB, call.brand_id, job_id)
    if job is None:
        return not_found("mint job")
    if job["status"] == "FAILED":
        return TryAgain()
    return status_not_eligible(job["status"], "FAILED")


async def _take_again(call: Call, batch: asyncpg.Record) -> None:
    """Last, for its lock: the quantity that the failure gave back."""
    quantity = batch["taken_again"]
    if batch["product_batch_id"] is None or not quantity:
        return
    taken = await call.connection.fetchval(
        _TAKE_AGAIN, call.brand_id, batch["product_batch_id"], quantity, call.now
    )
    if taken is None:
        reason = BlockingReason(
            "BATCH_QUANTITY_EXHAUSTED",
            f"{quantity:,} units are to be minted still; the production batch has fewer left.",
        )
        raise Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


def _illegal(previous: BatchStatus, status: BatchStatus) -> Refused:
    possible = " or ".join(sorted(BATCH_MOVES["caller"][previous])) or "nothing else"
    reason = BlockingReason(
        "ILLEGAL_STATUS_TRANSITION",
        f"The mint batch is {previous}; a caller can make it {possible}, not {status}.",
        {"status": previous, "requested_status": status},
    )
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})

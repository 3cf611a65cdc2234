"""Writing one payload pack: claim, write, close (SPEC §7; DATA-MODEL "Leases", "Claim").

The file is written between two transactions, to a path that contains the lease's epoch; closing
compares the epoch. Whoever dies in between leaves a file that nothing refers to (`pack_sweep`), and
the next claim writes the pack anew. Not here: the loop that calls it (`worker`), and the file's bytes
(`pack_files`).
"""

from __future__ import annotations

import asyncio
from dataclasses import fields
from time import perf_counter
from typing import Final
from uuid import UUID

import asyncpg

from mintage import meters
from mintage.db.connection import AWAY_ERRORS, Connection
from mintage.db.queries import query
from mintage.operations import steps
from mintage.operations.call import SYSTEM, Call, Transactions
from mintage.operations.events import event_id, record_event
from mintage.operations.exports import KIND
from mintage.operations.group_manifest import release_manifest
from mintage.operations.leases import OWNER, LeaseLost, give_back, give_back_owed
from mintage.operations.pack_files import (
    PackClaim,
    PackError,
    PackFacts,
    PackOutcome,
    PackTools,
    file_path,
    write_file,
)
from mintage.operations.unit_rows import BatchFacts, SliceIncomplete
from mintage.operations.webhook_outbox import announce, group_message, message_of
from mintage.packs.context import PackUnreadable
from mintage.packs.workshop import Workshop
from mintage.rules.lifecycle import EventType
from mintage.secrets import ManifestKey
from mintage.storage import FileTaken, PackStore, StorageFailure, StoreAway, StoredFile
from mintage.telemetry import logger
from mintage.tracing import Origin, work_span

_CLAIM: Final = query("work_item", "claim")
_CLAIM_ONE: Final = query("work_item", "claim_one")
_ATTEMPT_FAILED: Final = query("work_item", "attempt_failed")
_REMOVE: Final = query("work_item", "remove")
_START_PACK: Final = query("export", "start_pack")
_START_GROUP: Final = query("export", "start_group")
_LOCK_TO_CLOSE: Final = query("export", "lock_to_close")
_LOCK_BATCH: Final = query("export", "lock_batch")
_COMPLETE_PACK: Final = query("export", "complete_pack")
_FAIL_PACK: Final = query("export", "fail_pack")
_POSTPONE: Final = query("work_item", "postpone")
_PUT_PACK_BACK: Final = query("export", "put_pack_back")
_FINISH_GROUP: Final = query("export", "finish_group")
_EXPORT_BATCH: Final = query("export", "export_batch")
_COMPLETED: Final[EventType] = "payload_pack_completed"
_log = logger("operations")


async def process_payload_pack(
    transactions: Transactions,
    store: PackStore,
    pack_ref: UUID | None = None,
    *,
    workshop: Workshop | None = None,
    manifest_key: ManifestKey | None = None,
) -> PackOutcome:
    """Write the pack whose turn it is, or the one of id `pack_ref`, if nobody else holds it.

    `workshop` and `manifest_key` as in `PackTools`. Events are the system's, whoever calls. Raises what
    the driver raises when the database is away; that counts as no attempt.
    """
    transactions = transactions.for_caller(SYSTEM)
    claim = await _claim(transactions, pack_ref)
    if isinstance(claim, PackOutcome):
        return claim
    tools = PackTools(store, workshop, manifest_key)
    pack = {"payload_pack_id": str(claim.pack_id), "format": claim.format_name}
    with work_span("payload pack", claim.origin, **pack) as told:
        outcome = await _write(transactions, claim, tools)
        told["status"] = outcome.result
        return outcome


async def _write(transactions: Transactions, claim: PackClaim, tools: PackTools) -> PackOutcome:
    steps.reached("pack_claimed")
    began = perf_counter()
    path = file_path(claim)
    try:
        written = await write_file(transactions, claim, tools)
        steps.reached("pack_written")
        outcome = await _close(transactions, claim, path, written)
        if outcome.result == "completed":
            meters.PACK_DURATION.labels(claim.format_name).observe(perf_counter() - began)
            meters.PACK_BYTES.labels(claim.format_name).inc(written.byte_size)
    except AWAY_ERRORS:
        # The close may have been committed all the same: the file stays, for the sweep to judge.
        await give_back(transactions, claim.lease)
        raise
    except asyncio.CancelledError:
        await asyncio.shield(give_back(transactions, claim.lease))
        raise
    except LeaseLost:
        return claim.outcome("lost", "LEASE_LOST")
    except (StoreAway, FileTaken) as error:
        # Whatever file there is stays. One that was there before is not ours to remove, it may be what the
        # pack states: the server forgot a claim (a failover may), and gave its epoch out again.
        outcome = await _postpone(transactions, claim, error)
        meters.PACKS.labels(claim.format_name, outcome.result).inc()
        return outcome
    except Exception as error:  # noqa: BLE001 - booked as an attempt and logged, never lost
        outcome = await _book_failure(transactions, claim, error)
    meters.PACKS.labels(claim.format_name, outcome.result).inc()
    if outcome.result == "completed":
        steps.reached("pack_committed")
    else:
        steps.reached("pack_failure_committed")
        await _remove_file(tools.store, path)
    return outcome


async def _claim(transactions: Transactions, pack_ref: UUID | None) -> PackClaim | PackOutcome:
    await give_back_owed(transactions)
    claimed: PackClaim | PackOutcome = PackOutcome("idle")
    try:
        # Waits for the disk, unlike a job's claim: an epoch that a crash forgets would name a file twice.
        async with transactions.database.transaction(
            transactions.caller.identity(None), plans_once=True
        ) as connection:
            steps.reached("pack_claim_begun")
            item = await _lease(transactions, connection, pack_ref)
            if item is not None:
                if item["has_lapsed"]:
                    meters.LEASE_LAPSES.labels(KIND).inc()
                steps.reached("pack_leased")
                brand_id: UUID = item["brand_id"]
                await connection.execute(transactions.caller.identity(brand_id).statements())
                call = await transactions.call_on(connection, brand_id, item["now"])
                claimed = await _start(call, item)
    except (*AWAY_ERRORS, asyncio.CancelledError):
        # Perhaps it was committed all the same.
        if isinstance(claimed, PackClaim):
            transactions.owed_leases.add(claimed.lease)
        raise
    return claimed


async def _lease(
    transactions: Transactions, connection: Connection, pack_ref: UUID | None
) -> asyncpg.Record | None:
    lease_s = transactions.limits.pack_lease_s
    if pack_ref is None:
        return await connection.fetchrow(_CLAIM, KIND, OWNER, lease_s)
    return await connection.fetchrow(_CLAIM_ONE, KIND, pack_ref, OWNER, lease_s)


async def _start(call: Call, item: asyncpg.Record) -> PackClaim | PackOutcome:
    """The claim of a leased pack, now `generating`; or what it failed of before it began."""
    pack_id, epoch = item["ref_id"], item["lease_epoch"]
    is_lost = item["has_lapsed"] and item["attempts"] >= call.limits.attempts_max
    pack = await call.connection.fetchrow(_START_PACK, call.brand_id, pack_id, not is_lost)
    if pack is None:
        return await _take_off(call, pack_id, epoch)
    error: PackError | None = None
    if pack["status"] == "voided":
        error = "BATCH_VOIDED"
    elif is_lost:
        error = "LEASE_LOST"
    if error is not None:
        await _fail(call, pack_id, epoch, error)
        return PackOutcome("failed", call.brand_id, pack_id, error)
    if not pack["is_started"]:
        return await _take_off(call, pack_id, epoch)
    if pack["group_status"] == "pending":
        await call.connection.execute(_START_GROUP, call.brand_id, pack["export_group_id"])
    steps.reached("pack_started")
    return PackClaim(
        brand_id=call.brand_id,
        pack_id=pack_id,
        export_group_id=pack["export_group_id"],
        epoch=epoch,
        format_name=pack["format"],
        pack_index=pack["pack_index"],
        first_unit_no=pack["first_unit_no"],
        unit_count=pack["unit_count"],
        batch=BatchFacts(
            mint_batch_id=pack["id"],
            unit_id_low=pack["unit_id_low"],
            requested_quantity=pack["requested_quantity"],
            gtin14=pack["gtin14"],
            identity_mode=pack["identity_mode"],
            activation_mode=pack["activation_mode"],
            is_voided=False,
            base_url=pack["base_url"],
        ),
        facts=PackFacts(**{each.name: pack[each.name] for each in fields(PackFacts)}),
        origin=Origin(pack["request_id"], pack["traceparent"]),
    )


async def _take_off(call: Call, pack_id: UUID, epoch: int) -> PackOutcome:
    """A work item whose pack cannot be written: kept, it would be the first to be claimed for ever."""
    _log.error("a work item has no pack that can be written", payload_pack_id=str(pack_id))
    await call.connection.execute(_REMOVE, KIND, call.brand_id, pack_id, epoch)
    return PackOutcome("failed", call.brand_id, pack_id, "INTERNAL")


async def _close(
    transactions: Transactions, claim: PackClaim, path: str, written: StoredFile
) -> PackOutcome:
    identity = transactions.caller.identity(claim.brand_id)
    async with transactions.database.transaction(identity, plans_once=True) as connection:
        key = (claim.brand_id, claim.pack_id, claim.epoch)
        held = await connection.fetchrow(_LOCK_TO_CLOSE, *key)
        if held is None:
            return claim.outcome("lost", "LEASE_LOST")
        call = await transactions.call_on(connection, claim.brand_id, held["now"])
        steps.reached("pack_item_locked")
        if held["status"] == "voided":
            await _fail(call, claim.pack_id, claim.epoch, "BATCH_VOIDED")
            return claim.outcome("failed", "BATCH_VOIDED")
        is_last = await _complete(call, claim, path, written)
        steps.reached("pack_completed")
        if is_last:
            await _finish_group(call, claim.export_group_id, claim.batch.mint_batch_id)
        steps.reached("pack_group_finished")
    return claim.outcome("completed")


async def _complete(call: Call, claim: PackClaim, path: str, written: StoredFile) -> bool:
    """The pack's good end; True if no other of its group is open, the manifest aside."""
    batch_id, identifier = claim.batch.mint_batch_id, event_id(call.now)
    payload: dict[str, object] = {
        "export_group_id": str(claim.export_group_id),
        "payload_pack_id": str(claim.pack_id),
        "pack_index": claim.pack_index,
        "pack_count": claim.facts.pack_count,
        "unit_count": claim.unit_count,
        "byte_size": written.byte_size,
        "sha256": written.sha256,
    }
    pack = await call.connection.fetchrow(
        _COMPLETE_PACK,
        claim.brand_id,
        claim.pack_id,
        claim.epoch,
        path,
        written.byte_size,
        written.sha256,
        call.now,
        identifier,
        call.actor_type,
        call.caller.id,
        payload,
    )
    if pack is None:
        raise LookupError("a leased pack that is not being generated")
    if pack["is_heard"]:
        message = message_of(
            _COMPLETED, identifier, payload, mint_job_id=None, mint_batch_id=batch_id
        )
        await announce(call, [message] if message is not None else [])
    is_last: bool = pack["is_last"]
    return is_last


async def _fail(call: Call, pack_id: UUID, epoch: int, error: PackError) -> None:
    """The pack's end: no work item, `failed`, its event, and perhaps the group's end."""
    await call.connection.execute(_REMOVE, KIND, call.brand_id, pack_id, epoch)
    await call.connection.execute(_LOCK_BATCH, call.brand_id, pack_id)
    pack = await call.connection.fetchrow(_FAIL_PACK, call.brand_id, pack_id, error)
    if pack is None:
        raise LookupError("a leased pack that is finished")
    payload = {
        "export_group_id": str(pack["export_group_id"]),
        "payload_pack_id": str(pack_id),
        "pack_index": pack["pack_index"],
        "pack_count": pack["pack_count"],
        "error": error,
    }
    batch_id: UUID = pack["mint_batch_id"]
    await record_event(call, "payload_pack_failed", payload=payload, mint_batch_id=batch_id)
    await _finish_group(call, pack["export_group_id"], batch_id)


async def _finish_group(call: Call, group_id: UUID, batch_id: UUID) -> None:
    """Once no pack of the group is open: complete it, and a minted batch is exported (SPEC §4)."""
    await release_manifest(call, group_id)
    status = await call.connection.fetchval(_FINISH_GROUP, call.brand_id, group_id, call.now)
    if status is not None:
        message = group_message(event_id(call.now), group_id, batch_id, status)
        await announce(call, [message])
    if status != "completed":
        return
    moved = await call.connection.fetchval(_EXPORT_BATCH, call.brand_id, batch_id, call.now)
    if moved is None:
        return
    await record_event(
        call,
        "mint_batch_status_changed",
        payload={
            "previous_status": "minted",
            "status": "exported",
            "export_group_id": str(group_id),
        },
        mint_batch_id=batch_id,
    )


async def _postpone(
    transactions: Transactions, claim: PackClaim, failure: StoreAway | FileTaken
) -> PackOutcome:
    """Let the pack wait without an attempt; a store that says again and again that its next path is taken
    has failed."""
    limits = transactions.limits
    is_away = isinstance(failure, StoreAway)
    error: PackError = "STORAGE_AWAY" if is_away else "STORAGE_FAILED"
    lease = claim.lease
    key = (lease.kind, lease.brand_id, lease.ref_id, lease.epoch, OWNER)
    pauses_s = (limits.store_pause_s, limits.store_pause_s_max)
    try:
        async with transactions.call(claim.brand_id) as call:
            times = await call.connection.fetchval(_POSTPONE, *key, *pauses_s)
            if times is None:
                return claim.outcome("lost", "LEASE_LOST")
            # Whoever has written to a path that is taken may close the pack still: it stays as it is.
            if is_away:
                await call.connection.execute(_PUT_PACK_BACK, claim.brand_id, claim.pack_id, error)
    except AWAY_ERRORS:
        transactions.owed_leases.add(lease)
        raise
    if not is_away and times > limits.attempts_max:
        return await _book_failure(transactions, claim, failure)
    _log.warning(
        "a pack waits for the store",
        payload_pack_id=str(claim.pack_id),
        times=times,
        code=error,
        exc_info=failure,
    )
    return claim.outcome("postponed", error)


async def _book_failure(
    transactions: Transactions, claim: PackClaim, failure: Exception
) -> PackOutcome:
    """Count an attempt and wait before the next; the last one fails the pack."""
    error = _code_of(failure)
    limits = transactions.limits
    async with transactions.call(claim.brand_id) as call:
        attempts = await call.connection.fetchval(
            _ATTEMPT_FAILED,
            KIND,
            claim.brand_id,
            claim.pack_id,
            claim.epoch,
            limits.backoff_s,
        )
        if attempts is None:
            return claim.outcome("lost", "LEASE_LOST")
        steps.reached("pack_attempt_booked")
        _log.error(
            "a pack could not be written",
            payload_pack_id=str(claim.pack_id),
            attempts=attempts,
            code=error,
            exc_info=failure,
        )
        if attempts >= limits.attempts_max:
            await _fail(call, claim.pack_id, claim.epoch, error)
            steps.reached("pack_failed")
            return claim.outcome("failed", error)
        await call.connection.execute(_PUT_PACK_BACK, claim.brand_id, claim.pack_id, error)
    return claim.outcome("retried", error)


def _code_of(failure: Exception) -> PackError:
    match failure:
        case SliceIncomplete() | PackUnreadable():
            return "INTEGRITY_CHECK_FAILED"
        case StorageFailure():
            return "STORAGE_FAILED"
        case _:
            return "INTERNAL"


async def _remove_file(store: PackStore, path: str) -> None:
    try:
        await store.delete(path)
    except StorageFailure as failure:
        _log.warning("a file of no pack could not be removed", path=path, exc_info=failure)

"""Which mint job is run next: its lease, and what the cycle is told of it (DATA-MODEL "Claim", "Leases").

Not here: the cycle itself (`mint_execution`), and leases given back (`leases`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from mintage import meters
from mintage.db.connection import AWAY_ERRORS, Connection
from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations import steps
from mintage.operations.call import Answer, Call, Transactions
from mintage.operations.events import record_event
from mintage.operations.leases import OWNER, Lease, give_back_owed
from mintage.operations.mint_chunks import ChunkPlan
from mintage.operations.mint_failures import fail_job, failed_answer
from mintage.telemetry import logger
from mintage.tracing import Origin

KIND: Final = "mint_job"
_CLAIM: Final = query("work_item", "claim")
_CLAIM_ONE: Final = query("work_item", "claim_one")
_REMOVE: Final = query("work_item", "remove")
_RESERVE: Final = query("mint_job", "reserve")
_FIND_ANYWHERE: Final = query("mint_job", "find_anywhere")
_PROGRESS: Final = query("mint_job", "progress")
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


async def claim_job(transactions: Transactions, job_id: UUID | None) -> Claim | Answer:
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
        await fail_job(call, job_id, "LEASE_LOST", attempts)
        return failed_answer("FAILED", attempts, "LEASE_LOST", done=True)
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


async def _state(call: Call, job_id: UUID) -> Answer:
    """The answer for a job that is not to be run now: finished, failed, or leased by another."""
    row = await call.connection.fetchrow(_PROGRESS, call.brand_id, job_id)
    if row is None:
        raise not_found("mint job")
    if row["status"] == "FAILED":
        return failed_answer("FAILED", row["attempts"], row["last_error"] or "INTERNAL", done=True)
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

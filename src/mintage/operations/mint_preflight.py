"""preflight_mint_batch, and create_mint_batch_from_job, which makes a batch of a preflight (SPEC §4).

A preflight asks what submit asks, and keeps a pass as a PREFLIGHTED job for a while. Not here: what blocks
(`mint_preconditions`), and the rows of a batch (`mint_creation`).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input, not_found
from mintage.operations.arguments_minting import CreateMintBatchFromJob, PreflightMintBatch
from mintage.operations.call import Answer, BlockingReason, Call, Transactions, TryAgain
from mintage.operations.idempotency import KeyedRequest, find_earlier
from mintage.operations.mint_creation import (
    MintOrder,
    insert_batch,
    insert_job,
    queue_job,
    record_request,
    take_quantity,
)
from mintage.operations.mint_lifecycle import status_not_eligible
from mintage.operations.mint_preconditions import Ask, blocked, check_preconditions

_LOCK_JOB: Final = query("mint_job", "lock")
_QUEUE_PREFLIGHTED: Final = query("mint_job", "queue_preflighted")
_BATCH_OF_JOB: Final = query("mint_batch", "of_job")
_BRANDS_WITH_OLD: Final = query("mint_job", "brands_with_old_preflights")
_REMOVE_OLD: Final = query("mint_job", "remove_old_preflights")


async def preflight_mint_batch(call: Call, arguments: PreflightMintBatch) -> Answer:
    """Say whether a product, and a production batch of it, may be minted from now.

    Answers `{ok, id, status, preflight_result, blocking_reasons, scope_type, requested_quantity,
    created_at}`. A pass is stored, for `id`; what is blocked is not. 409 for a key that was used with
    other arguments.
    """
    request = _request(arguments)
    earlier = await find_earlier(call, request)
    if earlier is not None:
        return _passed(earlier)
    ask = Ask(arguments.product_id, arguments.batch_id, arguments.requested_quantity, None)
    preconditions = await check_preconditions(call, ask)
    if preconditions.reasons:
        return _answer(call, arguments, None, preconditions.reasons)
    job_id = await insert_job(
        call,
        request,
        "PREFLIGHTED",
        product_id=arguments.product_id,
        product_batch_id=arguments.batch_id,
        requested_quantity=arguments.requested_quantity,
        identity_mode=preconditions.default_identity_mode,
        activation_mode=preconditions.default_activation_mode,
    )
    if job_id is None:
        # Another preflight with this key came first: it has committed, for the insert waited for it.
        raise TryAgain
    return _answer(call, arguments, job_id, ())


async def create_mint_batch_from_job(call: Call, arguments: CreateMintBatchFromJob) -> Answer:
    """Make the batch of a PREFLIGHTED job and queue it, or answer the batch of a QUEUED one. Deprecated.

    Answers `{ok, mint_job_id, mint_batch_id, status, is_duplicate}`, or `Refused` with what blocks by now,
    or with `JOB_STATUS_NOT_ELIGIBLE`. 400 for a preflight without a quantity and an unknown job.
    """
    job = await call.connection.fetchrow(_LOCK_JOB, call.brand_id, arguments.mint_job_id)
    if job is None:
        raise not_found("mint job")
    if job["status"] == "QUEUED":
        batch = await call.connection.fetchrow(_BATCH_OF_JOB, call.brand_id, job["id"])
        if batch is None:
            raise LookupError("a queued job without a batch")
        return _batch_answer(job["id"], batch["id"], is_duplicate=True)
    if job["status"] != "PREFLIGHTED":
        raise status_not_eligible(job["status"], "PREFLIGHTED or QUEUED")
    order = _order(job)
    ask = Ask(
        order.product_id, order.product_batch_id, order.requested_quantity, order.identity_mode
    )
    preconditions = await check_preconditions(call, ask)
    if preconditions.reasons:
        raise blocked(ask, preconditions.reasons)
    queued = await call.connection.fetchval(_QUEUE_PREFLIGHTED, call.brand_id, job["id"], call.now)
    if queued is None:
        raise LookupError("a locked job changed")
    batch_id = await insert_batch(call, order, preconditions, job["id"], "draft")
    await record_request(call, order, job["id"], batch_id)
    await queue_job(call, job["id"])
    await take_quantity(call, order.product_batch_id, order.requested_quantity)
    return _batch_answer(job["id"], batch_id, is_duplicate=False)


async def remove_old_preflights(transactions: Transactions) -> int:
    """A duty: remove PREFLIGHTED jobs that nobody made a batch of for days; how many there were."""
    days = transactions.limits.preflight_kept_days
    async with transactions.database.transaction(
        transactions.caller.identity(None), read_only=True
    ) as connection:
        brand_ids = [row["brand_id"] for row in await connection.fetch(_BRANDS_WITH_OLD, days)]
    removed = 0
    for brand_id in brand_ids:
        async with transactions.call(brand_id) as call:
            tag = await call.connection.execute(_REMOVE_OLD, brand_id, days)
            removed += int(tag.rpartition(" ")[2])
    return removed


def _request(arguments: PreflightMintBatch) -> KeyedRequest:
    normalised = {
        "_product_id": str(arguments.product_id),
        "_batch_id": str(arguments.batch_id) if arguments.batch_id else None,
        "_requested_quantity": arguments.requested_quantity,
    }
    return KeyedRequest("preflight_mint_batch", arguments.idempotency_key, normalised)


def _answer(
    call: Call,
    arguments: PreflightMintBatch,
    job_id: UUID | None,
    reasons: tuple[BlockingReason, ...],
) -> Answer:
    return {
        "ok": not reasons,
        "id": job_id,
        "status": "preflight_blocked" if reasons else "preflight_pass",
        "preflight_result": "blocked" if reasons else "pass",
        "blocking_reasons": [reason.as_answer() for reason in reasons],
        "scope_type": _scope_type(arguments.batch_id),
        "requested_quantity": arguments.requested_quantity,
        "created_at": None if reasons else call.now,
    }


def _passed(job: asyncpg.Record) -> Answer:
    """The answer of the preflight that made `job`, whatever has become of it since."""
    return {
        "ok": True,
        "id": job["id"],
        "status": "preflight_pass",
        "preflight_result": "pass",
        "blocking_reasons": [],
        "scope_type": _scope_type(job["product_batch_id"]),
        "requested_quantity": job["requested_quantity"],
        "created_at": job["created_at"],
    }


def _scope_type(product_batch_id: UUID | None) -> str:
    """What was checked: the production batch too, or the product alone."""
    return "product" if product_batch_id is None else "product_batch"


def _order(job: asyncpg.Record) -> MintOrder:
    if job["requested_quantity"] is None:
        problem = "is a preflight without a quantity"
        hint = "must be a preflight that had a _requested_quantity"
        raise invalid_input([ArgumentProblem("_mint_job_id", problem, hint)])
    return MintOrder(
        job["product_id"],
        job["product_batch_id"],
        job["requested_quantity"],
        job["identity_mode"],
        job["activation_mode"],
    )


def _batch_answer(job_id: UUID, batch_id: UUID, *, is_duplicate: bool) -> Answer:
    return {
        "ok": True,
        "mint_job_id": job_id,
        "mint_batch_id": batch_id,
        "status": "QUEUED",
        "is_duplicate": is_duplicate,
    }

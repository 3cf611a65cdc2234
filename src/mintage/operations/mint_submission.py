"""submit_mint_request: one transaction makes the job, the batch, its lots and registered serials, or nothing.

Not here: making units (`mint_execution`), and what blocks a request (`mint_preconditions`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.errors import IDEMPOTENCY_CONFLICT, ArgumentProblem, MintageError, invalid_input
from mintage.operations.arguments import LotArgument, SubmitMintRequest
from mintage.operations.call import Answer, BlockingReason, Call, Refused, TryAgain
from mintage.operations.events import record_event
from mintage.operations.mint_preconditions import Ask, Preconditions, check_preconditions
from mintage.rules.gs1 import lot_code_problem
from mintage.rules.serials import draw_lot_code, draw_prefix, first_bad_serials, first_duplicates
from mintage.rules.unit_ids import draw_unit_id_low

OPERATION: Final = "submit_mint_request"
_NAMED_SERIALS_MAX: Final = 100
_SERIALS_A_STATEMENT: Final = 20_000
_FIND: Final = query("mint_job", "find_by_idempotency_key")
_INSERT_JOB: Final = query("mint_job", "insert")
_TAKE_QUANTITY: Final = query("mint_job", "take_quantity")
_INSERT_BATCH: Final = query("mint_batch", "insert")
_INSERT_LOTS: Final = query("mint_batch", "insert_lots")
_TAKEN_SERIALS: Final = query("mint_batch", "taken_serials")
_REGISTER_SERIALS: Final = query("mint_batch", "register_serials")
_ENQUEUE: Final = query("work_item", "enqueue")
_WAKE: Final = query("work_item", "wake")
_REDRAWN_KEYS: Final = {"mint_batch_unit_id_low", "mint_batch_serial_prefix"}


@dataclass(frozen=True, slots=True)
class _Lot:
    lot_code: str
    quantity: int
    first_unit_no: int


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
    problems = _lot_problems(call, arguments) + await _serial_problems(arguments)
    if problems:
        raise invalid_input(problems)
    normalised = _normalised(arguments)
    digest = hashlib.sha256(json.dumps(normalised, sort_keys=True).encode()).digest()
    earlier = await _earlier(call, arguments.idempotency_key, normalised, digest)
    if earlier is not None:
        return earlier
    try:
        preconditions = await _unblocked(call, arguments)
    except Refused:
        # What blocks may be the first submit with this key, committed since it was looked for.
        earlier = await _earlier(call, arguments.idempotency_key, normalised, digest)
        if earlier is None:
            raise
        return earlier
    job_id = await _insert_job(call, arguments, normalised, digest)
    if job_id is None:
        # Another submit with this key came first: it has committed, for the insert waited for it.
        earlier = await _earlier(call, arguments.idempotency_key, normalised, digest)
        if earlier is None:
            raise TryAgain
        return earlier
    batch_id = await _insert_batch(call, arguments, preconditions, job_id)
    await _register_serials(call, arguments, batch_id)
    await record_event(
        call,
        "mint_requested",
        payload={
            "requested_quantity": arguments.requested_quantity,
            "identity_mode": arguments.identity_mode,
            "activation_mode": arguments.activation_mode,
            "product_id": str(arguments.product_id),
            "product_batch_id": str(arguments.product_batch_id)
            if arguments.product_batch_id
            else None,
        },
        mint_job_id=job_id,
        mint_batch_id=batch_id,
    )
    await call.connection.execute(_ENQUEUE, "mint_job", call.brand_id, job_id, head_start_s)
    await call.connection.execute(_WAKE, "mint_job")
    await _take_quantity(call, arguments)
    return _answer(job_id, batch_id, "QUEUED", is_duplicate=False)


def _answer(job_id: UUID, batch_id: UUID, status: str, *, is_duplicate: bool) -> Answer:
    return {
        "ok": True,
        "mint_job_id": job_id,
        "mint_batch_id": batch_id,
        "status": status,
        "is_duplicate": is_duplicate,
    }


def _lot_problems(call: Call, arguments: SubmitMintRequest) -> list[ArgumentProblem]:
    lots = arguments.lots
    if lots is None:
        return []
    if arguments.identity_mode == "serial":
        return [
            ArgumentProblem("_lots", "is given in serial mode", "leave it out, or use batch mode")
        ]
    if not 1 <= len(lots) <= call.limits.lots_max:
        hint = f"must be a list of 1 to {call.limits.lots_max} lots, or be left out"
        return [ArgumentProblem("_lots", f"has {len(lots)} lots", hint)]
    problems = []
    seen: set[str] = set()
    for index, lot in enumerate(lots):
        problem = lot_code_problem(lot.lot_code)
        if problem is None and lot.lot_code in seen:
            problem = "is there twice"
        seen.add(lot.lot_code)
        if problem:
            hint = "must be 1 to 20 characters of GS1 set 82 (AI 10), each code once"
            problems.append(ArgumentProblem(f"_lots[{index}].lot_code", problem, hint))
    total = sum(lot.qty for lot in lots)
    if total != arguments.requested_quantity:
        hint = f"the lots' qty must add up to _requested_quantity, {arguments.requested_quantity}"
        problems.append(ArgumentProblem("_lots", f"adds up to {total}", hint))
    return problems


async def _serial_problems(arguments: SubmitMintRequest) -> list[ArgumentProblem]:
    serials = arguments.serials
    if serials is None:
        return []
    if arguments.identity_mode != "serial":
        return [
            ArgumentProblem(
                "_serials", "is given in batch mode", "leave it out, or use serial mode"
            )
        ]
    if len(serials) != arguments.requested_quantity:
        hint = f"must hold as many serials as _requested_quantity, {arguments.requested_quantity}"
        return [ArgumentProblem("_serials", f"holds {len(serials)} serials", hint)]
    if len(serials) > _SERIALS_A_STATEMENT:
        return await asyncio.to_thread(_bad_serials, serials)
    return _bad_serials(serials)


def _bad_serials(serials: Sequence[str]) -> list[ArgumentProblem]:
    hint = "must be 1 to 20 characters of GS1 set 82 (AI 21), not of the shape of generated serials"
    bad = [
        ArgumentProblem(f"_serials[{index}]", problem, hint)
        for index, problem in first_bad_serials(serials, _NAMED_SERIALS_MAX)
    ]
    if bad:
        return bad
    return [
        ArgumentProblem(f"_serials[{index}]", f"{value} is there twice", "must be there once")
        for index, value in first_duplicates(serials, _NAMED_SERIALS_MAX)
    ]


def _normalised(arguments: SubmitMintRequest) -> dict[str, object]:
    """The arguments as one idempotency key stands for them; a million serials as their digest."""
    serials = arguments.serials
    return {
        "_product_id": str(arguments.product_id),
        "_product_batch_id": str(arguments.product_batch_id)
        if arguments.product_batch_id
        else None,
        "_requested_quantity": arguments.requested_quantity,
        "_identity_mode": arguments.identity_mode,
        "_activation_mode": arguments.activation_mode,
        "_lots": [[lot.lot_code, lot.qty] for lot in arguments.lots] if arguments.lots else None,
        "_serials": hashlib.sha256("\n".join(serials).encode()).hexdigest() if serials else None,
    }


async def _earlier(
    call: Call, key: str | None, normalised: Mapping[str, object], digest: bytes
) -> Answer | None:
    if key is None:
        return None
    row = await call.connection.fetchrow(_FIND, call.brand_id, OPERATION, key)
    if row is None:
        return None
    if row["arguments_sha256"] != digest:
        fields = ", ".join(
            name for name, value in normalised.items() if row["arguments"].get(name) != value
        )
        raise MintageError(
            IDEMPOTENCY_CONFLICT,
            message=IDEMPOTENCY_CONFLICT.sentence.format(fields=fields),
            hint="use a new idempotency key for another request",
        )
    return _answer(row["id"], row["mint_batch_id"], row["status"], is_duplicate=True)


async def _unblocked(call: Call, arguments: SubmitMintRequest) -> Preconditions:
    """The preconditions, if nothing blocks; `Refused` with all reasons otherwise."""
    ask = Ask(
        arguments.product_id,
        arguments.product_batch_id,
        arguments.requested_quantity,
        needs_lot_from_batch_number=arguments.identity_mode == "batch" and arguments.lots is None,
    )
    preconditions = await check_preconditions(call, ask)
    taken = await _taken_serials(call, arguments.serials or ())
    reasons = [*preconditions.reasons, *([taken] if taken else [])]
    if reasons:
        raise Refused(
            {
                "ok": False,
                "blocking_reasons": [reason.as_answer() for reason in reasons],
                "product_id": arguments.product_id,
                "product_batch_id": arguments.product_batch_id,
            }
        )
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
        f"{len(named)} of the serials were used in this brand before; a serial is used once for ever.",
        {"count": len(named), "first": named[:_NAMED_SERIALS_MAX]},
    )


async def _insert_job(
    call: Call, arguments: SubmitMintRequest, normalised: Mapping[str, object], digest: bytes
) -> UUID | None:
    inserted: UUID | None = await call.connection.fetchval(
        _INSERT_JOB,
        call.brand_id,
        call.new_id(),
        OPERATION,
        arguments.idempotency_key,
        normalised,
        digest,
        "QUEUED",
        arguments.product_id,
        arguments.product_batch_id,
        arguments.requested_quantity,
        arguments.identity_mode,
        arguments.activation_mode,
        call.caller.id,
        call.actor_type,
        call.now,
    )
    return inserted


async def _insert_batch(
    call: Call, arguments: SubmitMintRequest, preconditions: Preconditions, job_id: UUID
) -> UUID:
    batch_id = call.new_id()
    is_generated = arguments.identity_mode == "serial" and arguments.serials is None
    quantity = arguments.requested_quantity
    try:
        await call.connection.execute(
            _INSERT_BATCH,
            call.brand_id,
            batch_id,
            job_id,
            arguments.product_id,
            arguments.product_batch_id,
            arguments.identity_mode,
            arguments.activation_mode,
            "queued",
            preconditions.gtin14,
            quantity,
            quantity if arguments.product_batch_id is not None else 0,
            draw_unit_id_low(int(call.now.timestamp() * 1000), os.urandom),
            draw_prefix(os.urandom) if is_generated else None,
            max(preconditions.strata or quantity, quantity) if is_generated else None,
            arguments.serials is not None,
            call.caller.id,
            call.actor_type,
            call.now,
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name in _REDRAWN_KEYS:
            raise TryAgain from None
        raise
    if arguments.identity_mode == "batch":
        lots = _lots(arguments.lots, quantity, preconditions.batch_number)
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
    return batch_id


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


async def _take_quantity(call: Call, arguments: SubmitMintRequest) -> None:
    if arguments.product_batch_id is None:
        return
    taken = await call.connection.fetchval(
        _TAKE_QUANTITY,
        call.brand_id,
        arguments.product_batch_id,
        arguments.requested_quantity,
        call.now,
    )
    if taken is None:
        # A racing submit took it, or the production batch was changed, since it was looked at.
        raise TryAgain

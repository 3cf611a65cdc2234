"""revoke_mint_units: single units that are no good any more, for ever (SPEC §4).

Locks are taken in the order mint_lot, unit_state, as a scan takes them. Not here: voiding a batch, which
revokes its units without touching them (`mint_lifecycle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.errors import SUBJECT_NOT_FOUND, ArgumentProblem, MintageError
from mintage.operations.arguments_minting import RevokeMintUnits
from mintage.operations.call import Answer, Call
from mintage.operations.events import record_events
from mintage.operations.tallies import Delta, add_deltas

_FIND: Final = query("unit_revocation", "find")
_HOLD_LOTS: Final = query("unit_revocation", "hold_lots")
_REVOKE: Final = query("unit_revocation", "revoke")


async def revoke_mint_units(call: Call, arguments: RevokeMintUnits) -> Answer:
    """Revoke units, all or none: a scan of one is answered 410 from now on.

    Answers `{ok, revoked, already_revoked}`, which add up to the units named; the units of a voided batch
    are revoked already. 400 `P0002`, naming them, if any id is none of the brand's units.
    """
    found = await call.connection.fetch(_FIND, call.brand_id, arguments.unit_ids)
    _require_all(arguments.unit_ids, {row["unit_id"] for row in found})
    standing = [row for row in found if not row["batch_is_voided"]]
    lot_ids = {row["mint_lot_id"] for row in standing if row["mint_lot_id"] is not None}
    if lot_ids:
        # Until the commit, so that an activation of a whole lot knows which of its units to count.
        await call.connection.execute(_HOLD_LOTS, call.brand_id, list(lot_ids))
    unit_ids = [row["unit_id"] for row in standing]
    revoked = await call.connection.fetch(_REVOKE, call.brand_id, unit_ids, call.now)
    by_batch: dict[UUID, list[asyncpg.Record]] = {}
    for row in revoked:
        by_batch.setdefault(row["mint_batch_id"], []).append(row)
    await _record(call, by_batch, arguments.reason)
    return {
        "ok": True,
        "revoked": len(revoked),
        "already_revoked": len(arguments.unit_ids) - len(revoked),
    }


def _require_all(asked: Sequence[UUID], found: set[UUID]) -> None:
    problems = [
        ArgumentProblem(f"_unit_ids[{index}]", "was not found", "must be a unit of this brand")
        for index, unit_id in enumerate(asked)
        if unit_id not in found
    ]
    if problems:
        message = SUBJECT_NOT_FOUND.sentence.format(subject="mint unit")
        raise MintageError(
            SUBJECT_NOT_FOUND, message=message, hint=problems[0].hint, problems=problems
        )


async def _record(call: Call, by_batch: dict[UUID, list[asyncpg.Record]], reason: str) -> None:
    """One event for each batch, so that a batch's record is whole; and what changes of its figures."""
    if not by_batch:
        return
    await record_events(
        call,
        "mint_units_revoked",
        [
            (
                batch_id,
                {
                    "count": len(rows),
                    "unit_ids": [str(row["unit_id"]) for row in rows],
                    "reason": reason,
                },
            )
            for batch_id, rows in by_batch.items()
        ],
    )
    deltas = []
    for batch_id, rows in by_batch.items():
        were_active = sum(row["was_active"] for row in rows)
        deltas.append(Delta("units_revoked", len(rows), batch_id))
        deltas.append(Delta("units_active", -were_active, batch_id))
    await add_deltas(call, deltas)

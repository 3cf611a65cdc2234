"""Figures: each change writes insert-only deltas, a duty folds them into the tallies (DATA-MODEL, "KPIs").

A brand's totals are read from `brand_total`, its days from `brand_tally`, a batch's units from
`batch_tally`. Statements that count in one go with what they change write their deltas themselves. Not
here: what a figure means (`kpis`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Call, Transactions
from mintage.rules.lifecycle import BatchStatus

Metric = Literal[
    "units_minted",
    "units_activated",
    "scans",
    "units_active",
    "units_revoked",
    "units_scanned",
    "units_requested",
    "batches_in_progress",
    "batches_minted",
    "batches_failed",
    "batches_voided",
    "jobs_queued",
    "jobs_failed",
    "packs_completed",
]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
BATCHES_OF_STATUS: Final[dict[BatchStatus, Metric]] = {
    "draft": "batches_in_progress",
    "queued": "batches_in_progress",
    "processing": "batches_in_progress",
    "minted": "batches_minted",
    "exported": "batches_minted",
    "printed": "batches_minted",
    "applied": "batches_minted",
    "failed": "batches_failed",
    "voided": "batches_voided",
}
"""The figure in which a batch of each status is counted: each in one, so that they add up."""
_BRANDS: Final = query("tally", "brands_with_deltas")
_LOCK_FOLD: Final = query("tally", "lock_fold")
_FOLD: Final = query("tally", "fold")
_ADD_DELTAS: Final = query("tally", "add_deltas")
_DELTAS_A_FOLD: Final = 10_000


@dataclass(frozen=True, slots=True)
class Delta:
    """`metric` changes by `value`, of which `mint_batch_id` is the batch."""

    metric: Metric
    value: int
    mint_batch_id: UUID


async def add_deltas(call: Call, deltas: Sequence[Delta]) -> None:
    """Write `deltas` on the call's UTC day, in the transaction of what they count; not those of 0."""
    changes = [delta for delta in deltas if delta.value]
    if changes:
        await call.connection.execute(
            _ADD_DELTAS,
            call.brand_id,
            call.now,
            [delta.metric for delta in changes],
            [delta.mint_batch_id for delta in changes],
            [delta.value for delta in changes],
        )


async def fold_tallies(transactions: Transactions) -> int:
    """Fold the deltas that are there now, brand by brand; gives how many were folded."""
    service = transactions.caller.identity(None)
    async with transactions.database.transaction(service, read_only=True) as connection:
        brands = [row["brand_id"] for row in await connection.fetch(_BRANDS)]
    folded = 0
    for brand_id in brands:
        while True:
            async with transactions.call(brand_id) as call:
                if not await call.connection.fetchval(_LOCK_FOLD, str(brand_id)):
                    break
                count: int = await call.connection.fetchval(_FOLD, brand_id, _DELTAS_A_FOLD)
            folded += count
            if count < _DELTAS_A_FOLD:
                break
    return folded

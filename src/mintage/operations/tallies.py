"""Folding: insert-only deltas become the tallies that figures are read from (DATA-MODEL, "KPIs").

Not here: writing deltas, which each change does in its own transaction, and reading figures.
"""

from __future__ import annotations

from typing import Final

from mintage.db.queries import query
from mintage.operations.call import Transactions

_BRANDS: Final = query("tally", "brands_with_deltas")
_LOCK_FOLD: Final = query("tally", "lock_fold")
_FOLD: Final = query("tally", "fold")
_DELTAS_A_FOLD: Final = 10_000


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

"""Duties: what the platform does by itself, each with its name, how often, and which operation.

Not here: minting and packing, which are queued work (`loop`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

import asyncpg

from mintage.db.queries import query
from mintage.operations.accounts import remove_old_sessions
from mintage.operations.call import Transactions
from mintage.operations.daily_checks import check_what_is_due
from mintage.operations.mint_preflight import remove_old_preflights
from mintage.operations.pack_sweep import ORPHANS_KEPT_S, sweep_drafts, sweep_orphans
from mintage.operations.rate_limits import remove_old_rate_limits
from mintage.operations.scan_recording import remove_old_scan_receipts, remove_old_scans
from mintage.operations.tallies import fold_tallies
from mintage.operations.webhook_sending import remove_old_webhook_deliveries
from mintage.storage import PackStore

_MAKE_SCAN_PARTITIONS: Final = query("duty", "make_scan_partitions")


@dataclass(frozen=True, slots=True)
class Duty:
    """Run at start and then every `interval_s` seconds; any number of workers may run it at once.

    An orderly stop cuts it short if it `may_be_cut`, and waits for it otherwise.
    """

    name: str
    interval_s: float
    function: Callable[[Transactions], Coroutine[None, None, object]]
    may_be_cut: bool = False


async def make_scan_partitions(transactions: Transactions) -> None:
    """This month's partition of scan_event and the next three; again at once where another held the table."""
    service = transactions.caller.identity(None)
    for tries_left in reversed(range(transactions.limits.attempts_max)):
        try:
            async with transactions.database.transaction(service) as connection:
                await connection.execute(_MAKE_SCAN_PARTITIONS)
            return
        except asyncpg.LockNotAvailableError:
            if not tries_left:
                raise


def duties_of(store: PackStore) -> tuple[Duty, ...]:
    """The duties of a worker process."""

    async def sweep(transactions: Transactions) -> None:
        await sweep_orphans(transactions, store, age_s=ORPHANS_KEPT_S)
        await asyncio.to_thread(sweep_drafts)

    return (
        Duty("fold tallies", 2.0, fold_tallies),
        Duty("remove old rate limits", 300.0, remove_old_rate_limits),
        Duty("remove old preflights", 6 * 3600.0, remove_old_preflights),
        Duty("make scan partitions", 6 * 3600.0, make_scan_partitions),
        Duty("drop old scans", 24 * 3600.0, remove_old_scans),
        Duty("remove old scan receipts", 24 * 3600.0, remove_old_scan_receipts),
        Duty("remove old sessions", 24 * 3600.0, remove_old_sessions),
        Duty("remove old webhook deliveries", 24 * 3600.0, remove_old_webhook_deliveries),
        Duty("sweep files of no pack", 24 * 3600.0, sweep),
        Duty("check the invariants", 60.0, check_what_is_due, may_be_cut=True),
    )

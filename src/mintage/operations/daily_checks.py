"""The invariants, checked once a day on every brand: a little at a time, by one worker of all.

Each step claims the check that is most overdue and runs it: read-only, on one core, under a time limit. What
is broken is logged as an error and kept in `invariant_check`. Not here: the checks (`checks`, sql/checks/).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.meters import INVARIANTS_BROKEN
from mintage.operations.call import Transactions
from mintage.operations.checks import Check, load_checks
from mintage.telemetry import logger

CHECK_INTERVAL_S: Final = 86_400.0
DAILY_CHECK_TIMEOUT_S: Final = 900
STEPS_AT_ONCE: Final = 100

_HOLD_TURN: Final = query("invariant_check", "hold_turn")
_CLAIM: Final = query("invariant_check", "claim")
_CLOSE: Final = query("invariant_check", "close")
_GO_EASY: Final = query("invariant_check", "go_easy")
_log = logger("operations")


@dataclass(frozen=True, slots=True)
class _Claim:
    """A check to run in a brand, held since `started_at`."""

    brand_id: UUID
    check: Check
    started_at: datetime


async def check_what_is_due(transactions: Transactions) -> int:
    """Run the checks that are due, `STEPS_AT_ONCE` at most; how many were run."""
    checks = {check.name: check for check in load_checks()}
    for done in range(STEPS_AT_ONCE):
        claim = await _claim(transactions, checks)
        if claim is None:
            return done
        broken = await _run(transactions, claim)
        await _close(transactions, claim, broken)
    return STEPS_AT_ONCE


async def _claim(transactions: Transactions, checks: dict[str, Check]) -> _Claim | None:
    service = transactions.caller.identity(None)
    async with transactions.database.transaction(service) as connection:
        if not await connection.fetchval(_HOLD_TURN):
            return None
        row = await connection.fetchrow(
            _CLAIM, list(checks), CHECK_INTERVAL_S, float(DAILY_CHECK_TIMEOUT_S)
        )
    if row is None:
        return None
    return _Claim(row["brand_id"], checks[row["name"]], row["started_at"])


async def _run(transactions: Transactions, claim: _Claim) -> int | None:
    """How many rows it finds that break the check; None where it takes too long."""
    try:
        async with transactions.database.transaction(
            transactions.caller.identity(claim.brand_id),
            read_only=True,
            statement_timeout_s=DAILY_CHECK_TIMEOUT_S,
        ) as connection:
            await connection.execute(_GO_EASY)
            rows = await connection.fetch(claim.check.statement, claim.brand_id)
    except asyncpg.QueryCanceledError:
        _log.warning(
            "an invariant takes too long to check",
            check=claim.check.name,
            brand_id=str(claim.brand_id),
            timeout_s=DAILY_CHECK_TIMEOUT_S,
        )
        return None
    if rows:
        INVARIANTS_BROKEN.inc()
        _log.error(
            "an invariant is broken",
            check=claim.check.name,
            brand_id=str(claim.brand_id),
            rows=len(rows),
            advice="mintage check shows the rows",
        )
    return len(rows)


async def _close(transactions: Transactions, claim: _Claim, broken_rows: int | None) -> None:
    service = transactions.caller.identity(None)
    async with transactions.database.transaction(service) as connection:
        await connection.execute(
            _CLOSE, claim.brand_id, claim.check.name, claim.started_at, broken_rows
        )

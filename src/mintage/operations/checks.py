"""The invariants of DATA-MODEL, proved on the data: sql/checks/*.sql, each a SELECT that returns no row.

A check's first line says what holds; `$1` is the brand. Not here: printing (`cli`), and schedules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Transactions

CHECK_TIMEOUT_S: Final = 3600
_ALL_BRANDS: Final = query("duty", "all_brands")


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: its file's name, the sentence that holds, the statement that finds what breaks it."""

    name: str
    sentence: str
    statement: str


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand to check."""

    id: UUID
    slug: str


def load_checks() -> list[Check]:
    """All checks, by name."""
    folder = resources.files("mintage").joinpath("sql", "checks")
    checks = []
    for entry in sorted(folder.iterdir(), key=lambda found: found.name):
        if entry.name.endswith(".sql"):
            first, _, statement = entry.read_text("utf-8").partition("\n")
            checks.append(
                Check(entry.name.removesuffix(".sql"), first.removeprefix("-- "), statement)
            )
    return checks


async def list_brands(transactions: Transactions) -> list[Brand]:
    """Every brand of the platform, by slug."""
    service = transactions.caller.identity(None)
    async with transactions.database.transaction(service, read_only=True) as connection:
        return [Brand(row["id"], row["slug"]) for row in await connection.fetch(_ALL_BRANDS)]


async def run_check(
    transactions: Transactions, check: Check, brand_id: UUID
) -> list[Mapping[str, object]]:
    """The rows that break `check` in one brand: none, where it holds. Reads only."""
    async with transactions.database.transaction(
        transactions.caller.identity(brand_id), read_only=True, statement_timeout_s=CHECK_TIMEOUT_S
    ) as connection:
        return [dict(row) for row in await connection.fetch(check.statement, brand_id)]

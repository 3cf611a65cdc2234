"""Who visits the console: the account of a session that holds, and its brands, in one read.

It comes before there is a caller to authorize, as signing in does. Not here: opening and ending sessions
(`accounts`), and the console's cookie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Transactions
from mintage.rules.roles import BrandRole

_VISITOR: Final = query("account", "visitor")


@dataclass(frozen=True, slots=True)
class BrandOfVisitor:
    """A brand that the visitor is a member of, and as what."""

    id: UUID
    slug: str
    name: str
    role: BrandRole


@dataclass(frozen=True, slots=True)
class Visitor:
    """`brands` are the newest of the visitor's; `has_more`: there are others."""

    email: str
    brands: tuple[BrandOfVisitor, ...]
    has_more: bool


async def find_visitor(
    transactions: Transactions, session_id: UUID, brands_max: int
) -> Visitor | None:
    """The user that `transactions` are of, with up to `brands_max` brands; None once the session ended."""
    caller = transactions.caller
    async with transactions.database.transaction(
        caller.identity(None), read_only=True
    ) as connection:
        rows = await connection.fetch(
            _VISITOR, session_id, caller.id, transactions.pinned_now, brands_max + 1
        )
    if not rows:
        return None
    brands = tuple(BrandOfVisitor(*row[1:]) for row in rows[:brands_max] if row["id"] is not None)
    return Visitor(rows[0]["email"], brands, len(rows) > brands_max)

"""Where the resolver reads: the replica first, while it is fresh; the primary for what it cannot say surely.

The primary is asked for what the replica does not have (it may have been minted a moment ago) and for what
the next scan activates. All writing is the primary's. Not here: how old the replica is (`db.replica`).
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from mintage.db.connection import Database, DatabaseRole, Identity
from mintage.db.replica import REPLICA_ERRORS, REPLICA_TIMEOUT_S, Replica
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.resolving import (
    BrandHost,
    GtinLot,
    Key,
    ProductShown,
    find_product_shown,
)
from mintage.resolver.gathering import Found, KeyGatherer, Told, TooManyWaiting
from mintage.settings import Limits


def is_final(key: Key | None, found: Found | None) -> bool:
    """True if an answer that is a little old is as good as a fresh one, but for its age."""
    if found is None:
        return False
    _, subject = found
    if key is None:
        return True
    if subject is None or subject.status == "minted":
        return False
    is_walked_up = isinstance(key, GtinLot) and subject.mint_lot_id is None
    return not is_walked_up


class Reader:
    """What keys name and what the public sees of products, from `primary` or its replica."""

    def __init__(self, primary: Database, replica: Replica | None, limits: Limits) -> None:
        self._primary = primary
        self._replica = replica
        self._limits = limits
        self._on_primary = KeyGatherer(primary, limits)
        self._on_replica = KeyGatherer(replica.database, limits) if replica is not None else None

    async def find(self, host: str, key: Key | None) -> Found | None:
        """As `KeyGatherer.find`."""
        replica = self._replica
        if replica is not None and self._on_replica is not None and replica.is_fresh:
            try:
                async with asyncio.timeout(REPLICA_TIMEOUT_S):
                    found = await self._on_replica.find(host, key)
            except TooManyWaiting:
                raise
            except REPLICA_ERRORS as error:
                replica.failed(error)
            else:
                if is_final(key, found):
                    return found
        return await self._on_primary.find(host, key)

    @property
    def can_ask(self) -> bool:
        """True where `ask` answers: there is no replica, whose answer has to be waited for and weighed."""
        return self._replica is None

    def ask(self, host: str, key: Key | None, told: Told) -> None:
        """As `KeyGatherer.ask`, of the primary."""
        self._on_primary.ask(host, key, told)

    async def product_shown(self, host: BrandHost, product_id: UUID) -> ProductShown | None:
        """What the public sees of a product of the host's brand, or None."""
        replica = self._replica
        if replica is not None and replica.is_fresh:
            try:
                async with asyncio.timeout(REPLICA_TIMEOUT_S):
                    shown = await self._product_shown(replica.database, host, product_id)
            except REPLICA_ERRORS as error:
                replica.failed(error)
            else:
                if shown is not None:
                    return shown
        return await self._product_shown(self._primary, host, product_id)

    async def _product_shown(
        self, database: Database, host: BrandHost, product_id: UUID
    ) -> ProductShown | None:
        identity = Identity(DatabaseRole.RESOLVER, host.brand_id)
        timeout_s = self._limits.resolver_statement_timeout_s
        async with database.transaction(
            identity, read_only=True, statement_timeout_s=timeout_s
        ) as connection:
            call = Call(
                connection, ANONYMOUS, host.brand_id, None, host.now, self._limits, "resolver"
            )
            return await find_product_shown(call, product_id)

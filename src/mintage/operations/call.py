"""What every operation is given: one `Call`; and `Transactions` for the few that need several.

Not here: how a call is authorized (`perform`), and connections (`db.connection`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from mintage.db.connection import Connection, Database, DatabaseRole, Identity
from mintage.db.queries import query
from mintage.operations.countries import NO_COUNTRIES, Countries
from mintage.operations.leases import OwedLeases
from mintage.operations.mint_chunks import ChunkShelf
from mintage.operations.webhook_secrets import NO_SEALER, Sealer
from mintage.rules.roles import Action, Role, Scope, role_may, scopes_allow
from mintage.rules.unit_ids import uuid7
from mintage.settings import Limits

CallerKind = Literal["anonymous", "user", "api_key", "service", "system"]
ActorType = Literal["user", "api_key", "service", "system"]
Answer = Mapping[str, object]
"""The JSON object that answers an RPC: every documented key, `ok` first."""

_NOW: Final = query("access", "now")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the door has established it. Brand roles are not here: they are read on each call.

    `counted_as` names who it is to the rate limit; empty for calls that the platform makes itself.
    """

    kind: CallerKind
    id: UUID | None = None
    brand_id: UUID | None = None
    scopes: frozenset[Scope] = frozenset()
    counted_as: str = field(default="", compare=False)

    def identity(self, brand_id: UUID | None) -> Identity:
        """What row-level security is told when this caller works for `brand_id`."""
        if self.kind in {"service", "system"}:
            return Identity(DatabaseRole.SERVICE, brand_id)
        if self.kind == "api_key":
            return Identity(DatabaseRole.APP, brand_id, api_key_id=self.id)
        return Identity(DatabaseRole.APP, brand_id, user_id=self.id)


ANONYMOUS: Final = Caller("anonymous")
SERVICE: Final = Caller("service")
SYSTEM: Final = Caller("system")


@dataclass(frozen=True, slots=True)
class Call:
    """One authorized call inside one transaction. Operations never commit.

    `now` was read from the database's clock once (or pinned by a test). `role` is the caller's role in
    the brand, or service; None for an API key, which has scopes instead.
    """

    connection: Connection
    caller: Caller
    brand: UUID | None
    role: Role | None
    now: datetime
    limits: Limits
    request_id: str
    countries: Countries = NO_COUNTRIES
    sealer: Sealer = NO_SEALER

    @property
    def brand_id(self) -> UUID:
        """The brand that the call works in; `rpcs.py` says which RPCs have one."""
        if self.brand is None:
            raise RuntimeError("this call works in no brand")
        return self.brand

    def may(self, action: Action) -> bool:
        """True if the caller's role in the brand, and a key's scopes, allow `action`."""
        if self.caller.kind == "api_key":
            return scopes_allow(self.caller.scopes, action)
        return self.role is not None and role_may(self.role, action)

    @property
    def actor_type(self) -> ActorType:
        if self.caller.kind == "anonymous":
            raise PermissionError("an anonymous caller acts in no brand")
        return self.caller.kind

    def new_id(self) -> UUID:
        """A UUIDv7 of this call's time (RFC 9562)."""
        return new_id(self.now)


def new_id(now: datetime) -> UUID:
    """A UUIDv7 for a row made at `now`."""
    return uuid7(int(now.timestamp() * 1000), os.urandom)


class Refused(Exception):
    """Rolls the transaction back and answers HTTP 200 with `answer` (`ok: false`)."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__("refused by the rules of the domain")


class TryAgain(Exception):
    """A random draw (unit id head, serial prefix) was taken: the transaction is run again with others."""


@dataclass(frozen=True, slots=True)
class BlockingReason:
    """Why the rules refuse: a code for programs, a sentence for people."""

    code: str
    message: str
    details: Mapping[str, object] | None = None

    def as_answer(self) -> dict[str, object]:
        answer: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details is not None:
            answer["details"] = self.details
        return answer


@dataclass(frozen=True, slots=True)
class Transactions:
    """Opens one call after another, for operations that are more than one transaction (a cycle, a pack)."""

    database: Database
    caller: Caller
    limits: Limits
    request_id: str
    pinned_now: datetime | None = None
    shelf: ChunkShelf = field(default_factory=ChunkShelf)
    owed_leases: OwedLeases = field(default_factory=OwedLeases)
    sealer: Sealer = NO_SEALER

    @asynccontextmanager
    async def call(self, brand_id: UUID, *, waits_for_disk: bool = True) -> AsyncIterator[Call]:
        """A transaction of `brand_id` as this caller, who must be the service or the system."""
        async with self.database.transaction(
            self.caller.identity(brand_id), waits_for_disk=waits_for_disk
        ) as connection:
            yield await self.call_on(connection, brand_id)

    async def call_on(
        self, connection: Connection, brand_id: UUID, now: datetime | None = None
    ) -> Call:
        """A call on a transaction that is open already; `now` where a statement has read the clock."""
        now = self.pinned_now or now or await connection.fetchval(_NOW)
        return Call(
            connection,
            self.caller,
            brand_id,
            "service",
            now,
            self.limits,
            self.request_id,
            sealer=self.sealer,
        )

    def for_caller(self, caller: Caller) -> Transactions:
        return replace(self, caller=caller)


Operation = Callable[..., Awaitable[Answer]]
"""`(call, arguments)`; `rpcs.py` says for each whether it is given a `Call` or `Transactions`."""

"""The one way in: a caller, an RPC and raw arguments become an authorized call, in one transaction, answered.

HTTP, console, worker and CLI all come through here; only the resolver does not. Order of checks (SPEC §2):
`_brand_id` → how many calls → membership, role, scope → all other arguments → the operation. Not here: who
the caller is (`api.auth` reads tokens), and any rule of the domain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from mintage.db.connection import AWAY_ERRORS, Database
from mintage.db.queries import query
from mintage.errors import FORBIDDEN, INTERNAL, NOT_AUTHENTICATED, MintageError, unavailable
from mintage.operations.arguments import Arguments, parse_arguments, parse_brand_id
from mintage.operations.call import Answer, Call, Caller, Refused, Transactions, TryAgain
from mintage.operations.countries import NO_COUNTRIES, Countries
from mintage.operations.leases import OwedLeases
from mintage.operations.mint_chunks import ChunkShelf
from mintage.operations.rate_limits import CallRates
from mintage.rules.roles import BRAND_ROLES, SCOPES, Role
from mintage.settings import Limits

if TYPE_CHECKING:
    from mintage.db.connection import Connection
    from mintage.rpcs import Rpc

_LONG_ARGUMENTS: Final = 10_000
_OF_USER: Final = query("access", "of_user")
_OF_API_KEY: Final = query("access", "of_api_key")
_OF_SERVICE: Final = query("access", "of_service")


@dataclass(frozen=True, slots=True)
class Platform:
    """What performing needs. `pinned_now` is for tests only: the clock stands still.

    `shelf` holds the chunks of units that this process has built ahead, `owed_leases` what it could not give
    back when the database was away, `rates` the calls it has taken.
    """

    database: Database
    limits: Limits
    pinned_now: datetime | None = None
    shelf: ChunkShelf = field(default_factory=ChunkShelf)
    owed_leases: OwedLeases = field(default_factory=OwedLeases)
    countries: Countries = NO_COUNTRIES
    rates: CallRates = field(default_factory=CallRates)

    def transactions(self, caller: Caller, request_id: str) -> Transactions:
        return Transactions(
            self.database,
            caller,
            self.limits,
            request_id,
            self.pinned_now,
            self.shelf,
            self.owed_leases,
        )


async def perform(
    platform: Platform, caller: Caller, rpc: Rpc, raw: Mapping[str, object], request_id: str
) -> Answer:
    """Answer `rpc` for `caller`. Raises `MintageError` for anything that is no answer of the domain."""
    if caller.kind == "anonymous":
        raise MintageError(NOT_AUTHENTICATED)
    brand_id = parse_brand_id(raw) if rpc.audience == "brand" else None
    if rpc.audience == "service" and caller.kind not in {"service", "system"}:
        raise MintageError(FORBIDDEN)
    try:
        if caller.counted_as:
            await platform.rates.count(
                platform.database, platform.limits, caller.counted_as, brand_id
            )
        if rpc.opens_transactions:
            arguments = await _parsed(rpc, raw)
            answer: Answer = await rpc.function(
                platform.transactions(caller, request_id), arguments
            )
            return answer
        return await _in_one_transaction(platform, caller, rpc, raw, brand_id, request_id)
    except Refused as refusal:
        return refusal.answer
    except AWAY_ERRORS as error:
        raise unavailable() from error


async def _in_one_transaction(
    platform: Platform,
    caller: Caller,
    rpc: Rpc,
    raw: Mapping[str, object],
    brand_id: UUID | None,
    request_id: str,
) -> Answer:
    arguments: Arguments | None = None
    for _ in range(platform.limits.tries_max):
        try:
            async with platform.database.transaction(
                caller.identity(brand_id), read_only=rpc.is_read_only
            ) as connection:
                call = await _authorize(connection, platform, caller, rpc, brand_id, request_id)
                arguments = arguments or await _parsed(rpc, raw)
                answer: Answer = await rpc.function(call, arguments)
                return answer
        except (TryAgain, asyncpg.DeadlockDetectedError):
            continue
    raise MintageError(INTERNAL)


async def _authorize(
    connection: Connection,
    platform: Platform,
    caller: Caller,
    rpc: Rpc,
    brand_id: UUID | None,
    request_id: str,
) -> Call:
    """The call, if the caller may; an unknown brand and another's brand are refused alike."""
    role: Role | None = None
    if caller.kind in {"service", "system"}:
        row = await connection.fetchrow(_OF_SERVICE, brand_id)
        role = "service" if row is not None and (brand_id is None or row["is_known"]) else None
    elif caller.kind == "api_key":
        row = await connection.fetchrow(_OF_API_KEY, brand_id, caller.id)
        scopes = row["scopes"] if row is not None and brand_id == caller.brand_id else None
        kept = caller.scopes & {scope for scope in SCOPES if scope in (scopes or ())}
        caller = Caller("api_key", caller.id, caller.brand_id, kept)
    else:
        row = await connection.fetchrow(_OF_USER, brand_id, caller.id)
        found = row["role"] if row is not None else None
        role = next((known for known in BRAND_ROLES if known == found), None)
    if row is None:
        raise MintageError(FORBIDDEN)
    now = platform.pinned_now or row["now"]
    call = Call(
        connection, caller, brand_id, role, now, platform.limits, request_id, platform.countries
    )
    is_allowed = call.may(rpc.action) if rpc.audience == "brand" else True
    if not is_allowed:
        raise MintageError(FORBIDDEN)
    return call


async def _parsed(rpc: Rpc, raw: Mapping[str, object]) -> Arguments:
    serials = raw.get("_serials")
    if isinstance(serials, list) and len(serials) > _LONG_ARGUMENTS:
        return await asyncio.to_thread(parse_arguments, rpc.arguments, raw)
    return parse_arguments(rpc.arguments, raw)

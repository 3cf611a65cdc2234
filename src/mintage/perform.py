"""The one way in: a caller, an RPC and raw arguments become an authorized call, in one transaction, answered.

HTTP, console, worker and CLI all come through here; only the resolver does not. Order of checks (SPEC §2):
`_brand_id` → how many calls → membership, role, scope → all other arguments → the operation. Not here: who
the caller is (`api.auth` reads tokens), and any rule of the domain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
from mintage.operations.webhook_secrets import NO_SEALER, Sealer
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
    back when the database was away, `rates` the calls it has taken; `sealer` keeps secrets of webhooks.
    """

    database: Database
    limits: Limits
    pinned_now: datetime | None = None
    shelf: ChunkShelf = field(default_factory=ChunkShelf)
    owed_leases: OwedLeases = field(default_factory=OwedLeases)
    countries: Countries = NO_COUNTRIES
    rates: CallRates = field(default_factory=CallRates)
    sealer: Sealer = NO_SEALER

    def transactions(self, caller: Caller, request_id: str) -> Transactions:
        return Transactions(
            self.database,
            caller,
            self.limits,
            request_id,
            self.pinned_now,
            self.shelf,
            self.owed_leases,
            self.sealer,
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


async def perform_reads(
    platform: Platform,
    caller: Caller,
    asked: Sequence[tuple[Rpc, Mapping[str, object]]],
    request_id: str,
) -> list[Answer | MintageError]:
    """Answer several read-only RPCs of one brand in their order, in one transaction.

    The caller's role is read once and each RPC's action is checked against it. What `perform` would raise
    for one of them (400, 403, 404) stands in its place; what concerns all (the database is away) is raised.
    """
    brand_ids = {parse_brand_id(raw) for _, raw in asked}
    if len(brand_ids) != 1 or not all(_is_read_of_brand(rpc) for rpc, _ in asked):
        raise ValueError("reads of one brand are performed together, nothing else")
    if caller.kind == "anonymous":
        raise MintageError(NOT_AUTHENTICATED)
    brand_id = brand_ids.pop()
    try:
        if caller.counted_as:
            for _ in asked:
                await platform.rates.count(
                    platform.database, platform.limits, caller.counted_as, brand_id
                )
        return await _reads_in_one_transaction(platform, caller, asked, brand_id, request_id)
    except AWAY_ERRORS as error:
        raise unavailable() from error


def _is_read_of_brand(rpc: Rpc) -> bool:
    return rpc.is_read_only and rpc.audience == "brand" and not rpc.opens_transactions


async def _reads_in_one_transaction(
    platform: Platform,
    caller: Caller,
    asked: Sequence[tuple[Rpc, Mapping[str, object]]],
    brand_id: UUID,
    request_id: str,
) -> list[Answer | MintageError]:
    answers: list[Answer | MintageError] = []
    async with platform.database.transaction(
        caller.identity(brand_id), read_only=True
    ) as connection:
        call = await _call_of(connection, platform, caller, brand_id, request_id)
        for rpc, raw in asked:
            try:
                _require_action(call, rpc)
                answers.append(await rpc.function(call, await _parsed(rpc, raw)))
            except Refused as refusal:
                answers.append(refusal.answer)
            except MintageError as error:
                answers.append(error)
    return answers


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
                call = await _call_of(connection, platform, caller, brand_id, request_id)
                _require_action(call, rpc)
                arguments = arguments or await _parsed(rpc, raw)
                answer: Answer = await rpc.function(call, arguments)
                return answer
        except (TryAgain, asyncpg.DeadlockDetectedError):
            continue
    raise MintageError(INTERNAL)


async def _call_of(
    connection: Connection,
    platform: Platform,
    caller: Caller,
    brand_id: UUID | None,
    request_id: str,
) -> Call:
    """The call, with the role or the scopes that the caller has now; 403 for one that is not known."""
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
    return Call(
        connection,
        caller,
        brand_id,
        role,
        now,
        platform.limits,
        request_id,
        platform.countries,
        platform.sealer,
    )


def _require_action(call: Call, rpc: Rpc) -> None:
    """403 unless the caller may; an unknown brand and another's brand are refused alike."""
    if rpc.audience == "brand" and not call.may(rpc.action):
        raise MintageError(FORBIDDEN)


async def _parsed(rpc: Rpc, raw: Mapping[str, object]) -> Arguments:
    serials = raw.get("_serials")
    if isinstance(serials, list) and len(serials) > _LONG_ARGUMENTS:
        return await asyncio.to_thread(parse_arguments, rpc.arguments, raw)
    return parse_arguments(rpc.arguments, raw)

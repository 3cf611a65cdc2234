"""Connections and transactions: who speaks to PostgreSQL, as which role, for which brand.

A transaction begins, takes its role and its brand's settings in one round trip (`set local`, so that a
pooled connection keeps nothing). Not here: any statement of the domain (sql/queries/).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from mintage.db.connect import AWAY_ERRORS, BUSY_ERRORS, ServerIsStandby, Servers, is_pooled

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

__all__ = [
    "AWAY_ERRORS",
    "BUSY_ERRORS",
    "Connection",
    "Database",
    "DatabaseRole",
    "Identity",
    "open_database",
]

IDLE_TIMEOUT_S = 60


class DatabaseRole(StrEnum):
    """The roles of sql/schema.sql that a transaction can take."""

    APP = "mintage_app"
    SERVICE = "mintage_service"
    RESOLVER = "mintage_resolver"
    MINTER = "mintage_minter"


@dataclass(frozen=True, slots=True)
class Identity:
    """What row-level security is told of a transaction."""

    role: DatabaseRole
    brand_id: UUID | None = None
    user_id: UUID | None = None
    api_key_id: UUID | None = None

    def statements(self) -> str:
        """The `set local` statements; the values are a role's name and UUIDs, never text from outside."""
        settings = {
            "mintage.brand_id": self.brand_id,
            "mintage.user_id": self.user_id,
            "mintage.api_key_id": self.api_key_id,
        }
        lines = [f"set local role {self.role.value}"]
        lines += [
            f"set local {name} = '{value}'" for name, value in settings.items() if value is not None
        ]
        return "; ".join(lines)


class Database:
    """A pool, and transactions from it. `close` waits for those under way."""

    def __init__(self, pool: Pool, *, statement_timeout_s: int) -> None:
        self._pool = pool
        self._statement_timeout_s = statement_timeout_s
        self.waiting_count = 0
        """How many transactions wait for a connection."""

    @property
    def pool(self) -> Pool:
        return self._pool

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(
        self,
        identity: Identity,
        *,
        read_only: bool = False,
        waits_for_disk: bool = True,
        plans_once: bool = False,
        statement_timeout_s: int | None = None,
    ) -> AsyncIterator[Connection]:
        """One transaction as `identity`; commits at the end, rolls back on any exception.

        `waits_for_disk=False` is for writes whose loss in a crash costs nothing (a claim): it commits
        without waiting; whatever commits after it makes it durable too. `plans_once=True` is for statements
        that find rows by their keys: they are planned once a connection, not for the values of each run.
        """
        opening = [
            # Each statement sees what is committed by then, whatever the server's default is.
            "begin isolation level read committed" + (" read only" if read_only else ""),
            f"set local statement_timeout = '{statement_timeout_s or self._statement_timeout_s}s'",
            # A frozen process gives up its locks, although its connection lives.
            f"set local idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s'",
            identity.statements(),
        ]
        if plans_once:
            opening.append("set local plan_cache_mode = force_generic_plan")
        if not waits_for_disk:
            opening.append("set local synchronous_commit = off")
        async with self._connection() as connection:
            try:
                await connection.execute("; ".join(opening))
                yield connection
            except asyncpg.ReadOnlySQLTransactionError as error:
                await _roll_back(connection)
                if read_only:
                    raise
                # Kept, it would lead to the standby again and again.
                connection.terminate()
                raise ServerIsStandby from error
            except BaseException as error:
                try:
                    await _roll_back(connection)
                except AWAY_ERRORS as lost:
                    if isinstance(error, Exception):
                        raise lost from error
                raise
            else:
                await connection.execute("commit")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        self.waiting_count += 1
        try:
            connection = await self._pool.acquire(timeout=5)
        finally:
            self.waiting_count -= 1
        try:
            yield connection
        finally:
            await self._pool.release(connection)


async def open_database(
    dsn: str,
    *,
    connections: int,
    statement_timeout_s: int,
    application: str,
    connects_now: bool = True,
) -> Database:
    """A pool on the servers of `dsn`; with `connects_now` one of them must answer.

    How many statements a connection keeps prepared is the URL's `statement_cache_size`; where it does not
    say, none behind a pooler: there the next transaction may meet a server connection that has them not.
    """
    servers = Servers(dsn)
    options: dict[str, Any] = {"server_settings": {"application_name": f"mintage {application}"}}
    if connects_now:
        connection = await servers.connect(statement_cache_size=0, **options)
        try:
            if servers.statement_cache_size is None and await is_pooled(connection):
                options["statement_cache_size"] = 0
        finally:
            await connection.close()

    async def connect(*_: Any, **asked: Any) -> asyncpg.Connection[asyncpg.Record]:
        return await servers.connect(**asked, **options)

    pool = await asyncpg.create_pool(
        dsn,
        connect=connect,
        min_size=0,  # To keep more, the pool would log every attempt while the server is away.
        max_size=connections,
        init=_prepare_connection,
        reset=_reset_connection,
        max_inactive_connection_lifetime=300,
    )
    return Database(pool, statement_timeout_s=statement_timeout_s)


async def _roll_back(connection: Connection) -> None:
    if connection.is_in_transaction():
        await connection.execute("rollback")


async def _prepare_connection(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_json, decoder=json.loads, format="text"
    )


async def _reset_connection(connection: Connection) -> None:
    # All our state is "set local": the driver's own reset would cost a round trip per transaction.
    await _roll_back(connection)


def _encode_json(value: Mapping[str, object] | list[object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

"""What a backup asks the database itself: its versions, its tables, its rows, whether it is empty.

Not here: the dump (`backup`), and the schema (`db.migrate`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from mintage.db.connect import Servers, is_pooled
from mintage.db.dsn import read_dsn
from mintage.errors import BackupError

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_MAY_READ_ALL: Final = """
select rolsuper or rolbypassrls
from pg_roles
where rolname = current_user
"""
_TABLES: Final = """
select relation.relname, format('select count(*) from public.%I', relation.relname) as counting
from pg_class as relation
where relation.relnamespace = 'public'::regnamespace
  and relation.relkind = 'r'
order by relation.relname
"""
_RELATIONS: Final = """
select count(*)
from pg_class as relation
where relation.relnamespace = 'public'::regnamespace
  and not exists (
    select
    from pg_depend as dependency
    where dependency.classid = 'pg_class'::regclass
      and dependency.objid = relation.oid
      and dependency.deptype = 'e'
  )
"""
SNAPSHOT: Final = "select pg_export_snapshot(), now(), current_setting('server_version')"
_SCHEMA: Final = "select max(version) from public.schema_migration"
_PACKS: Final = """
select storage_path, byte_size, sha256
from public.payload_pack
where status = 'completed'
order by storage_path
"""


@dataclass(frozen=True, slots=True)
class StoredPack:
    """A completed pack as the database records it."""

    path: str
    byte_size: int
    sha256: str


@asynccontextmanager
async def connected(direct_dsn: str) -> AsyncIterator[tuple[Connection, str]]:
    """A session on one server that may read every row, and the URL of that server alone.

    Raises `BackupError` for a login that row-level security holds back, and for a pooler.
    """
    last: Exception | None = None
    for dsn in read_dsn(direct_dsn).dsns:
        try:
            connection = await Servers(dsn).connect(statement_cache_size=0)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            last = error
            continue
        try:
            await connection.execute("set statement_timeout = 0; set row_security = off")
            await connection.execute("set idle_in_transaction_session_timeout = 0")
            if await is_pooled(connection):
                raise BackupError(
                    "a backup needs a direct connection: name the server itself, past the pooler, in "
                    "MINTAGE_DIRECT_DATABASE_URL"
                )
            if not await connection.fetchval(_MAY_READ_ALL):
                raise BackupError(
                    "this login sees no row past row-level security: use a superuser's, or one of a "
                    "role with BYPASSRLS that owns the tables"
                )
            yield connection, dsn
        finally:
            await connection.close()
        return
    raise BackupError(f"the database does not answer: {last}") from last


async def count_rows(connection: Connection) -> dict[str, int]:
    """The rows of every table, partitions one by one."""
    tables = await connection.fetch(_TABLES)
    return {table["relname"]: await connection.fetchval(table["counting"]) for table in tables}


async def schema_version(connection: Connection) -> int:
    """The last migration. Raises `BackupError` where there is no schema of Mintage's."""
    try:
        version: int = await connection.fetchval(_SCHEMA)
    except asyncpg.UndefinedTableError:
        raise BackupError(
            "the database has no Mintage schema: there is nothing to back up"
        ) from None
    return version


async def completed_packs(connection: Connection) -> list[StoredPack]:
    """Every completed pack of every brand, by path."""
    return [StoredPack(*row) for row in await connection.fetch(_PACKS)]


async def refuse_tables(connection: Connection) -> None:
    """Raise `BackupError` for a database that is not empty."""
    if await connection.fetchval(_RELATIONS):
        raise BackupError(
            "the database is not empty, and nothing in it is overwritten: restore into a new one "
            "(`create database`, or another MINTAGE_DATA)"
        )

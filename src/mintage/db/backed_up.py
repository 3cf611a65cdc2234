"""What a backup asks the database itself: its versions, its tables, its rows, whether it is empty.

Not here: the dump (`backup`), and the schema (`db.migrate`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from mintage.db.connect import Servers, is_pooled
from mintage.db.dsn import read_dsn
from mintage.db.migrate import minter_statement
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
_GRANTEES: Final = """
select distinct role.rolname
from (
  select relacl as acl, relowner as owner from pg_class where relnamespace = 'public'::regnamespace
  union all
  select proacl, proowner from pg_proc where pronamespace = 'public'::regnamespace
  union all
  select nspacl, nspowner from pg_namespace where oid = 'public'::regnamespace
) as object
cross join lateral aclexplode(object.acl) as entry
join pg_roles as role on role.oid = entry.grantee
where role.rolname not in ('mintage_app', 'mintage_service', 'mintage_resolver', 'mintage_minter')
  and role.rolname not like 'pg\\_%'
  and entry.grantee <> object.owner
order by role.rolname
"""
_UNKNOWN_ROLES: Final = """
select name
from unnest($1::text[]) as name
where to_regrole(quote_ident(name)) is null
order by name
"""
_MINTER_BYPASSES: Final = "select rolbypassrls from pg_roles where rolname = 'mintage_minter'"
_FORCE: Final = "alter table public.mint_unit force row level security"
_FREE_WORK: Final = """
update public.work_item
set lease_owner = null,
  lease_until = null
where lease_until is not null
"""
_FREE_DELIVERIES: Final = """
update public.webhook_delivery
set lease_until = null
where lease_until is not null
"""
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
                    "role with BYPASSRLS (docs/backup.md says how to make one)"
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


async def grantees(connection: Connection) -> list[str]:
    """Roles that have rights in the schema and are neither Mintage's nor the owner: a dump names them."""
    return [row["rolname"] for row in await connection.fetch(_GRANTEES)]


async def refuse_unknown_roles(connection: Connection, names: Sequence[str]) -> None:
    """Raise `BackupError` where the server lacks roles that the dump gives rights to."""
    unknown = [row["name"] for row in await connection.fetch(_UNKNOWN_ROLES, list(names))]
    if unknown:
        statements = " ".join(f'create role "{name}";' for name in unknown)
        raise BackupError(
            f"the backup gives rights to roles that this server does not have: {statements} first, with the "
            "attributes that they had"
        )


async def make_ready(connection: Connection) -> None:
    """What a restored database needs before a worker comes: nobody holds anything, and units can be copied.

    How `mint_unit` lets COPY through is a matter of the server's roles, not of the dump (decision 0002).
    Leases are of workers of another database; they end without counting as attempts.
    """
    async with connection.transaction():
        await connection.execute(_FREE_WORK)
        await connection.execute(_FREE_DELIVERIES)
        if await connection.fetchval(_MINTER_BYPASSES):
            await connection.execute(_FORCE)
        else:
            await connection.execute(minter_statement())
    await connection.execute("analyze")


async def refuse_tables(connection: Connection) -> None:
    """Raise `BackupError` for a database that is not empty."""
    if await connection.fetchval(_RELATIONS):
        raise BackupError(
            "the database is not empty, and nothing in it is overwritten: restore into a new one "
            "(`create database`, or another MINTAGE_DATA)"
        )

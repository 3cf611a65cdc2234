"""What a database's catalog says of our schema, as plain text that can be compared and read.

Not here: what it should say (`test_schema`), and how it came about (`test_migrations`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg

from tests.conftest import with_database

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

TABLES_WITHOUT_BRAND_CONTENT = {
    "brand",
    "brand_host",
    "app_user",
    "user_session",
    "brand_member",
    "api_key",
    "work_item",
    "brand_turn",
    "rate_limit",
    "invariant_check",
}
"""The tables marked (M) in DATA-MODEL, and hashes of callers: no row-level security. Others are a brand's."""
APPEND_ONLY_TABLES = ("mint_event", "mint_unit", "scan_event", "serial_registry")
CALLERS_ROLES = ("mintage_app", "mintage_service", "mintage_resolver")
ROLES = (*CALLERS_ROLES, "mintage_minter")

_SNAPSHOT = """
with ours as (
  select oid, relname, relkind, relowner, relacl, relrowsecurity, relforcerowsecurity, relpersistence,
    reloptions, relispartition, relpartbound
  from pg_class
  where relnamespace = 'public'::regnamespace
    and relname not like 'schema\\_migration%'
)
select 'relation' as kind, relname::text as name,
  concat_ws(' ', relkind, relpersistence, 'rls', relrowsecurity, 'forced', relforcerowsecurity,
    'owner', pg_get_userbyid(relowner), 'acl', relacl, 'options', reloptions,
    'bound', pg_get_expr(relpartbound, oid)) as definition
from ours
union all
select 'column', ours.relname || '.' || attname,
  concat_ws(' ', attnum, format_type(atttypid, atttypmod), 'not null', attnotnull, 'identity',
    attidentity, 'generated', attgenerated, 'collation', attcollation::regcollation, 'acl', attacl,
    'default', pg_get_expr(adbin, adrelid))
from ours
join pg_attribute on attrelid = ours.oid and attnum > 0 and not attisdropped
left join pg_attrdef on adrelid = ours.oid and adnum = attnum
where relkind in ('r', 'p')
union all
select 'constraint', ours.relname || '.' || conname, pg_get_constraintdef(pg_constraint.oid)
from ours
join pg_constraint on conrelid = ours.oid
union all
select 'index', relname::text, pg_get_indexdef(oid)
from ours
where relkind in ('i', 'I')
union all
select 'sequence', relname::text,
  concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
from ours
join pg_sequence on seqrelid = ours.oid
union all
select 'policy', ours.relname || '.' || polname,
  concat_ws(' ', polcmd, 'permissive', polpermissive,
    (select array_agg(member::regrole::text order by member::regrole::text) from unnest(polroles) as member),
    'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid))
from ours
join pg_policy on polrelid = ours.oid
union all
select 'trigger', ours.relname || '.' || tgname, pg_get_triggerdef(pg_trigger.oid)
from ours
join pg_trigger on tgrelid = ours.oid and not tgisinternal
union all
select 'function', oid::regprocedure::text,
  concat_ws(' ', pg_get_functiondef(oid), 'owner', pg_get_userbyid(proowner), 'acl', proacl)
from pg_proc
where pronamespace = 'public'::regnamespace
union all
select 'type', typname::text, concat_ws(' ', typtype, format_type(typbasetype, typtypmod))
from pg_type
where typnamespace = 'public'::regnamespace
  and typtype in ('d', 'e', 'r')
union all
select 'schema', nspname::text, concat_ws(' ', 'acl', nspacl)
from pg_namespace
where nspname = 'public'
order by 1, 2
"""


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def new_database(server_dsn: str) -> AsyncIterator[str]:
    """An empty database on the server; its dsn. It is dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    async with connected(server_dsn) as connection:
        await connection.execute(f"create database {name}")
        try:
            yield with_database(server_dsn, name)
        finally:
            await connection.execute(f"drop database {name} with (force)")


async def snapshot(connection: Connection) -> dict[str, str]:
    """Everything in schema public but the migrations' history: `kind name` → its definition."""
    rows = await connection.fetch(_SNAPSHOT)
    return {f"{row['kind']} {row['name']}": row["definition"] for row in rows}


async def tables(connection: Connection) -> set[str]:
    """Our tables, without partitions and the migrations' history."""
    rows = await connection.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind in ('r', 'p') and not relispartition and relname <> 'schema_migration'"
    )
    return {row["relname"] for row in rows}


async def brand_tables(connection: Connection) -> list[str]:
    """The tables that hold brand content, in alphabetical order."""
    return sorted(await tables(connection) - TABLES_WITHOUT_BRAND_CONTENT)


async def values_allowed(connection: Connection, table: str, column: str) -> set[str]:
    """The texts that a CHECK of the form `column in (…)` allows in a column."""
    definitions = await connection.fetch(
        "select pg_get_constraintdef(oid) as definition from pg_constraint "
        "where conrelid = $1::regclass and contype = 'c'",
        table,
    )
    listed = re.compile(rf"CHECK \(\({column} = ANY \((?:\()?ARRAY\[(.*?)\]")
    found = [match for row in definitions if (match := listed.match(row["definition"]))]
    if len(found) != 1:
        raise LookupError(f"{table}.{column} has {len(found)} checks of the form 'in (…)'")
    return set(re.findall(r"'([^']*)'::text", found[0].group(1)))


async def privileges(connection: Connection, role: str, table: str) -> set[str]:
    """What a role may do with a table, or with a column of it."""
    kinds = ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
    return {
        kind
        for kind in kinds
        if await connection.fetchval("select has_table_privilege($1, $2, $3)", role, table, kind)
        or (
            kind in {"select", "insert", "update", "references"}
            and await connection.fetchval(
                "select has_any_column_privilege($1, $2, $3)", role, table, kind
            )
        )
    }

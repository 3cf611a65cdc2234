"""Distribution of the schema by brand over the nodes of a Citus cluster: sql/distribute.sql, all or nothing.

Not here: which table goes where (the file says), and that every key leads with brand_id (a test does).
"""

from __future__ import annotations

from importlib import resources
from typing import Final

import asyncpg

from mintage.db.connect import Servers
from mintage.db.migrate import LOCK_KEY, SchemaError, require_current_schema

FUNCTIONS: Final = (
    "create_distributed_table",
    "create_reference_table",
    "citus_add_local_table_to_metadata",
)
_MISSING: Final = """
select wanted.name
from unnest($1::text[]) as wanted (name)
where not exists (
  select
  from pg_proc
  where pg_proc.proname = wanted.name
    and pg_function_is_visible(pg_proc.oid)
)
order by wanted.name
"""
_NODES: Final = "select count(*) from pg_dist_node where isactive and noderole = 'primary'"
_DISTRIBUTED: Final = """
select count(*)
from pg_dist_partition
where logicalrelid = 'public.product'::regclass
"""


async def distribute(dsn: str) -> bool:
    """Distribute the tables by brand_id, in one transaction; False where they were before.

    Raises `SchemaError` when the schema is not current, Citus or its nodes are missing, or Citus refuses a
    statement: then nothing has changed.
    """
    await require_current_schema(dsn)
    connection = await Servers(dsn).connect(statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute(
                "set local search_path = public; set local statement_timeout = 0"
            )
            missing = [row["name"] for row in await connection.fetch(_MISSING, FUNCTIONS)]
            if missing:
                raise SchemaError(
                    f"this database has no Citus 12 or later ({', '.join(missing)} missing): put the "
                    "extension on every node, `create extension citus` in this database on each, then "
                    "run `mintage migrate --distribute` again; nothing was changed"
                )
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
            if await connection.fetchval(_DISTRIBUTED):
                return False
            if not await connection.fetchval(_NODES):
                raise SchemaError(
                    "Citus knows no node yet: `select citus_set_coordinator_host('…')`, then "
                    "`select citus_add_node('…', 5432)` for each other one; nothing was changed"
                )
            await connection.execute(distribution())
    except asyncpg.PostgresError as error:
        raise SchemaError(
            f"the schema is not distributed ({str(error).partition(chr(10))[0]}); nothing was changed"
        ) from error
    finally:
        await connection.close()
    return True


def distribution() -> str:
    """The text of sql/distribute.sql."""
    return resources.files("mintage").joinpath("sql", "distribute.sql").read_text("utf-8")

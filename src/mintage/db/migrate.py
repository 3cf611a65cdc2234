"""Migrations: sql/migrations/NNNN_verb_noun.sql, forward only, each once, under one lock.

A file runs in one transaction unless its first line is `-- transaction: none` (then it holds one
statement, such as `create index concurrently`). Not here: what the schema says.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCK_KEY: Final = 0x6D696E74616765  # "mintage"
SERVER_VERSION_MIN: Final = 150000
SERVER_VERSION_END: Final = 190000
_FILE_NAME: Final = re.compile(r"^([0-9]{4})_[a-z0-9_]+\.sql$")
_TABLE: Final = """
create table if not exists schema_migration (
  version    integer primary key,
  name       text not null,
  sha256     text not null,
  applied_at timestamptz not null default clock_timestamp()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `sha256` is of its bytes: a file that was applied is never edited again."""

    version: int
    name: str
    text: str
    sha256: str

    @property
    def is_transactional(self) -> bool:
        return not self.text.startswith("-- transaction: none")


class SchemaError(RuntimeError):
    """The database cannot be used as it is; the message says why and what would be right."""


def load_migrations() -> list[Migration]:
    """The migrations of this release, by version, without a gap."""
    folder = resources.files("mintage").joinpath("sql", "migrations")
    found = []
    for entry in folder.iterdir():
        if match := _FILE_NAME.match(entry.name):
            body = entry.read_bytes()
            digest = hashlib.sha256(body).hexdigest()
            found.append(Migration(int(match.group(1)), entry.name, body.decode("utf-8"), digest))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise SchemaError(
            "the files in sql/migrations/ are not numbered 0001, 0002, … without a gap"
        )
    return found


async def migrate(dsn: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Bring the database to this release's schema; gives the names applied now.

    Any number of processes may call it at once. Raises `SchemaError` when the server is too old or too
    new, or its schema is newer than this release or unknown to it.
    """
    known = list(migrations) if migrations is not None else load_migrations()
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        _refuse_server(connection)
        await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
        try:
            await _refuse_foreign_database(connection)
            await connection.execute(_TABLE)
            applied = await _applied(connection)
            _refuse_unknown(applied, known)
            done = []
            for migration in known[len(applied) :]:
                await _apply(connection, migration)
                done.append(migration.name)
            return done
        finally:
            await connection.execute("select pg_advisory_unlock($1)", LOCK_KEY)
    finally:
        await connection.close()


async def require_current_schema(dsn: str) -> None:
    """Refuse a database that this release cannot serve: `SchemaError` with a clear sentence."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        _refuse_server(connection)
        if await connection.fetchval("select to_regclass('schema_migration')") is None:
            raise SchemaError("the database has no Mintage schema yet: run `mintage migrate` first")
        applied = await _applied(connection)
        known = load_migrations()
        _refuse_unknown(applied, known)
        if len(applied) < len(known):
            raise SchemaError(
                f"the database's schema is at {len(applied):04}, this release needs {len(known):04}: "
                "run `mintage migrate` first"
            )
    finally:
        await connection.close()


def _refuse_server(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    version = connection.get_server_version()
    number = version.major * 10000
    if not SERVER_VERSION_MIN <= number < SERVER_VERSION_END:
        raise SchemaError(f"Mintage runs on PostgreSQL 15 to 18; this server is {version.major}")


async def _refuse_foreign_database(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    history = await connection.fetchval("select to_regclass('public.schema_migration')")
    brand = await connection.fetchval("select to_regclass('public.brand')")
    if brand is not None and history is None:
        raise SchemaError(
            "the database has tables of Mintage's names but no schema_migration table: its schema is "
            "unknown; give Mintage a database of its own"
        )


async def _applied(connection: asyncpg.Connection[asyncpg.Record]) -> list[tuple[int, str, str]]:
    rows = await connection.fetch(
        "select version, name, sha256 from schema_migration order by version"
    )
    return [(row["version"], row["name"], row["sha256"]) for row in rows]


def _refuse_unknown(applied: Sequence[tuple[int, str, str]], known: Sequence[Migration]) -> None:
    if len(applied) > len(known):
        raise SchemaError(
            f"the database's schema is newer ({applied[-1][1]}) than this release of Mintage "
            f"({known[-1].name}): run the newer release"
        )
    for (version, name, sha256), migration in zip(applied, known, strict=False):
        if version != migration.version or sha256 != migration.sha256:
            raise SchemaError(
                f"the database's schema is unknown to this release: it has {name} "
                f"({sha256[:12]}), this release has {migration.name} ({migration.sha256[:12]})"
            )


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    record = "insert into schema_migration (version, name, sha256) values ($1, $2, $3)"
    values = (migration.version, migration.name, migration.sha256)
    if not migration.is_transactional:
        await connection.execute(migration.text)
        await connection.execute(record, *values)
        return
    async with connection.transaction():
        await connection.execute(migration.text)
        await connection.execute(record, *values)

"""Migrations: sql/migrations/NNNN_verb_noun.sql, forward only, each once, one process at a time.

A file runs in one transaction unless its first line is `-- transaction: none` (then it holds one
statement that may be run again, such as `create index concurrently if not exists`). A database that
is current needs no right but reading, and no lock. Not here: what the schema says.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

import asyncpg

from mintage.db.connect import Servers, is_pooled

if TYPE_CHECKING:
    from mintage.db.connection import Connection as PooledConnection

    Connection = asyncpg.Connection[asyncpg.Record]

LOCK_KEY: Final = 0x6D696E74616765  # "mintage"
LOCK_WAIT_S: Final = 600.0
LOCK_TIMEOUT_S: Final = 5.0
"""While a migration waits for a table, calls wait behind it."""
ATTEMPTS_MAX: Final = 20
ATTEMPT_PAUSE_S: Final = 0.5
SERVER_VERSION_MIN: Final = 15
SERVER_VERSION_MAX: Final = 18
_LOCK_POLL_S: Final = 0.1
_NAMES_SHOWN_MAX: Final = 3
_FILE_NAME: Final = re.compile(r"^([0-9]{4})_[a-z0-9_]+\.sql$")
_TABLE: Final = """
create table if not exists public.schema_migration (
  version    integer primary key,
  name       text not null,
  sha256     text not null,
  applied_at timestamptz not null default clock_timestamp()
)
"""
_HISTORY: Final = "select version, name, sha256 from public.schema_migration order by version"
_RECORD: Final = "insert into public.schema_migration (version, name, sha256) values ($1, $2, $3)"
_TABLES_THERE: Final = """
select relation.relname
from pg_class as relation
where relation.relnamespace = 'public'::regnamespace
  and relation.relkind in ('r', 'p', 'v', 'm', 'f')
  and not exists (
    select
    from pg_depend as dependency
    where dependency.classid = 'pg_class'::regclass
      and dependency.objid = relation.oid
      and dependency.deptype = 'e'
  )
order by relation.relname
limit $1
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


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of schema_migration: what was applied to this database."""

    version: int
    name: str
    sha256: str


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


def roles_statement() -> str:
    """What makes the roles where they are missing and the login a member of them: a dump has none."""
    text = load_migrations()[0].text
    start, end = "do $roles$", "$roles$;"
    return text[text.index(start) : text.index(end) + len(end)]


def minter_statement() -> str:
    """What lets mintage_minter copy into mint_unit by owning it, where it cannot have BYPASSRLS."""
    text = resources.files("mintage").joinpath("sql", "schema.sql").read_text("utf-8")
    start, end = "do $minter$", "$minter$;"
    return text[text.index(start) : text.index(end) + len(end)]


async def migrate(dsn: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Bring the database to this release's schema; gives the names applied now.

    Any number of processes may call it at once. Raises `SchemaError` when the server is too old or too
    new, its schema is newer than this release or unknown to it, the login lacks the rights, or there is
    something to do and the URL leads through a pooler.
    """
    known = list(migrations) if migrations is not None else load_migrations()
    connection = await _connect(dsn)
    try:
        if await _is_current(connection, known):
            return []
        if await is_pooled(connection):
            raise SchemaError(
                "the database's schema is not current, and migrations need a direct connection, because "
                "their lock belongs to a session: name the server itself, past the pooler, in "
                "MINTAGE_DIRECT_DATABASE_URL"
            )
        async with _lock(connection):
            return await _bring_up(connection, known)
    except asyncpg.InsufficientPrivilegeError as error:
        raise SchemaError(
            f"this login may not bring the schema up to date ({_first_line(error)}): run "
            "`mintage migrate` as the owner of the database, who may create roles or is a member of "
            "mintage_app, mintage_service, mintage_resolver and mintage_minter"
        ) from error
    finally:
        await connection.close()


async def require_current_schema(dsn: str) -> None:
    """Refuse a database that this release cannot serve: `SchemaError` with a clear sentence."""
    known = load_migrations()
    connection = await _connect(dsn)
    try:
        applied = await _history(connection)
        if applied is None:
            raise SchemaError("the database has no Mintage schema yet: run `mintage migrate` first")
        _refuse_unknown(applied, known)
        if len(applied) < len(known):
            raise SchemaError(
                f"the database's schema is at {len(applied):04}, this release needs {len(known):04}: "
                "run `mintage migrate` first"
            )
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The last migration that was applied (0 for none), and the last one that this release knows."""

    version: int
    needed: int

    @property
    def is_behind(self) -> bool:
        """True until `mintage migrate` has run. A newer schema serves: a release is rolled out after it."""
        return self.version < self.needed


async def schema_state(connection: PooledConnection) -> SchemaState:
    """How the database's schema stands to this release."""
    applied = await _history(connection)
    return SchemaState(
        version=applied[-1].version if applied else 0, needed=load_migrations()[-1].version
    )


def _first_line(error: asyncpg.PostgresError) -> str:
    return str(error).partition("\n")[0]


async def _connect(dsn: str) -> Connection:
    # Without a cache of statements, so that a check through PgBouncer works too.
    connection = await Servers(dsn).connect(statement_cache_size=0)
    try:
        major = connection.get_server_version().major
        if not SERVER_VERSION_MIN <= major <= SERVER_VERSION_MAX:
            raise SchemaError(
                f"Mintage runs on PostgreSQL {SERVER_VERSION_MIN} to {SERVER_VERSION_MAX}; "
                f"this server is {major}"
            )
    except BaseException:
        await connection.close()
        raise
    return connection


async def _is_current(connection: Connection, known: Sequence[Migration]) -> bool:
    applied = await _history(connection)
    if applied is None:
        return False
    _refuse_unknown(applied, known)
    return len(applied) == len(known)


@asynccontextmanager
async def _lock(connection: Connection) -> AsyncIterator[None]:
    """The one lock of all migrations, held by this session.

    It is tried, not waited for inside the server: a waiting statement has a snapshot, for whose end
    `create index concurrently` would wait in turn.
    """
    deadline = asyncio.get_running_loop().time() + LOCK_WAIT_S
    while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK_KEY):
        if asyncio.get_running_loop().time() > deadline:
            raise SchemaError(
                f"another process has been migrating this database for {LOCK_WAIT_S:.0f} s: "
                "see what it does, then start again"
            )
        await asyncio.sleep(_LOCK_POLL_S)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("select pg_advisory_unlock($1)", LOCK_KEY)


async def _bring_up(connection: Connection, known: Sequence[Migration]) -> list[str]:
    applied = await _history(connection)
    if applied is None:
        await _refuse_tables_of_others(connection)
        applied = []
    _refuse_unknown(applied, known)
    done = []
    for migration in known[len(applied) :]:
        await _apply(connection, migration)
        done.append(migration.name)
    return done


async def _history(connection: PooledConnection) -> list[Applied] | None:
    """What was applied, in order; None where there is no schema_migration."""
    if await connection.fetchval("select to_regclass('public.schema_migration')") is None:
        return None
    try:
        rows = await _read_history(connection)
    except asyncpg.UndefinedColumnError:
        raise SchemaError(
            "the database has a schema_migration table that is not Mintage's: give Mintage a "
            "database of its own"
        ) from None
    return [Applied(row["version"], row["name"], row["sha256"]) for row in rows]


async def _read_history(connection: PooledConnection) -> list[asyncpg.Record]:
    try:
        return await connection.fetch(_HISTORY)
    except asyncpg.InsufficientPrivilegeError:
        pass
    # A login that is a member of the roles, and inherits nothing from them.
    try:
        async with connection.transaction():
            await connection.execute("set local role mintage_app")
            return await connection.fetch(_HISTORY)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError):
        raise SchemaError(
            "this login may not read schema_migration: make it a member of mintage_app, "
            "mintage_service, mintage_resolver and mintage_minter"
        ) from None


async def _refuse_tables_of_others(connection: Connection) -> None:
    rows = await connection.fetch(_TABLES_THERE, _NAMES_SHOWN_MAX + 1)
    if not rows:
        return
    names = [row["relname"] for row in rows]
    shown = ", ".join(names[:_NAMES_SHOWN_MAX]) + (", …" if len(names) > _NAMES_SHOWN_MAX else "")
    raise SchemaError(
        f"the database holds tables but no schema_migration ({shown}), so its schema is unknown: "
        "give Mintage a database of its own"
    )


def _refuse_unknown(applied: Sequence[Applied], known: Sequence[Migration]) -> None:
    if len(applied) > len(known):
        newest = known[-1].name if known else "none"
        raise SchemaError(
            f"the database's schema is newer ({applied[-1].name}) than this release of Mintage "
            f"({newest}): run the newer release"
        )
    for there, migration in zip(applied, known, strict=False):
        if there.version != migration.version or there.sha256 != migration.sha256:
            raise SchemaError(
                f"the database's schema is unknown to this release: it has {there.name} "
                f"({there.sha256[:12]}), this release has {migration.name} ({migration.sha256[:12]})"
            )


async def _apply(connection: Connection, migration: Migration) -> None:
    values = (migration.version, migration.name, migration.sha256)
    if not migration.is_transactional:
        await connection.execute(_TABLE)
        await connection.execute("set statement_timeout = 0")
        await connection.execute(migration.text)
        await connection.execute(_RECORD, *values)
        return
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            async with connection.transaction():
                # What the database or the login is set to must not decide where tables go, or end us.
                await connection.execute(
                    "set local search_path = public; set local statement_timeout = 0; "
                    f"set local lock_timeout = '{LOCK_TIMEOUT_S}s'"
                )
                await connection.execute(_TABLE)
                await connection.execute(migration.text)
                await connection.execute(_RECORD, *values)
            return
        except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError) as error:
            # Programs at work lock tables in the order of their statements, and those go first.
            if attempt == ATTEMPTS_MAX:
                raise SchemaError(
                    f"{migration.name} could not lock a table in {ATTEMPTS_MAX} attempts "
                    f"({_first_line(error)}): see what holds it in pg_stat_activity, then run "
                    "`mintage migrate` again; nothing of it is applied"
                ) from error
            await asyncio.sleep(ATTEMPT_PAUSE_S)

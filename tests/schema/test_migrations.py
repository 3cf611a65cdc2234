"""Migrations: they add up to schema.sql, run once, and refuse what they do not know."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib import resources

import asyncpg
import pytest
import pytest_asyncio

from mintage.db import migrate as migrations
from mintage.db.migrate import (
    Migration,
    SchemaError,
    load_migrations,
    migrate,
    require_current_schema,
)
from tests.conftest import MONTHS_OF_TESTS
from tests.schema.catalog import connected, new_database, snapshot

MIGRATE = (
    "import asyncio, sys; from mintage.db.migrate import migrate; asyncio.run(migrate(sys.argv[1]))"
)

WAITING_FOR_THE_LOCK = (
    "select count(*) from pg_stat_activity where datname = current_database() "
    "and query like '%advisory_lock%' and pid <> pg_backend_pid() and pid <> $1"
)

WAITING_FOR_A_TABLE = (
    "select exists (select from pg_locks where relation = to_regclass($1) and not granted "
    "and database = (select oid from pg_database where datname = current_database()))"
)


@pytest_asyncio.fixture
async def empty_dsn(server_dsn: str) -> AsyncIterator[str]:
    """A database without anything in it."""
    async with new_database(server_dsn) as dsn:
        yield dsn


def migration(version: int, text: str) -> Migration:
    name = f"{version:04}_test_something.sql"
    return Migration(version, name, text, hashlib.sha256(text.encode()).hexdigest())


async def ask(dsn: str, statement: str) -> object:
    async with connected(dsn) as connection:
        return await connection.fetchval(statement)


async def execute(dsn: str, statement: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute(statement)


async def test_the_schema_file_is_the_sum_of_the_migrations(
    dsn: str, empty_dsn: str, template: str
) -> None:
    schema = resources.files("mintage").joinpath("sql", "schema.sql").read_text("utf-8")
    async with connected(empty_dsn) as by_file, connected(dsn) as by_migrations:
        async with by_file.transaction():
            await by_file.execute(schema)
        await by_file.execute(MONTHS_OF_TESTS)
        written, added_up = await snapshot(by_file), await snapshot(by_migrations)
    assert len(written) > 300, "the snapshot sees next to nothing"
    different = {
        name: (written.get(name), added_up.get(name))
        for name in written.keys() | added_up.keys()
        if written.get(name) != added_up.get(name)
    }
    assert not different, "edit sql/schema.sql to say what the migrations do"


async def test_a_difference_of_one_grant_is_seen(dsn: str) -> None:
    async with connected(dsn) as connection:
        before = await snapshot(connection)
        await connection.execute("grant delete on mint_event to mintage_app")
        assert await snapshot(connection) != before


async def test_a_second_run_applies_nothing(empty_dsn: str) -> None:
    assert await migrate(empty_dsn) == [known.name for known in load_migrations()]
    assert await migrate(empty_dsn) == []
    await require_current_schema(empty_dsn)


async def _migrated_by_processes(*dsns: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, dsn, stderr=asyncio.subprocess.PIPE
        )
        for dsn in dsns
    ]
    for process in processes:
        _, told = await process.communicate()
        assert process.returncode == 0, told.decode()


async def test_four_processes_at_once_migrate_once(empty_dsn: str) -> None:
    await _migrated_by_processes(*[empty_dsn] * 4)
    assert await ask(empty_dsn, "select count(*) from schema_migration") == len(load_migrations())


async def test_those_who_wait_do_not_stop_an_index_that_is_made_concurrently(
    empty_dsn: str,
) -> None:
    # It waits for every snapshot that is older: also for that of a statement waiting for the lock.
    steps = [
        migration(1, "create table thing (id integer primary key, name text);"),
        migration(
            2,
            "-- transaction: none\ncreate index concurrently if not exists thing_name on thing (name);",
        ),
    ]
    await migrate(empty_dsn, steps[:1])
    async with connected(empty_dsn) as holder:
        await holder.execute("select pg_advisory_lock($1)", migrations.LOCK_KEY)
        runs = [asyncio.create_task(migrate(empty_dsn, steps)) for _ in range(4)]
        async with connected(empty_dsn) as watcher:
            while await watcher.fetchval(WAITING_FOR_THE_LOCK, holder.get_server_pid()) < 4:
                await asyncio.sleep(0.01)
        await holder.execute("select pg_advisory_unlock($1)", migrations.LOCK_KEY)
        applied = await asyncio.gather(*runs)
    assert sorted(map(len, applied)) == [0, 0, 0, 1]
    assert await ask(
        empty_dsn, "select indisvalid from pg_index where indexrelid = 'thing_name'::regclass"
    )


async def test_a_failing_migration_leaves_nothing(empty_dsn: str) -> None:
    good = migration(1, "create table thing (id integer primary key);")
    bad = migration(2, "create table other (id integer primary key); select 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_dsn, [good, bad])
    assert await ask(empty_dsn, "select to_regclass('other') is null")
    assert await ask(empty_dsn, "select array_agg(version) from schema_migration") == [1]
    mended = replace(bad, text="create table other (id integer primary key);")
    assert await migrate(empty_dsn, [good, mended]) == [bad.name]


async def test_a_migration_that_meets_a_deadlock_runs_again(empty_dsn: str) -> None:
    tables = migration(1, "create table one (); create table two ();")
    step = migration(2, "lock one; lock two; create table three ();")
    await migrate(empty_dsn, [tables])
    async with connected(empty_dsn) as program, connected(empty_dsn) as watcher:
        # The program is never the one that is told: it looks for a deadlock later than the migration.
        await program.execute("set deadlock_timeout = '60s'")
        async with program.transaction():
            await program.execute("lock two")
            run = asyncio.create_task(migrate(empty_dsn, [tables, step]))
            while not await watcher.fetchval(WAITING_FOR_A_TABLE, "two"):
                await asyncio.sleep(0.01)
            await program.execute("lock one")
        assert await run == [step.name]


async def test_a_table_that_is_never_given_up_is_told(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_S", 0.01)
    monkeypatch.setattr(migrations, "ATTEMPT_PAUSE_S", 0.0)
    tables = migration(1, "create table one ();")
    step = migration(2, "create table two (); alter table one add column name text;")
    await migrate(empty_dsn, [tables])
    async with connected(empty_dsn) as program, program.transaction():
        await program.execute("lock one in share mode")
        with pytest.raises(
            SchemaError, match=r"0002_test_something\.sql could not lock a table in 20"
        ):
            await migrate(empty_dsn, [tables, step])
    assert await ask(empty_dsn, "select to_regclass('two') is null")
    assert await migrate(empty_dsn, [tables, step]) == [step.name]


async def test_a_failing_first_migration_leaves_not_even_the_history(empty_dsn: str) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_dsn, [migration(1, "create table thing (); select 1 / 0;")])
    assert (
        await ask(
            empty_dsn, "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
        )
        == 0
    )


async def test_the_lock_is_free_after_a_failure(empty_dsn: str) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_dsn, [migration(1, "select 1 / 0;")])
    assert (
        await ask(
            empty_dsn,
            "select count(*) from pg_locks where locktype = 'advisory' "
            "and database = (select oid from pg_database where datname = current_database())",
        )
        == 0
    )


async def test_a_lock_that_is_never_given_back_is_told(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_WAIT_S", 0.0)
    async with connected(empty_dsn) as holder:
        await holder.execute("select pg_advisory_lock($1)", migrations.LOCK_KEY)
        with pytest.raises(SchemaError, match="another process has been migrating"):
            await migrate(empty_dsn)


async def test_settings_of_the_login_do_not_decide_where_tables_go(empty_dsn: str) -> None:
    async with connected(empty_dsn) as connection:
        await connection.execute("create schema elsewhere")
        await connection.execute(
            "do $$ begin execute format('alter database %I set search_path = elsewhere', "
            "current_database()); end $$"
        )
    await migrate(empty_dsn)
    assert await ask(empty_dsn, "select to_regclass('public.mint_unit') is not null")


async def test_a_newer_schema_is_refused(dsn: str) -> None:
    await execute(dsn, "insert into schema_migration values (999, '0999_add_things.sql', 'x')")
    sentence = r"newer \(0999_add_things.sql\) than this release of Mintage \(0\d.*run the newer"
    with pytest.raises(SchemaError, match=sentence):
        await migrate(dsn)
    with pytest.raises(SchemaError, match=sentence):
        await require_current_schema(dsn)


async def test_an_edited_migration_is_refused(dsn: str) -> None:
    known = load_migrations()
    edited = [replace(known[0], sha256="0" * 64), *known[1:]]
    with pytest.raises(SchemaError, match="unknown to this release: it has 0001_"):
        await migrate(dsn, edited)


async def test_a_schema_that_lags_behind_is_not_served(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = [*load_migrations(), migration(len(load_migrations()) + 1, "select 1;")]
    monkeypatch.setattr(migrations, "load_migrations", lambda: newer)
    with pytest.raises(SchemaError, match="run `mintage migrate` first"):
        await require_current_schema(dsn)


async def test_an_empty_database_is_not_served(empty_dsn: str) -> None:
    with pytest.raises(SchemaError, match="no Mintage schema yet: run `mintage migrate` first"):
        await require_current_schema(empty_dsn)


@pytest.mark.parametrize(
    "made", ["create table invoice (id integer)", "create view brand as select 1 as id"]
)
async def test_a_database_with_tables_of_others_is_refused(empty_dsn: str, made: str) -> None:
    await execute(empty_dsn, made)
    with pytest.raises(SchemaError, match="give Mintage a database of its own"):
        await migrate(empty_dsn)
    assert await ask(empty_dsn, "select to_regclass('schema_migration') is null")


async def test_a_history_of_another_tool_is_refused(empty_dsn: str) -> None:
    await execute(empty_dsn, "create table schema_migration (revision text primary key)")
    for checked in (migrate(empty_dsn), require_current_schema(empty_dsn)):
        with pytest.raises(SchemaError, match="not Mintage's: give Mintage a database of its own"):
            await checked


@pytest.mark.parametrize(("limit", "value"), [("MIN", 99), ("MAX", 14)])
async def test_a_server_too_old_or_too_new_is_refused(
    dsn: str, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(migrations, f"SERVER_VERSION_{limit}", value)
    for checked in (migrate(dsn), require_current_schema(dsn)):
        with pytest.raises(SchemaError, match=r"Mintage runs on PostgreSQL .* this server is 1"):
            await checked


def test_a_gap_in_the_numbers_is_refused(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path_factory.mktemp("package")
    folder = package / "sql" / "migrations"
    folder.mkdir(parents=True)
    for name in ("0001_create_one.sql", "0003_create_three.sql", "notes.txt"):
        (folder / name).write_text("select 1;")
    monkeypatch.setattr("mintage.db.migrate.resources.files", lambda _: package)
    with pytest.raises(SchemaError, match="without a gap"):
        load_migrations()

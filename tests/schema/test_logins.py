"""Installations without a superuser: the owner of the database, and a login that is only a member."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from mintage.db.migrate import SchemaError, migrate, require_current_schema
from tests.conftest import with_database
from tests.schema.catalog import ROLES, brand_tables, connected
from tests.schema.main_job import do_main_job
from tests.schema.servers import as_login, own_server

if TYPE_CHECKING:
    from tests.schema.catalog import Connection


@pytest_asyncio.fixture
async def server() -> AsyncIterator[str]:
    """A cluster that has never heard of Mintage; the superuser's dsn."""
    async with own_server() as dsn:
        yield dsn


@asynccontextmanager
async def superuser(server: str) -> AsyncIterator[Connection]:
    async with connected(server) as connection:
        yield connection


async def database_of(server: str, owner: str, attributes: str = "", name: str = "shop") -> str:
    """A login with `attributes`, and a database that it owns; the dsn of that login."""
    async with superuser(server) as connection:
        await connection.execute(f"create role {owner} login {attributes}")
        await connection.execute(f"create database {name} owner {owner}")
    return as_login(with_database(server, name), owner)


async def login(server: str, name: str, attributes: str = "") -> None:
    async with superuser(server) as connection:
        await connection.execute(f"create role {name} login {attributes}")
        for role in ROLES:
            await connection.execute(f"grant {role} to {name}")


@pytest.mark.parametrize("attributes", ["createrole", "createrole noinherit"])
async def test_an_owner_who_may_make_roles_migrates_and_mints(
    server: str, tmp_path: Path, attributes: str
) -> None:
    dsn = await database_of(server, "shopkeeper", attributes)
    await migrate(dsn)
    await do_main_job(dsn, tmp_path)
    async with connected(dsn) as connection:
        await _assert_copy_is_let_through_by_ownership(connection)


async def _assert_copy_is_let_through_by_ownership(connection: Connection) -> None:
    unforced = await connection.fetch(
        "select relname, pg_get_userbyid(relowner) as owner from pg_class "
        "where relrowsecurity and not relforcerowsecurity"
    )
    assert [tuple(row) for row in unforced] == [("mint_unit", "mintage_minter")]
    secured = await connection.fetch("select relname from pg_class where relrowsecurity")
    assert {row["relname"] for row in secured} == set(await brand_tables(connection))
    entries = await connection.fetch(
        "select pg_get_userbyid(entry.grantee) as role, entry.privilege_type as kind "
        "from pg_class, aclexplode(relacl) as entry where oid = 'mint_unit'::regclass order by 1, 2"
    )
    assert [tuple(row) for row in entries] == [
        ("mintage_app", "SELECT"),
        ("mintage_minter", "INSERT"),
        ("mintage_resolver", "SELECT"),
        ("mintage_service", "SELECT"),
        ("shopkeeper", "DELETE"),
        ("shopkeeper", "SELECT"),
    ]
    assert not await connection.fetchval(
        "select has_schema_privilege('mintage_minter', 'public', 'create')"
    )
    await connection.execute("set role mintage_minter")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for table"):
        await connection.fetch("select from mint_unit")


async def test_two_databases_of_one_cluster_share_the_roles(server: str, tmp_path: Path) -> None:
    first = await database_of(server, "shopkeeper", "createrole")
    async with superuser(server) as connection:
        await connection.execute("create database second owner shopkeeper")
    second = with_database(first, "second")
    await migrate(first)
    await migrate(second)
    await do_main_job(second, tmp_path)


async def test_a_superuser_after_an_owner_keeps_to_the_roles_there_are(
    server: str, tmp_path: Path
) -> None:
    await migrate(await database_of(server, "shopkeeper", "createrole"))
    async with superuser(server) as connection:
        await connection.execute("create database second")
    second = with_database(server, "second")
    await migrate(second)
    await do_main_job(second, tmp_path)


@pytest.mark.parametrize("attributes", ["inherit", "noinherit"])
async def test_a_login_that_is_only_a_member_runs_everything(
    server: str, tmp_path: Path, attributes: str
) -> None:
    async with superuser(server) as connection:
        await connection.execute("create database shop")
    await migrate(with_database(server, "shop"))
    await login(server, "clerk", attributes)
    dsn = as_login(with_database(server, "shop"), "clerk")
    assert await migrate(dsn) == []
    await require_current_schema(dsn)
    await do_main_job(dsn, tmp_path)


async def test_an_owner_takes_the_roles_that_an_administrator_made(
    server: str, tmp_path: Path
) -> None:
    async with superuser(server) as connection:
        for role in ROLES:
            bypasses = "bypassrls" if role == "mintage_minter" else ""
            await connection.execute(f"create role {role} nologin {bypasses}")
    dsn = await database_of(server, "shopkeeper")
    async with superuser(server) as connection:
        for role in ROLES:
            await connection.execute(f"grant {role} to shopkeeper")
    await migrate(dsn)
    await do_main_job(dsn, tmp_path)
    async with connected(dsn) as connection:
        assert await connection.fetchval(
            "select relforcerowsecurity from pg_class where oid = 'mint_unit'::regclass"
        )


async def test_an_owner_who_may_make_no_roles_is_told_what_is_missing(server: str) -> None:
    dsn = await database_of(server, "shopkeeper")
    with pytest.raises(
        SchemaError,
        match=r"may not bring the schema up to date \(permission denied to create role\): run",
    ):
        await migrate(dsn)
    async with connected(dsn) as connection:
        left = await connection.fetchval(
            "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
        )
    assert left == 0


async def test_a_login_that_is_no_member_is_told_what_is_missing(server: str) -> None:
    async with superuser(server) as connection:
        await connection.execute("create database shop")
        await connection.execute("create role clerk login")
    await migrate(with_database(server, "shop"))
    dsn = as_login(with_database(server, "shop"), "clerk")
    for checked in (migrate(dsn), require_current_schema(dsn)):
        with pytest.raises(SchemaError, match="make it a member of mintage_app"):
            await checked

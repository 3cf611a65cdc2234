"""PostgreSQL 15 to 18: the schema, every statement and the main job on each, by superuser and owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from mintage.db.migrate import SERVER_VERSION_MAX, SERVER_VERSION_MIN, migrate
from tests.conftest import with_database
from tests.schema.catalog import connected
from tests.schema.main_job import do_main_job
from tests.schema.servers import as_login, bin_dir_of, own_server
from tests.schema.statements import assert_can_be_run
from tests.schema.test_queries import CASES

VERSIONS = [("15", 15), ("16", 16), ("18", 18), ("packaged", 18)]

pytestmark = pytest.mark.long


def test_the_oldest_and_the_newest_are_among_them() -> None:
    majors = [major for _, major in VERSIONS]
    assert (min(majors), max(majors)) == (SERVER_VERSION_MIN, SERVER_VERSION_MAX)


@pytest.mark.parametrize(("version", "major"), VERSIONS)
async def test_a_superuser_migrates_and_mints(tmp_path: Path, version: str, major: int) -> None:
    async with own_server(bin_dir_of(version)) as dsn:
        async with connected(dsn) as connection:
            assert connection.get_server_version().major == major
        await migrate(dsn)
        await do_main_job(dsn, tmp_path)
        async with connected(dsn) as connection:
            for case in CASES:
                await assert_can_be_run(connection, case)


@pytest.mark.parametrize(("version", "major"), VERSIONS)
async def test_an_owner_without_superpowers_migrates_and_mints(
    tmp_path: Path, version: str, major: int
) -> None:
    async with own_server(bin_dir_of(version)) as server:
        async with connected(server) as connection:
            assert connection.get_server_version().major == major
            await connection.execute("create role shopkeeper login createrole")
            await connection.execute("create database shop owner shopkeeper")
        dsn = as_login(with_database(server, "shop"), "shopkeeper")
        await migrate(dsn)
        await do_main_job(dsn, tmp_path)


@pytest.mark.parametrize(("version", "major"), VERSIONS)
async def test_a_member_of_the_roles_mints(tmp_path: Path, version: str, major: int) -> None:
    async with own_server(bin_dir_of(version)) as server:
        await migrate(server)
        async with connected(server) as connection:
            assert connection.get_server_version().major == major
            await connection.execute("create role clerk login noinherit")
            await connection.execute(
                "grant mintage_app, mintage_service, mintage_resolver, mintage_minter to clerk"
            )
        await do_main_job(as_login(server, "clerk"), tmp_path)

"""The embedded server starts, keeps its data, and says what is wrong when it does not start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from mintage.db import embedded
from mintage.db.embedded import EmbeddedServerError
from tests.embedded.support import StartOwner, ask, needs, running

DEBIAN_BIN = Path("/usr/lib/postgresql/15/bin")
HAS_DEBIAN = DEBIAN_BIN.is_dir()


async def test_what_was_stored_is_there_after_a_stop_and_a_start(data_dir: Path) -> None:
    async with running(data_dir) as server:
        dsn = await embedded.ensure_database(server, "mintage")
        await ask(dsn, "create table kept as select 42 as answer")
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await ask(dsn, "select 1")
    async with running(data_dir) as server:
        dsn = await embedded.ensure_database(server, "mintage")
        assert await ask(dsn, "select answer from kept") == 42
        assert await ask(dsn, "select current_setting('listen_addresses')") == ""
        assert await ask(dsn, "show server_encoding") == "UTF8"
    assert not server.socket_dir.exists()


@pytest.mark.long
async def test_a_second_stop_does_not_touch_the_server_started_since(data_dir: Path) -> None:
    async with running(data_dir) as first:
        pass
    async with running(data_dir) as second:
        await embedded.stop(first)
        assert await ask(second.dsn, "select 1") == 1


@pytest.mark.long
async def test_a_long_path_with_spaces_and_other_letters_is_used(root_dir: Path) -> None:
    data_dir = root_dir / "Önskemål och 'mynt' \"漢字\", {directory} %20" / ("lång " * 20).strip()
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select 1") == 1
        assert embedded.find(data_dir) == server
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select 1") == 1


@pytest.mark.long
async def test_a_second_start_is_refused_by_name_and_lets_the_first_be(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    first = owner.hears()
    with pytest.raises(EmbeddedServerError) as refusal:
        await embedded.start(data_dir, durable=False)
    assert str(refusal.value) == (
        f"another Mintage (pid {owner.process.pid}) is using this data directory {data_dir}: "
        f"stop it, or give another --data DIR"
    )
    assert await ask(first["dsn"], "select 1") == 1
    found = embedded.find(data_dir)
    assert found is not None
    assert found.postmaster_pid == first["pid"]
    with pytest.raises(EmbeddedServerError, match="was started by another process"):
        await embedded.stop(found)
    assert owner.ended() == {"stopped": True}
    assert embedded.find(data_dir) is None


async def test_of_two_starts_at_once_one_wins(data_dir: Path) -> None:
    outcomes = await asyncio.gather(
        *(embedded.start(data_dir, durable=False) for _ in range(2)), return_exceptions=True
    )
    servers = [server for server in outcomes if isinstance(server, embedded.EmbeddedServer)]
    refusals = [error for error in outcomes if isinstance(error, EmbeddedServerError)]
    for server in servers:
        await embedded.stop(server)
    assert (len(servers), len(refusals)) == (1, 1)
    assert "is using this data directory" in str(refusals[0])


@pytest.mark.long
async def test_settings_given_win_and_the_operators_file_wins_over_them(data_dir: Path) -> None:
    async with running(data_dir, settings={"work_mem": "3MB", "cursor_tuple_fraction": "0.2"}) as a:
        assert await ask(a.dsn, "show work_mem") == "3MB"
        assert await ask(a.dsn, "show fsync") == "off"
    with (data_dir / "postgres/postgresql.conf").open("a") as conf:
        conf.write("work_mem = '5MB'\n")
    async with running(data_dir, settings={"work_mem": "3MB"}) as b:
        assert await ask(b.dsn, "show work_mem") == "5MB"
        assert await ask(b.dsn, "show cursor_tuple_fraction") == "0.1"


@pytest.mark.long
async def test_a_durable_server_flushes_what_it_commits(data_dir: Path) -> None:
    server = await embedded.start(data_dir)
    try:
        for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert await ask(server.dsn, f"show {name}") == "on"
    finally:
        await embedded.stop(server)


@pytest.mark.long
async def test_a_database_of_any_name_is_made_once_by_many_callers(data_dir: Path) -> None:
    name = "Mynt \"och\" 'säl' $1 / ?x=%20"
    async with running(data_dir) as server:
        dsns = await asyncio.gather(*(embedded.ensure_database(server, name) for _ in range(4)))
        assert len(set(dsns)) == 1
        assert await ask(dsns[0], "select current_database()") == name
        for refused in ("", "n" * 64, "nul\0nul"):
            with pytest.raises(EmbeddedServerError, match="is no name for a database"):
                await embedded.ensure_database(server, refused)


@pytest.mark.long
async def test_a_failed_start_tells_the_end_of_the_log_and_leaves_the_way_free(
    data_dir: Path,
) -> None:
    with pytest.raises(EmbeddedServerError, match=r'invalid value for parameter "shared_buffers"'):
        await embedded.start(data_dir, durable=False, settings={"shared_buffers": "plenty"})
    with pytest.raises(EmbeddedServerError, match="is not a setting"):
        await embedded.start(data_dir, durable=False, settings={"a = 1\nb": "plenty"})
    log = data_dir / "postgres.log"
    with log.open("ab") as file:
        file.write(b"x" * (2 * 1024 * 1024))
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select 1") == 1
    assert log.stat().st_size < 1024 * 1024
    assert log.with_name("postgres.log.1").stat().st_size > 1024 * 1024


async def test_a_folder_without_postgresql_is_refused(data_dir: Path, root_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="has no program `postgres`"):
        await embedded.start(data_dir, bin_dir=root_dir)
    for name, text in (("postgres", "echo 'postgres (PostgreSQL) 14.9'"), ("initdb", "false")):
        (root_dir / name).write_text(f"#!/bin/sh\n{text}\n")
        (root_dir / name).chmod(0o755)
    with pytest.raises(EmbeddedServerError, match=r"holds PostgreSQL 14\.9; Mintage needs 15"):
        await embedded.start(data_dir, bin_dir=root_dir)


@pytest.mark.long
async def test_a_cluster_of_another_version_is_refused_and_left_alone(data_dir: Path) -> None:
    cluster = data_dir / "postgres"
    async with running(data_dir):
        pass
    version = (cluster / "PG_VERSION").read_text()
    (cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedServerError, match="was made by PostgreSQL 15, and the programs"):
        await embedded.start(data_dir, durable=False)
    (cluster / "PG_VERSION").write_text(version)
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select 1") == 1


async def test_a_folder_which_is_no_cluster_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    with pytest.raises(EmbeddedServerError, match=r"start it as the folder's owner|no PostgreSQL"):
        await embedded.start(data_dir, durable=False)
    assert (data_dir / "postgres").is_dir()


@pytest.mark.long
async def test_postgresql_15_serves_and_its_cluster_is_refused_to_18(data_dir: Path) -> None:
    needs(HAS_DEBIAN, "PostgreSQL 15 of Debian")
    async with running(data_dir, bin_dir=DEBIAN_BIN) as server:
        assert str(await ask(server.dsn, "show server_version")).startswith("15.")
        assert await ask(server.dsn, "show server_encoding") == "UTF8"
    with pytest.raises(EmbeddedServerError, match="was made by PostgreSQL 15"):
        await embedded.start(data_dir, durable=False)

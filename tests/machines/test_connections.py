"""Servers that die, fall silent or become standbys, as a pool meets them."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import pytest
import uvloop

from mintage.db.connect import SILENCE_S, ServerIsStandby, Servers
from mintage.db.connection import (
    AWAY_ERRORS,
    Database,
    DatabaseRole,
    Identity,
    open_database,
)
from tests.embedded.support import needs
from tests.machines.servers import ask

SERVICE = Identity(DatabaseRole.SERVICE)
KILLS = 20
PIECES = 200


async def _opened(url: str) -> Database:
    return await open_database(url, connections=1, statement_timeout_s=30, application="test")


def _beside(folder: str, dsn: str) -> str:
    """`dsn` with another server's socket in front of its own."""
    parts = urlsplit(dsn)
    named = dict(parse_qsl(parts.query))
    needs("host" in named, "a PostgreSQL on a socket")
    query = f"host={folder},{named['host']}&port=5432,{named['port']}"
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}"


@asynccontextmanager
async def _silent_server() -> AsyncIterator[tuple[str, list[None]]]:
    """The folder of a socket that takes connections and never says a word, and one entry for each."""
    asked: list[None] = []

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(None)
        await reader.read()
        while await reader.read():
            pass
        writer.close()

    with tempfile.TemporaryDirectory(prefix="mintage-silent-") as folder:
        path = Path(folder, ".s.PGSQL.5432")
        server = await asyncio.start_unix_server(keep_silent, path)
        yield folder, asked
        server.close()
        await server.wait_closed()


@pytest.mark.long
async def test_a_silent_server_does_not_keep_the_others_from_being_asked(dsn: str) -> None:
    async with _silent_server() as (folder, asked):
        database = await _opened(_beside(folder, dsn))
        assert len(asked) == 1
        # The one that answered is asked first from now on.
        await database.pool.expire_connections()
        for _ in range(3):
            assert await database.pool.fetchval("select 1") == 1
            await database.pool.expire_connections()
        assert len(asked) == 1
        await database.close()


async def test_a_server_that_is_not_there_is_passed_over(dsn: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        connection = await Servers(_beside(folder, dsn)).connect()
        assert await connection.fetchval("select 1") == 1
        await connection.close()


async def test_without_a_server_that_takes_writes_there_is_none(dsn: str) -> None:
    with pytest.raises(ConnectionError, match="target_session_attrs"):
        await Servers(f"{dsn}&target_session_attrs=standby").connect()


async def test_the_kernel_ends_a_connection_to_a_machine_that_is_gone(pooled_dsn: str) -> None:
    connection = await Servers(pooled_dsn).connect(statement_cache_size=0)
    found = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENCE_S * 1000
    waits_s = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    waits_s += found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * found.getsockopt(
        socket.IPPROTO_TCP, socket.TCP_KEEPCNT
    )
    assert waits_s <= SILENCE_S
    await connection.close()


async def test_a_connection_that_dies_unused_is_the_database_away(dsn: str) -> None:
    """However the driver says so: what it has heard of the end depends on the moment."""
    database, killer = await _opened(dsn), await asyncpg.connect(dsn)
    failures = 0
    for number in range(KILLS):
        async with database.transaction(SERVICE) as connection:
            pid = await connection.fetchval("select pg_backend_pid()")
        killing = asyncio.create_task(killer.fetchval("select pg_terminate_backend($1, 5000)", pid))
        for _ in range(number % 10):
            await asyncio.sleep(0)
        while not killing.done():
            try:
                async with database.transaction(SERVICE) as connection:
                    await connection.fetchval("select 1")
            except AWAY_ERRORS:
                failures += 1
            await asyncio.sleep(0)
        await killing
    assert failures > 0
    await killer.close()
    await database.close()


async def test_a_server_that_takes_no_writes_any_more_is_hung_up_on(dsn: str) -> None:
    database = await _opened(dsn)
    async with database.transaction(SERVICE) as connection:
        pid = await connection.fetchval("select pg_backend_pid()")

    async def write_to_a_standby() -> None:
        async with database.transaction(SERVICE) as connection:
            await connection.execute("set local transaction_read_only = on")
            await connection.execute("delete from work_item")

    with pytest.raises(ServerIsStandby):
        await write_to_a_standby()
    async with database.transaction(SERVICE) as connection:
        assert await connection.fetchval("select pg_backend_pid()") != pid
    await database.close()


async def test_a_write_in_a_reading_transaction_is_our_own_fault(dsn: str) -> None:
    database = await _opened(dsn)

    async def write() -> None:
        async with database.transaction(SERVICE, read_only=True) as connection:
            await connection.execute("delete from work_item")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await write()
    await database.close()


async def _copy_to_a_server_that_dies(dsn: str) -> None:
    """A COPY that the server does not read on (its table is locked), and then the server's end."""
    database, other = await _opened(dsn), await asyncpg.connect(dsn)
    await other.execute("create table crate (content text)")
    await other.execute("begin; lock table crate")
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(PIECES):
            taken += 1
            yield (b"x" * 1023 + b"\n") * 256

    async def copy() -> None:
        async with database.transaction(Identity(DatabaseRole.SERVICE)) as connection:
            await connection.execute("reset role")
            await connection.copy_to_table("crate", source=pieces())

    copying = asyncio.create_task(copy())
    waiting = (
        "select pid from pg_stat_activity where datname = current_database() "
        "and query like 'COPY%' and wait_event_type = 'Lock'"
    )
    while (pid := await ask(dsn, waiting)) is None:
        await asyncio.sleep(0.01)
    seen = -1
    while seen != taken:
        seen = taken
        await asyncio.sleep(0.2)
    assert taken < PIECES
    await other.execute("select pg_terminate_backend($1)", pid)
    with pytest.raises(AWAY_ERRORS):
        await copying
    await other.close()
    await database.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
async def test_a_copy_ends_with_its_server(
    dsn: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    await asyncio.to_thread(run, _copy_to_a_server_that_dies(dsn))

"""Database URLs: what is the driver's is taken out, all else reaches the server."""

from __future__ import annotations

import pytest

from mintage.db.connection import open_database
from mintage.db.dsn import Target, read_dsn


def test_the_cache_size_is_taken_out_and_all_else_kept() -> None:
    url = "postgresql://u:p%40@/db?host=%2Ftmp%2Fa+b&statement_cache_size=0&port=5432"
    assert read_dsn(url) == Target(("postgresql://u:p%40@/db?host=%2Ftmp%2Fa+b&port=5432",), 0)


def test_without_it_the_url_does_not_say() -> None:
    assert read_dsn("postgresql://h/d") == Target(("postgresql://h/d",), None)


def test_a_url_is_cut_at_its_servers() -> None:
    url = "postgresql://u:p@one:5432,[::1]:5433,three/db?target_session_attrs=read-write"
    assert read_dsn(url).dsns == (
        "postgresql://u:p@one:5432/db?target_session_attrs=read-write",
        "postgresql://u:p@[::1]:5433/db?target_session_attrs=read-write",
        "postgresql://u:p@three/db?target_session_attrs=read-write",
    )


def test_a_url_is_cut_at_its_sockets() -> None:
    assert read_dsn("postgresql://u@/db?host=/run/a,/run/b&port=5433").dsns == (
        "postgresql://u@/db?host=%2Frun%2Fa&port=5433",
        "postgresql://u@/db?host=%2Frun%2Fb&port=5433",
    )
    assert read_dsn("postgresql:///db?host=/run/a,/run/b&port=1,2").dsns == (
        "postgresql:///db?host=%2Frun%2Fa&port=1",
        "postgresql:///db?host=%2Frun%2Fb&port=2",
    )


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql:///db?host=/run/a,/run/b&port=1,2,3", "one port"),
        ("postgresql://a,b,c,d,e,f,g,h,i/db", "more than 8 servers"),
        ("postgresql://a,b/db?target_session_attrs=prefer-standby", "say standby"),
    ],
)
def test_servers_that_cannot_be_told_apart_are_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_dsn(url)


def test_a_cache_size_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        read_dsn("postgresql://h/d?statement_cache_size=none")


async def test_a_pool_opens_without_a_statement_cache(dsn: str) -> None:
    join = "&" if "?" in dsn else "?"
    database = await open_database(
        f"{dsn}{join}statement_cache_size=0",
        connections=1,
        statement_timeout_s=5,
        application="test",
    )
    assert await database.pool.fetchval("select 1") == 1
    assert await database.pool.fetchval("select count(*) from pg_prepared_statements") == 0
    await database.close()

"""Database URLs: what is the driver's is taken out, all else reaches the server."""

from __future__ import annotations

import pytest

from mintage.db.connection import open_database
from mintage.db.dsn import Target, read_dsn


def test_the_cache_size_is_taken_out_and_all_else_kept() -> None:
    url = "postgresql://u:p%40@/db?host=%2Ftmp%2Fa+b&statement_cache_size=0&port=5432"
    assert read_dsn(url) == Target("postgresql://u:p%40@/db?host=%2Ftmp%2Fa+b&port=5432", 0)


def test_without_it_a_hundred_statements_are_kept() -> None:
    assert read_dsn("postgresql://h/d") == Target("postgresql://h/d", 100)


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

"""A database that is there and cannot answer now: 503 with Retry-After, soon, and no scan."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from mintage.operations import scanning
from mintage.settings import Limits
from tests.resolver.desk import Desk


async def _asked(desk: Desk, path: str) -> tuple[int, str | None]:
    async with desk.phone() as phone:
        answer = await phone.get(path)
    return answer.status_code, answer.headers.get("retry-after")


@pytest.mark.parametrize("table", ["mint_unit", "unit_state"])
async def test_a_table_that_is_locked_makes_503_and_the_scan_counts_when_it_is_free(
    desk: Desk, table: str
) -> None:
    assert Limits().resolver_statement_timeout_s <= 3
    soon = replace(desk.resolver.limits, resolver_statement_timeout_s=1)
    desk = replace(desk, resolver=replace(desk.resolver, limits=soon))
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    # What is locked shared is read, and waited for by who writes.
    mode = "access exclusive" if table == "mint_unit" else "share"
    async with desk.resolver.database.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"lock table {table} in {mode} mode")
        assert await _asked(desk, path) == (503, "1")
    assert await desk.outcomes() == []
    assert await _asked(desk, path) == (307, None)
    assert await desk.outcomes() == ["activated"]


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError,
        asyncpg.LockNotAvailableError,
        asyncpg.SerializationError,
        asyncpg.OutOfMemoryError,
        asyncpg.DiskFullError,
        asyncpg.TooManyConnectionsError,
    ],
)
async def test_what_the_database_cannot_do_now_makes_503(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: type[asyncpg.PostgresError]
) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])

    async def failing(*_: object) -> set[object]:
        raise error("not now")

    monkeypatch.setattr(scanning, "_active_lots", failing)
    assert await _asked(desk, path) == (503, "1")
    assert await desk.outcomes() == []

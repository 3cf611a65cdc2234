"""Scans when something is wrong: with one of them, with the file of countries, with the database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import maxminddb
import pytest

from mintage.db.connection import DatabaseRole, Identity
from mintage.operations.countries import Countries
from mintage.operations.resolving import Subject
from mintage.resolver import scan_buffer
from mintage.resolver.scan_buffer import ScanBuffer
from mintage.settings import Limits
from tests.resolver.desk import Desk
from tests.resolver.test_scans import seen_scan

SOON = Limits(scan_flush_interval_s=0.001, scan_retry_interval_s=0.001)


class _Countries(Countries):
    """Raises what no file of countries should."""

    def of(self, address: object) -> str | None:
        raise RuntimeError(address)


def _damaged(error: Exception) -> Countries:
    def get(_: object) -> object:
        raise error

    return Countries(cast("maxminddb.Reader", SimpleNamespace(get=get)), has_ipv6=True)


@pytest.mark.parametrize(
    "countries",
    [
        _damaged(maxminddb.InvalidDatabaseError("bad")),
        _damaged(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")),
        _Countries(),
    ],
)
async def test_a_damaged_file_of_countries_costs_a_scan_its_country_alone(
    desk: Desk, countries: Countries
) -> None:
    product_id = await desk.world.product()
    buffer = ScanBuffer(desk.resolver.database, SOON, countries)
    running = asyncio.create_task(buffer.run())
    for _ in range(3):
        buffer.record(seen_scan(desk, product_id))
    while len(buffer):
        await asyncio.sleep(0)
    assert not running.done()
    await buffer.stop()
    await running
    rows = await desk.fetch("select country, browser from scan_event")
    assert [tuple(row) for row in rows] == [(None, "Mobile Safari")] * 3
    assert buffer.dropped_count == 0


async def test_an_agent_that_cannot_be_read_costs_its_families_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(_: str) -> object:
        raise RecursionError

    monkeypatch.setattr(scan_buffer, "families", raising)
    desk.buffer.record(seen_scan(desk, await desk.world.product()))
    await desk.settle()
    assert await desk.value("select browser is null and os is null from scan_event")


async def test_storing_goes_on_after_an_error_that_nobody_thought_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await desk.world.product()
    buffer = ScanBuffer(desk.resolver.database, SOON)
    was_raised = asyncio.Event()

    async def failing(_: object) -> None:
        was_raised.set()
        raise RuntimeError

    monkeypatch.setattr(ScanBuffer, "_cut_chunks", failing)
    running = asyncio.create_task(buffer.run())
    buffer.record(seen_scan(desk, product_id))
    await was_raised.wait()
    monkeypatch.undo()
    while len(buffer):
        await asyncio.sleep(0)
    assert not running.done()
    await buffer.stop()
    await running
    assert await desk.value("select count(*) from scan_event") == 1


@pytest.mark.parametrize("bad_count", [1, 3])
async def test_scans_that_can_never_be_stored_take_no_others_with_them(
    desk: Desk, bad_count: int
) -> None:
    product_id = await desk.world.product()
    for number in range(60):
        is_bad = number % 17 == 0 and number // 17 < bad_count
        desk.buffer.record(
            seen_scan(desk, product_id, path="/\0" if is_bad else f"/01/0950600013435{number}")
        )
    await desk.settle()
    assert await desk.value("select count(*) from scan_event") == 60 - bad_count
    assert await desk.value("select count(distinct path) from scan_event") == 60 - bad_count
    scans = "select sum(delta) from tally_delta where metric = 'scans'"
    assert await desk.value(scans) == 60 - bad_count
    assert (desk.buffer.dropped_count, len(desk.buffer)) == (bad_count, 0)


async def test_a_scan_that_cannot_be_made_a_row_is_given_up_alone(desk: Desk) -> None:
    product_id = await desk.world.product()
    before_time = datetime.min.replace(tzinfo=UTC)
    desk.buffer.record(seen_scan(desk, product_id))
    desk.buffer.record(seen_scan(desk, product_id, scanned_at=before_time))
    desk.buffer.record(seen_scan(desk, product_id, address=cast("Any", "no address")))
    desk.buffer.record(seen_scan(desk, product_id))
    await desk.settle()
    assert await desk.value("select count(*) from scan_event") == 2
    assert desk.buffer.dropped_count == 2


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InvalidCatalogNameError,
        asyncpg.InvalidPasswordError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.IdleInTransactionSessionTimeoutError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.UndefinedTableError,
        asyncpg.DiskFullError,
        asyncpg.LockNotAvailableError,
        asyncpg.InternalServerError,
    ],
)
async def test_what_may_become_good_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: type[asyncpg.PostgresError]
) -> None:
    product_id = await desk.world.product()
    buffer = ScanBuffer(desk.resolver.database, SOON)
    tries: list[UUID] = []

    def refusing(*_: object, **__: object) -> object:
        tries.append(uuid4())
        raise error("as it is now")

    monkeypatch.setattr(type(desk.resolver.database), "transaction", refusing)
    running = asyncio.create_task(buffer.run())
    for _ in range(3):
        buffer.record(seen_scan(desk, product_id))
    while len(tries) < 3:
        await asyncio.sleep(0)
    monkeypatch.undo()
    while len(buffer):
        await asyncio.sleep(0)
    await buffer.stop()
    await running
    assert buffer.dropped_count == 0
    assert await desk.value("select count(*) from scan_event") == 3


async def test_a_month_that_no_worker_has_made_is_made(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    [unit] = listed["units"]
    subject = Subject(product_id=unit["product_id"], unit_id=unit["id"])
    now = datetime.now(UTC)
    month = f"scan_event_{now:%Y_%m}"
    await desk.resolver.database.pool.execute(f"drop table {month}")
    for _ in range(3):
        desk.buffer.record(seen_scan(desk, subject.product_id, scanned_at=now, subject=subject))
    await desk.settle()
    assert desk.buffer.dropped_count == 0
    assert await desk.resolver.database.pool.fetchval(f"select count(*) from {month}") == 3
    assert await desk.value("select scan_count from unit_state") == 3


async def test_the_resolver_makes_no_months_but_those_of_now(desk: Desk) -> None:
    now = datetime.now(UTC)
    statement = "select ensure_scan_event_partition($1::timestamptz)"
    for moment in (now - timedelta(days=32), now + timedelta(days=2)):
        with pytest.raises(asyncpg.RaiseError):
            async with desk.resolver.database.transaction(
                Identity(DatabaseRole.RESOLVER, desk.world.brand_id)
            ) as connection:
                await connection.execute(statement, moment)

"""Scans are kept 400 days: whole months of them go, their figures stay."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from mintage.operations.call import SYSTEM
from mintage.operations.resolving import UnitId
from mintage.operations.scan_recording import remove_old_scans
from mintage.settings import SettingsError, read_settings
from mintage.worker.duties import duties_of, make_scan_partitions
from tests.support.minting import broken_invariants, rows, value, with_limits
from tests.support.scans import scan
from tests.support.world import World

PARTITIONS = (
    "select inhrelid::regclass::text as name from pg_inherits "
    "where inhparent = 'scan_event'::regclass order by 1"
)


async def _partitions(world: World) -> list[str]:
    return [found["name"] for found in await rows(world, PARTITIONS)]


async def _scanned(world: World, *days_ago: int) -> UUID:
    """A unit with a scan on each of these days."""
    minted = await world.minted(1)
    listed = await world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    unit_id = UUID(str(listed["units"][0]["id"]))
    for days in days_ago:
        scanned_at = datetime.now(UTC) - timedelta(days=days)
        await value(world, "select ensure_scan_event_partitions($1, 1)", scanned_at)
        await scan(world, UnitId(unit_id), scanned_at=scanned_at)
    return unit_id


async def test_months_that_are_too_old_go_and_their_figures_stay(world: World) -> None:
    unit_id = await _scanned(world, 800, 465, 399, 0)
    transactions = world.platform.transactions(SYSTEM, "test")
    # Made ahead is what it was; of the four months with scans two are over.
    before = await _partitions(world)
    assert await remove_old_scans(transactions) == 2
    assert await remove_old_scans(transactions) == 0
    assert len(before) - len(await _partitions(world)) == 2
    kept = await rows(world, "select scanned_at from scan_event order by scanned_at")
    ages = [(datetime.now(UTC) - each["scanned_at"]).days for each in kept]
    assert ages == [399, 0]
    count = "select scan_count from unit_state where unit_id = $1"
    assert await value(world, count, unit_id) == 4
    told = "select sum(delta) from tally_delta where metric = 'scans'"
    assert await value(world, told) == 4
    assert await broken_invariants(world) == {}


async def test_a_month_goes_when_its_last_day_is_too_old_and_not_before(world: World) -> None:
    now = datetime.now(UTC)
    edge = now - timedelta(days=world.platform.limits.scans_kept_days)
    for month in (edge, edge.replace(day=1) - timedelta(days=1)):
        await value(world, "select ensure_scan_event_partitions($1, 1)", month)
    assert await remove_old_scans(world.platform.transactions(SYSTEM, "test")) == 1
    assert f"scan_event_{edge:%Y_%m}" in await _partitions(world)


async def test_an_operator_may_keep_scans_for_less_or_for_longer(world: World) -> None:
    await _scanned(world, 800, 465, 399, 70, 0)
    years, month = (
        read_settings({"MINTAGE_SCANS_KEPT_DAYS": days}).limits.scans_kept_days
        for days in ("3650", "31")
    )
    assert read_settings({}).limits.scans_kept_days == 400
    for kept_days, dropped in ((years, 0), (month, 4)):
        bounded = with_limits(world, scans_kept_days=kept_days)
        assert await remove_old_scans(bounded.platform.transactions(SYSTEM, "test")) == dropped
    kept = await rows(world, "select scanned_at from scan_event")
    assert [(datetime.now(UTC) - each["scanned_at"]).days for each in kept] == [0]


@pytest.mark.parametrize("days", ["30", "3651", "0", "a year", "-400", "40.5"])
def test_days_that_scans_cannot_be_kept_are_refused(days: str) -> None:
    with pytest.raises(
        SettingsError, match=r"MINTAGE_SCANS_KEPT_DAYS.*whole number from 31 to 3650"
    ):
        read_settings({"MINTAGE_SCANS_KEPT_DAYS": days})


async def test_the_months_ahead_are_made_and_kept(world: World) -> None:
    transactions = world.platform.transactions(SYSTEM, "test")
    await make_scan_partitions(transactions)
    await remove_old_scans(transactions)
    ahead = datetime.now(UTC).replace(day=1)
    for _ in range(4):
        assert f"scan_event_{ahead:%Y_%m}" in await _partitions(world)
        ahead = (ahead + timedelta(days=32)).replace(day=1)


@pytest.mark.long
async def test_who_reads_scans_is_not_waited_for_long(world: World) -> None:
    await _scanned(world, 800)
    transactions = world.platform.transactions(SYSTEM, "test")
    async with world.platform.database.pool.acquire() as reader:
        reading = reader.transaction()
        await reading.start()
        await reader.fetch("select from scan_event")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await remove_old_scans(transactions)
        await reading.rollback()
    assert await remove_old_scans(transactions) == 1


async def test_two_workers_drop_a_month_once(world: World) -> None:
    await _scanned(world, 800, 700)
    transactions = world.platform.transactions(SYSTEM, "test")
    dropped = await asyncio.gather(*(remove_old_scans(transactions) for _ in range(4)))
    assert sorted(dropped) == [0, 0, 0, 2]


async def test_nobody_can_drop_recent_scans(world: World) -> None:
    with pytest.raises(asyncpg.RaiseError, match="31 days"):
        await value(world, "select drop_scan_event_partitions(30)")


def test_both_ends_of_the_months_are_duties() -> None:
    names = {duty.name for duty in duties_of(None)}  # type: ignore[arg-type]
    assert {"make scan partitions", "drop old scans", "remove old scan receipts"} <= names

"""The invariants are checked once a day, by one worker at a time; an orderly stop cuts a check short."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from mintage.operations import daily_checks
from mintage.operations.call import Transactions
from mintage.operations.checks import Check, load_checks
from mintage.operations.daily_checks import check_what_is_due
from mintage.worker.duties import Duty
from mintage.worker.loop import Worker
from tests.support.minting import execute, rows, transactions, value
from tests.support.world import World

BRANDS = 2
A_DAY_LATER = "update invariant_check set started_at = started_at - interval '25 hours'"
SLOW = Check("slow", "it takes an hour", "select pg_sleep(3600) where $1::uuid is not null")


def _told(captured: list[Any], event: str) -> list[Any]:
    return [entry for entry in captured if entry["event"] == event]


async def test_every_invariant_is_checked_in_every_brand_once_a_day(world: World) -> None:
    await world.minted(5)
    expected = BRANDS * len(load_checks())
    assert await check_what_is_due(transactions(world)) == expected
    held = await rows(
        world, "select broken_rows, count(*)::int as checks from invariant_check group by 1"
    )
    assert held == [{"broken_rows": 0, "checks": expected}]
    assert await check_what_is_due(transactions(world)) == 0
    await execute(world, A_DAY_LATER)
    assert await check_what_is_due(transactions(world)) == expected


async def test_several_workers_share_the_checks_and_do_none_twice(world: World) -> None:
    counts = await asyncio.gather(*(check_what_is_due(transactions(world)) for _ in range(4)))
    rest = await check_what_is_due(transactions(world))
    assert sum(counts) + rest == BRANDS * len(load_checks())


async def test_what_is_broken_is_logged_and_kept(world: World) -> None:
    await world.minted(5)
    await execute(world, "delete from mint_unit where unit_no = 4")
    with structlog.testing.capture_logs() as captured:
        await check_what_is_due(transactions(world))
    told = _told(captured, "an invariant is broken")
    assert "batches_hold_what_they_say" in {entry["check"] for entry in told}
    assert {entry["brand_id"] for entry in told} == {str(world.brand_id)}
    broken = await value(world, "select count(*) from invariant_check where broken_rows > 0")
    assert broken == len(told)


async def test_a_check_that_takes_too_long_is_given_up_for_the_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_checks, "load_checks", lambda: [SLOW])
    monkeypatch.setattr(daily_checks, "DAILY_CHECK_TIMEOUT_S", 1)
    with structlog.testing.capture_logs() as captured:
        assert await check_what_is_due(transactions(world)) == BRANDS
    assert len(_told(captured, "an invariant takes too long to check")) == BRANDS
    kept = "select count(*) from invariant_check where finished_at is not null"
    assert await value(world, f"{kept} and broken_rows is null") == BRANDS
    assert await check_what_is_due(transactions(world)) == 0


async def test_while_one_is_under_way_no_other_begins_and_a_stop_cuts_it_short(
    world: World, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_checks, "load_checks", lambda: [SLOW])
    duty = Duty("check the invariants", 60.0, check_what_is_due, may_be_cut=True)
    worker = Worker(world.platform, dsn, (), (duty,))
    running = asyncio.create_task(worker.run())
    under_way = (
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and state = 'active' and query like 'select pg_sleep(3600)%'"
    )
    while await value(world, under_way) != 1:
        await asyncio.sleep(0.01)
    assert await check_what_is_due(transactions(world)) == 0
    worker.stop()
    await running
    assert await value(world, under_way) == 0
    # Whoever was killed amid a check keeps the others from it no longer than a check may take.
    assert await check_what_is_due(transactions(world)) == 0
    later = f"- interval '{daily_checks.DAILY_CHECK_TIMEOUT_S + 1} seconds'"
    await execute(world, f"update invariant_check set started_at = started_at {later}")
    monkeypatch.setattr(daily_checks, "load_checks", load_checks)
    assert await check_what_is_due(transactions(world)) == BRANDS * len(load_checks())


async def test_an_orderly_stop_waits_for_a_duty_that_may_not_be_cut(world: World, dsn: str) -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()
    ends: list[str] = []

    async def duty(_: Transactions) -> None:
        has_begun.set()
        await may_end.wait()
        ends.append("whole")

    worker = Worker(world.platform, dsn, (), (Duty("one", 60.0, duty),))
    running = asyncio.create_task(worker.run())
    await has_begun.wait()
    worker.stop()
    may_end.set()
    await running
    assert ends == ["whole"]

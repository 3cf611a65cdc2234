"""get_scan_activity: what happened on each of the last days, exact before the fold as after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.call import SYSTEM
from mintage.operations.tallies import fold_tallies
from tests.support.minting import execute, rows
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

RPC = "get_scan_activity"
NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


def _then(world: World) -> World:
    return world.with_platform(replace(world.platform, pinned_now=NOW))


async def _days(world: World, caller: str = "owner", **arguments: Any) -> list[dict[str, Any]]:
    answer = await world.rpc(RPC, caller, **arguments)
    assert list(answer) == ["ok", "days"]
    days: list[dict[str, Any]] = answer["days"]
    return days


async def _counted(world: World, day: date, metric: str, delta: int) -> None:
    await execute(
        world,
        "insert into tally_delta (brand_id, day, metric, delta) values ($1, $2, $3, $4)",
        world.brand_id,
        day,
        metric,
        delta,
    )


async def _fold(world: World) -> None:
    await fold_tallies(world.platform.transactions(SYSTEM, "test"))


async def test_every_day_of_the_range_is_there_oldest_first(world: World) -> None:
    for count in (1, 2, 30, 90):
        days = await _days(_then(world), days=count)
        assert [day["day"] for day in days] == [
            NOW.date() - timedelta(days=ago) for ago in reversed(range(count))
        ]
        assert all(
            list(day) == ["day", "scans", "units_minted", "units_activated"]
            and (day["scans"], day["units_minted"], day["units_activated"]) == (0, 0, 0)
            for day in days
        )
    assert len(await _days(world)) == 30


@pytest.mark.parametrize("days", [0, 91, -1, "7", 7.0, True])
async def test_the_days_are_one_to_ninety(world: World, days: object) -> None:
    assert list(await bad_arguments(world.rpc(RPC, days=days))) == ["_days"]


async def test_it_counts_the_same_before_the_fold_between_and_after(world: World) -> None:
    world = _then(world)
    today = NOW.date()
    for day, metric, delta in (
        (today, "scans", 3),
        (today - timedelta(days=1), "scans", 4),
        (today - timedelta(days=1), "units_minted", 25_000),
        (today - timedelta(days=2), "units_activated", 7),
        (today - timedelta(days=3), "scans", 100),
        (today + timedelta(days=1), "scans", 100),
        (today, "units_active", 100),
        (today, "jobs_queued", 1),
    ):
        await _counted(world, day, metric, delta)
    expected = [(0, 0, 7), (4, 25_000, 0), (3, 0, 0)]

    async def told() -> list[tuple[int, int, int]]:
        return [
            (day["scans"], day["units_minted"], day["units_activated"])
            for day in await _days(world, days=3)
        ]

    assert await told() == expected
    await _fold(world)
    assert await rows(world, "select from tally_delta") == []
    assert await told() == expected
    await _counted(world, today, "scans", 2)
    expected[2] = (5, 0, 0)
    assert await told() == expected


async def test_minting_and_scanning_are_counted(world: World) -> None:
    submitted = await world.minted(5)
    units = await rows(
        world, "select id from mint_unit where mint_batch_id = $1", submitted["mint_batch_id"]
    )
    for unit in (units[0], units[0], units[1]):
        await world.rpc("record_scan_event", "service", unit_id=unit["id"])
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await world.rpc(
        "record_scan_event", "service", unit_id=units[2]["id"], scanned_at=yesterday.isoformat()
    )
    days = await _days(world, days=3)
    assert [day["units_minted"] for day in days] == [0, 0, 5]
    assert [day["units_activated"] for day in days] == [0, 0, 3]
    assert [day["scans"] for day in days] == [0, 1, 3]


async def test_another_brands_figures_are_not_counted(world: World) -> None:
    await _counted(world, NOW.date(), "scans", 3)
    assert [day["scans"] for day in await _days(_then(world), "stranger", days=1)] == [0]
    await refused_with(FORBIDDEN, world.rpc(RPC, "stranger", brand_id=world.brand_id))
    await refused_with(NOT_AUTHENTICATED, world.rpc(RPC, "anonymous"))


@pytest.mark.parametrize("caller", ["viewer", "editor", "admin", "owner", "service"])
async def test_every_member_and_the_service_may_read_it(world: World, caller: str) -> None:
    await _counted(world, NOW.date(), "scans", 3)
    assert [day["scans"] for day in await _days(_then(world), caller, days=1)] == [3]

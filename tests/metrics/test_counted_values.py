"""What a metric says is what happened: cycles, lapsed leases, the buffer of scans, the pool."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from mintage.db.connection import Database
from mintage.health import Vitals
from mintage.meters import REGISTRY
from mintage.metrics.reading import Metered, read
from mintage.operations.call import SYSTEM
from mintage.operations.resolving import Subject
from mintage.resolver.scan_buffer import ScanBuffer, SeenScan
from mintage.settings import Limits
from tests.support.minting import broken_cycles, claimed, cycle, let_leases_lapse
from tests.support.world import World


def _now(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, f"no {name} {labels}: what alerts look at begins at zero"
    return found


async def test_cycles_are_told_by_how_they_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = ("minted", "idle", "nothing", "failed")

    def told() -> dict[str, float]:
        return {each: _now("mintage_mint_cycles_total", result=each) for each in results}

    before, units, timed = told(), _now("mintage_units_minted_total"), _timed()
    submitted = await world.submit(await world.product(), 30)
    with broken_cycles(monkeypatch):
        await cycle(world, submitted)
    await cycle(world, submitted, batch_size=10)
    await cycle(world, submitted, batch_size=20)
    await cycle(world, submitted)
    await cycle(world)
    grown = {each: count - before[each] for each, count in told().items()}
    assert grown == {"failed": 1, "minted": 2, "nothing": 1, "idle": 1}
    assert _now("mintage_units_minted_total") - units == 30
    assert _timed() - timed == 2, "a cycle that minted nothing is not timed"


def _timed() -> float:
    return _now("mintage_mint_cycle_duration_seconds_count")


async def test_a_lapsed_lease_is_told_once_it_is_claimed_again(world: World) -> None:
    before = _now("mintage_lease_lapses_total", kind="mint_job")
    submitted = await world.submit(await world.product(), 5)
    await claimed(world, submitted)
    await let_leases_lapse(world)
    assert _now("mintage_lease_lapses_total", kind="mint_job") == before
    await cycle(world, submitted)
    assert _now("mintage_lease_lapses_total", kind="mint_job") - before == 1


async def test_the_buffer_of_scans_tells_what_waits_and_what_was_dropped(
    world: World, database: Database
) -> None:
    product_id, vitals = await world.product(), Vitals()
    vitals.scan_buffer = buffer = ScanBuffer(database, Limits(scans_waiting_max=3))
    names = ("mintage_scan_buffer_scans", "mintage_scan_buffer_scans_max")
    for _ in range(5):
        buffer.record(
            SeenScan(
                brand_id=world.brand_id,
                scanned_at=datetime(2026, 1, 2, tzinfo=UTC),
                subject=Subject(product_id=product_id),
                outcome="recorded",
                traffic_class="human",
                address=None,
                user_agent="",
                path="/01/09506000134352",
            )
        )
    registry = await read(Metered(database, vitals))
    assert [registry.get_sample_value(name) for name in names] == [3, 3]
    assert registry.get_sample_value("mintage_scans_dropped_total") == 2


async def test_the_pool_tells_what_is_used_and_who_waits(world: World, database: Database) -> None:
    pool = database.pool
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    late = asyncio.create_task(_use(database))
    while database.waiting_count == 0:
        await asyncio.sleep(0)

    async def told() -> list[float | None]:
        registry = await read(Metered(database, Vitals(), has_queue=False))
        values = [
            registry.get_sample_value(
                "mintage_pool_connections", {"pool": "primary", "state": state}
            )
            for state in ("used", "idle")
        ]
        return [*values, registry.get_sample_value("mintage_pool_waiting", {"pool": "primary"})]

    assert await told() == [len(held), 0, 1]
    for connection in held:
        await pool.release(connection)
    await late
    assert await told() == [0, len(held), 0]


async def _use(database: Database) -> None:
    async with database.transaction(SYSTEM.identity(None)):
        pass

"""Workers that stand still past their lease (SIGSTOP) and wake when others have long finished their work.

Whoever holds no lock is overtaken and closes nothing; whoever does hold one is waited for, until the server
ends his transaction.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.pack_sweep import sweep_orphans
from mintage.operations.steps import Step
from mintage.settings import Limits
from mintage.storage import PackStore, open_pack_store
from tests.concurrency.test_killed_at_every_step import MINT_STEPS
from tests.support.exactly import assert_minted_exactly, assert_packed_exactly
from tests.support.faults import Fault, Orders, ended, goes_on, stopped, worker
from tests.support.minting import (
    batch_of,
    broken_invariants,
    cycle,
    drained,
    events_of,
    execute,
    job_of,
    let_leases_lapse,
    transactions,
    units_of,
    value,
    with_limits,
)
from tests.support.waiting import waiting
from tests.support.world import World

UNITS, CHUNK = 7, 3
OVERTAKEN: list[Step] = [
    "mint_claimed",
    "mint_chunk_built",
    "mint_copy_begun",
    "mint_copy_under_way",
    "mint_copied",
]
OVERTAKEN_WITH_A_PACK: list[Step] = [
    "pack_claimed",
    "pack_rows_read",
    "pack_file_under_way",
    "pack_written",
]
SHORT_LEASES = Limits(job_lease_s=0.2)
END_OF_ALL = (
    "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity "
    "where datname = current_database() and application_name = 'mintage faulty worker'"
)


@pytest.fixture
def world(world: World) -> World:
    """Leases lapse when a test says so; packs are of four units."""
    return with_limits(world, job_lease_s=3600.0, pack_lease_s=3600.0, pack_units=4)


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


def _stops_at(step: Step, dsn: str, folder: Path) -> Orders:
    return Orders(dsn, folder, (Fault(step, "stop"),), CHUNK)


async def _picture(world: World, submitted: dict[str, Any]) -> list[Any]:
    return [
        await job_of(world, submitted),
        await batch_of(world, submitted),
        await units_of(world, submitted),
        await events_of(world, submitted),
    ]


@pytest.mark.parametrize("step", OVERTAKEN)
async def test_a_worker_that_wakes_after_its_lease_adds_nothing(
    world: World, dsn: str, tmp_path: Path, step: Step
) -> None:
    submitted = await world.submit(await world.product(), UNITS)
    async with worker(_stops_at(step, dsn, tmp_path)) as zombie:
        await stopped(zombie)
        await let_leases_lapse(world)
        await drained(world, batch_size=CHUNK)
        finished = await _picture(world, submitted)
        goes_on(zombie)
        assert await ended(zombie) == 0
    assert await _picture(world, submitted) == finished
    await assert_minted_exactly(world, submitted, UNITS)
    assert await broken_invariants(world) == {}


async def test_a_worker_that_sleeps_with_its_rows_closed_is_waited_for(
    world: World, dsn: str, tmp_path: Path
) -> None:
    """Its commit is all that is left to do: nobody else can know whether it will come."""
    submitted = await world.submit(await world.product(), UNITS)
    orders = Orders(dsn, tmp_path, (Fault("mint_closed", "stop"),), CHUNK, limits=SHORT_LEASES)
    async with worker(orders) as zombie:
        await stopped(zombie)
        while await value(world, "select lease_until > clock_timestamp() from work_item"):
            await asyncio.sleep(0.01)
        assert (await cycle(world))["status"] == "IDLE"
        goes_on(zombie)
        assert await ended(zombie) == 0
    assert (await job_of(world, submitted))["attempts"] == 0
    await assert_minted_exactly(world, submitted, UNITS)
    assert await broken_invariants(world) == {}


async def test_a_worker_whose_transaction_was_ended_while_it_slept_goes_on_in_order(
    world: World, dsn: str, tmp_path: Path
) -> None:
    """As `idle_in_transaction_session_timeout` ends it."""
    submitted = await world.submit(await world.product(), UNITS)
    async with worker(_stops_at("mint_closed", dsn, tmp_path)) as zombie:
        await stopped(zombie)
        assert await value(world, END_OF_ALL) >= 1
        await let_leases_lapse(world)
        assert (await cycle(world, batch_size=CHUNK))["units_created"] == CHUNK
        goes_on(zombie)
        assert await ended(zombie) == 0
    await assert_minted_exactly(world, submitted, UNITS)
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("step", OVERTAKEN_WITH_A_PACK)
async def test_a_worker_that_wakes_after_its_lease_leaves_packs_as_they_are(
    world: World, dsn: str, store: PackStore, tmp_path: Path, step: Step
) -> None:
    submitted = await world.minted(UNITS)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    async with worker(_stops_at(step, dsn, tmp_path)) as zombie:
        await stopped(zombie)
        await let_leases_lapse(world)
        while (await process_payload_pack(transactions(world), store)).result != "idle":
            pass
        goes_on(zombie)
        assert await ended(zombie) == 0
    await assert_packed_exactly(world, submitted, tmp_path, 2)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3, "it removes what it wrote for nothing"
    assert await sweep_orphans(transactions(world), store) == 0
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("step", MINT_STEPS)
async def test_a_void_at_any_step_of_a_cycle_comes_before_it_or_after_it(
    world: World, dsn: str, tmp_path: Path, step: Step
) -> None:
    submitted = await world.submit(await world.product(), UNITS)
    async with worker(_stops_at(step, dsn, tmp_path)) as sleeper:
        await stopped(sleeper)
        voiding = asyncio.create_task(
            world.rpc(
                "set_mint_batch_status", mint_batch_id=submitted["mint_batch_id"], status="voided"
            )
        )
        while not voiding.done() and not await waiting(world):
            await asyncio.sleep(0.005)
        goes_on(sleeper)
        assert (await voiding)["ok"]
        assert await ended(sleeper) == 0
    batch = await batch_of(world, submitted)
    assert batch["status"] == "voided"
    assert len(await units_of(world, submitted)) == batch["minted_quantity"]
    assert batch["minted_quantity"] in {0, 3, 6, 7}
    assert await value(world, "select count(*) from work_item") == 0
    assert await broken_invariants(world) == {}


# Clocks


@pytest.mark.parametrize("skew_s", [-86_400.0, 86_400.0], ids=["behind", "ahead"])
async def test_a_worker_with_a_wrong_clock_takes_no_lease_that_holds_and_one_that_lapsed(
    world: World, dsn: str, tmp_path: Path, skew_s: float
) -> None:
    submitted = await world.submit(await world.product(), UNITS)
    await execute(
        world,
        "update work_item set lease_owner = 'other', lease_epoch = 1, "
        "lease_until = clock_timestamp() + interval '1 minute'",
    )
    orders = Orders(dsn, tmp_path, batch_size=CHUNK, clock_skew_s=skew_s)
    async with worker(orders) as process:
        assert await ended(process) == 0
    assert await units_of(world, submitted) == []
    await let_leases_lapse(world)
    begin = await value(world, "select clock_timestamp()")
    async with worker(orders) as process:
        assert await ended(process) == 0
    end = await value(world, "select clock_timestamp()")
    await assert_minted_exactly(world, submitted, UNITS)
    units = await units_of(world, submitted)
    assert all(begin <= unit["created_at"] <= end for unit in units)
    job = await job_of(world, submitted)
    assert begin <= job["started_at"] <= job["finished_at"] <= end
    assert await broken_invariants(world) == {}


def test_what_works_and_what_it_works_with_never_reads_a_process_clock() -> None:
    sources = Path(__file__).parents[2] / "src" / "mintage"
    clock = re.compile(r"\btime\.time\b|\btime_ns\(|datetime\.(?:now|utcnow|today)|date\.today")
    readers = [
        str(path.relative_to(sources))
        for room in ("operations", "worker", "packs", "rules")
        for path in (sources / room).rglob("*.py")
        if clock.search(path.read_text("utf-8"))
    ]
    assert readers == [], "take call.now: the database's clock, one for all workers"

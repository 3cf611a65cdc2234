"""The worker's loop: woken by NOTIFY, polling as a fallback, outliving failures, stopping in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from mintage.errors import unavailable
from mintage.meters import REGISTRY
from mintage.operations.call import Transactions
from mintage.operations.tallies import fold_tallies
from mintage.storage import PackStore, open_pack_store
from mintage.worker.duties import Duty, duties_of
from mintage.worker.loop import Lane, Worker, lanes_of
from tests.support.keys import manifest_key
from tests.support.minting import (
    broken_cycles,
    broken_invariants,
    execute,
    item_of,
    job_of,
    units_of,
    value,
    with_limits,
)
from tests.support.world import World

NEVER_S = 3600.0
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"
IS_LISTENING = (
    "select exists (select from pg_stat_activity "
    "where datname = current_database() and query like 'LISTEN%')"
)


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


@asynccontextmanager
async def _running(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """`worker` at work; at the end it must stop in order, whatever befell it."""
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        await task


def _worker(world: World, dsn: str, store: PackStore, *duties: Duty) -> Worker:
    return Worker(world.platform, dsn, lanes_of(world.platform, store, manifest_key), duties)


async def _until_listening(world: World) -> None:
    while not await value(world, IS_LISTENING):
        await asyncio.sleep(0.01)


async def _until_status(world: World, submitted: dict[str, Any], status: str) -> None:
    while (await job_of(world, submitted))["status"] != status:
        await asyncio.sleep(0.01)


async def test_a_notified_worker_does_not_wait_for_its_poll(
    world: World, dsn: str, store: PackStore
) -> None:
    world = with_limits(world, poll_interval_s=NEVER_S)
    product_id = await world.product()
    async with _running(_worker(world, dsn, store)):
        await _until_listening(world)
        for _ in range(3):
            await _until_status(world, await world.submit(product_id, 5), "COMPLETED")
    assert await broken_invariants(world) == {}


async def test_a_worker_that_cannot_listen_polls(world: World, store: PackStore) -> None:
    world = with_limits(world, poll_interval_s=0.02)
    async with _running(_worker(world, NOWHERE, store)):
        submitted = await world.submit(await world.product(), 5)
        await _until_status(world, submitted, "COMPLETED")


async def test_work_that_was_there_before_the_worker_is_found(
    world: World, dsn: str, store: PackStore
) -> None:
    world = with_limits(world, poll_interval_s=NEVER_S)
    submitted = await world.submit(await world.product(), 5)
    async with _running(_worker(world, dsn, store)):
        await _until_status(world, submitted, "COMPLETED")


async def test_a_job_whose_time_comes_later_is_polled_for(
    world: World, dsn: str, store: PackStore
) -> None:
    world = with_limits(world, poll_interval_s=0.02)
    submitted = await world.submit(await world.product(), 5)
    await execute(world, "update work_item set runnable_at = clock_timestamp() + interval '0.2 s'")
    async with _running(_worker(world, dsn, store)):
        await _until_status(world, submitted, "COMPLETED")


async def test_packs_are_written_as_jobs_are_minted(
    world: World, dsn: str, store: PackStore
) -> None:
    world = with_limits(world, poll_interval_s=NEVER_S, pack_units=4)
    async with _running(_worker(world, dsn, store)):
        await _until_listening(world)
        submitted = await world.submit(await world.product(), 10)
        await _until_status(world, submitted, "COMPLETED")
        await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
        while await value(world, "select count(*) from work_item"):
            await asyncio.sleep(0.01)
    statuses = await value(world, "select array_agg(status) from payload_pack")
    assert statuses == ["completed"] * 4


async def test_a_lapsed_job_is_taken_up(world: World, dsn: str, store: PackStore) -> None:
    world = with_limits(world, poll_interval_s=0.02)
    submitted = await world.submit(await world.product(), 5)
    await execute(
        world,
        "update work_item set lease_owner = 'gone', lease_until = clock_timestamp() + interval '0.2 s'",
    )
    async with _running(_worker(world, dsn, store)):
        await _until_status(world, submitted, "COMPLETED")
    assert (await units_of(world, submitted))[-1]["unit_no"] == 4


async def test_a_job_that_fails_does_not_keep_the_worker_from_the_next(
    world: World, dsn: str, store: PackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, poll_interval_s=0.02)
    product_id = await world.product()
    failing = await world.submit(product_id, 5)
    async with _running(_worker(world, dsn, store)):
        with broken_cycles(monkeypatch):
            await _until_status(world, failing, "FAILED")
        await _until_status(world, await world.submit(product_id, 5), "COMPLETED")
    assert await item_of(world, failing) is None
    assert await broken_invariants(world) == {}


async def test_a_worker_goes_on_when_its_connections_are_cut(
    world: World, dsn: str, store: PackStore
) -> None:
    world = with_limits(world, poll_interval_s=0.02)
    product_id = await world.product()
    async with _running(_worker(world, dsn, store)) as task:
        for _ in range(3):
            await _until_status(world, await world.submit(product_id, 5), "COMPLETED")
            async with world.platform.database.pool.acquire() as connection:
                await connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
        assert not task.done()
    assert await broken_invariants(world) == {}


async def test_a_lane_outlives_the_failures_of_its_steps(world: World, dsn: str) -> None:
    failures = [RuntimeError("no ink"), unavailable(), OSError("no route")]
    done = asyncio.Event()

    async def step() -> bool:
        if failures:
            raise failures.pop()
        done.set()
        return False

    world = with_limits(world, poll_interval_s=0.01)
    worker = Worker(world.platform, dsn, (Lane("mint_job", step),), ())
    async with _running(worker), asyncio.timeout(60):
        await done.wait()


async def test_a_lane_runs_as_many_steps_at_once_as_it_may(world: World, dsn: str) -> None:
    most, running = 0, 0
    all_there = asyncio.Event()

    async def step() -> bool:
        nonlocal most, running
        running += 1
        most = max(most, running)
        if running == 3:
            all_there.set()
        await all_there.wait()
        running -= 1
        return False

    worker = Worker(world.platform, dsn, (Lane("payload_pack", step, 3),), ())
    async with _running(worker), asyncio.timeout(60):
        await all_there.wait()
    assert most == 3


async def test_a_duty_outlives_its_failures_which_are_counted_and_logged_once(
    world: World, dsn: str
) -> None:
    failures = [RuntimeError("no ink"), unavailable()]
    done = asyncio.Event()
    run_ids: list[str] = []
    succeeded: list[float] = []

    async def duty(transactions: Transactions) -> None:
        run_ids.append(transactions.request_id)
        succeeded.append(_told("mintage_duty_last_success_timestamp_seconds", duty="try"))
        if failures:
            raise failures.pop()
        done.set()

    worker = Worker(world.platform, dsn, (), (Duty("try", 0.01, duty),))
    with structlog.testing.capture_logs() as lines:
        async with _running(worker), asyncio.timeout(60):
            await done.wait()
    assert _told("mintage_duty_runs_total", duty="try", result="failed") == 2
    assert _told("mintage_duty_runs_total", duty="try", result="done") >= 1
    assert succeeded[0] > 1e9, "until it succeeds, overdue is counted from its beginning"
    assert succeeded[0] == succeeded[1] == succeeded[2]
    assert _told("mintage_duty_last_success_timestamp_seconds", duty="try") > succeeded[0]
    assert _told("mintage_duty_interval_seconds", duty="try") == 0.01
    assert len(set(run_ids)) == len(run_ids)
    logged = [(line["event"], line["request_id"]) for line in lines if line.get("duty") == "try"]
    assert logged == [("the database is away", run_ids[0]), ("a duty failed", run_ids[1])]


async def test_a_duty_that_a_stop_cuts_short_is_not_counted_as_done(world: World, dsn: str) -> None:
    begun = asyncio.Event()

    async def duty(_: Transactions) -> None:
        begun.set()
        await asyncio.Event().wait()

    worker = Worker(world.platform, dsn, (), (Duty("long", NEVER_S, duty, may_be_cut=True),))
    async with _running(worker), asyncio.timeout(60):
        await begun.wait()
    assert _told("mintage_duty_runs_total", duty="long", result="done") == 0
    assert _told("mintage_duty_runs_total", duty="long", result="failed") == 0


def _told(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, name
    return found


async def test_a_stop_lets_the_step_under_way_finish_and_begins_none(
    world: World, dsn: str
) -> None:
    begun, may_finish, finished = asyncio.Event(), asyncio.Event(), []

    async def step() -> bool:
        begun.set()
        await may_finish.wait()
        finished.append("step")
        return True

    worker = Worker(world.platform, dsn, (Lane("mint_job", step),), ())
    async with _running(worker) as task:
        await begun.wait()
        worker.stop()
        await asyncio.sleep(0)
        assert not task.done()
        may_finish.set()
        await task
    assert finished == ["step"]


async def test_a_worker_that_idles_stops_at_once(world: World, dsn: str, store: PackStore) -> None:
    world = with_limits(world, poll_interval_s=NEVER_S)
    worker = _worker(world, dsn, store, Duty("fold tallies", NEVER_S, fold_tallies))
    async with _running(worker) as task:
        await _until_listening(world)
        worker.stop()
        await task


async def test_tallies_are_folded_while_jobs_run(world: World, dsn: str, store: PackStore) -> None:
    world = with_limits(world, poll_interval_s=0.02)
    product_id = await world.product()
    async with _running(_worker(world, dsn, store, Duty("fold tallies", 0.01, fold_tallies))):
        for quantity in (5, 7):
            await _until_status(world, await world.submit(product_id, quantity), "COMPLETED")
        while await value(world, "select count(*) from tally_delta"):
            await asyncio.sleep(0.01)
    minted = "select sum(value)::int from brand_tally where metric = 'units_minted'"
    assert await value(world, minted) == 12
    assert await broken_invariants(world) == {}


async def test_every_duty_can_be_done_by_several_workers_at_once(
    world: World, store: PackStore
) -> None:
    await world.minted(5)
    transactions = world.platform.transactions(world.callers["service"], "test")
    for duty in duties_of(store):
        await asyncio.gather(*(duty.function(transactions) for _ in range(4)))
    assert await value(world, "select count(*) from tally_delta") == 0
    assert await broken_invariants(world) == {}

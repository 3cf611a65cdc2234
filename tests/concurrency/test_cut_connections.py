"""Connections that are cut in the middle of a cycle or of a pack: no attempt, nothing lost, nothing twice.

A lease that could not be given back is given back before the next claim, whoever has it by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mintage.db.connection import AWAY_ERRORS, open_database
from mintage.errors import UNAVAILABLE, MintageError
from mintage.operations import steps
from mintage.operations.leases import Lease, OwedLeases, give_back
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.steps import Step
from mintage.perform import Platform
from mintage.storage import PackStore, StorageFailure, StoredFile, open_pack_store
from tests.support.exactly import assert_minted_exactly, assert_packed_exactly
from tests.support.minting import (
    broken_cycles,
    broken_invariants,
    claimed,
    cycle,
    drained,
    execute,
    item_of,
    job_of,
    let_leases_lapse,
    rows,
    transactions,
    value,
    with_limits,
)
from tests.support.proxy import Proxy, proxy
from tests.support.refusals import refused_with
from tests.support.world import World

pytestmark = pytest.mark.long

UNITS, CHUNK = 2000, 1500
COMMIT = b"commit\x00"
MINT_STEPS_OUT_OF_REACH: list[Step] = [
    "mint_reserved",
    "mint_claimed",
    "mint_chunk_built",
    "mint_copy_begun",
    "mint_copy_under_way",
    "mint_copied",
    "mint_closed",
]
PACK_STEPS_OUT_OF_REACH: list[Step] = [
    "pack_started",
    "pack_claimed",
    "pack_rows_read",
    "pack_written",
    "pack_completed",
    "pack_group_finished",
]


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, job_lease_s=3600.0, pack_lease_s=3600.0, pack_units=1000)


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


@asynccontextmanager
async def _far(world: World, dsn: str) -> AsyncIterator[tuple[World, Proxy]]:
    """A process of its own on the other side of a proxy."""
    async with proxy(dsn) as way:
        database = await open_database(
            way.dsn, connections=3, statement_timeout_s=30, application="far"
        )
        try:
            yield world.with_platform(Platform(database, world.platform.limits)), way
        finally:
            database.pool.terminate()


def _cut_once_at(monkeypatch: pytest.MonkeyPatch, way: Proxy, step: Step) -> None:
    def reached(now: Step) -> None:
        if now == step and way.times_cut == 0:
            way.cut()

    monkeypatch.setattr(steps, "reached", reached)


def _cut_once_before(
    way: Proxy, monkeypatch: pytest.MonkeyPatch, before_a_commit: list[Step], time: int
) -> None:
    """Cut when the `time`-th transaction of a run has nothing left to do but to commit."""
    seen = 0

    def reached(now: Step) -> None:
        nonlocal seen
        seen += now in before_a_commit
        if seen == time and way.times_cut == 0:
            way.cut()

    monkeypatch.setattr(steps, "reached", reached)


async def _until_nobody_else_is_connected(world: World) -> None:
    far = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and application_name = 'mintage far'"
    )
    while await value(world, far):
        await asyncio.sleep(0.002)


async def test_a_connection_cut_in_the_middle_of_a_copy_leaves_nothing_and_is_no_attempt(
    world: World, dsn: str
) -> None:
    submitted = await world.submit(await world.product(), UNITS)
    async with _far(world, dsn) as (far, way):
        way.cut_at(b"PGCOPY\n\xff\r\n\x00", 50_000)
        await refused_with(UNAVAILABLE, cycle(far, batch_size=CHUNK))
        assert way.times_cut == 1
        await _until_nobody_else_is_connected(world)
        assert await value(world, "select count(*) from mint_unit") == 0
        item = await item_of(world, submitted)
        assert item is not None
        assert (item["attempts"], item["lease_owner"] is None) == (0, False)
        await refused_with(UNAVAILABLE, cycle(far, batch_size=CHUNK))
        way.mend()
        answers = await drained(far, batch_size=CHUNK)
    assert [answer["units_created"] for answer in answers] == [CHUNK, UNITS - CHUNK]
    await assert_minted_exactly(world, submitted, UNITS)
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("step", MINT_STEPS_OUT_OF_REACH)
async def test_a_connection_cut_at_a_step_of_minting_is_no_attempt(
    world: World, dsn: str, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    submitted = await world.submit(await world.product(), 7)
    async with _far(world, dsn) as (far, way):
        _cut_once_at(monkeypatch, way, step)
        await refused_with(UNAVAILABLE, cycle(far, batch_size=4))
        assert way.times_cut == 1
        await _until_nobody_else_is_connected(world)
        way.mend()
        answers = await drained(far, batch_size=4)
    assert all(answer["ok"] for answer in answers)
    assert (await job_of(world, submitted))["attempts"] == 0
    await assert_minted_exactly(world, submitted, 7)
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("step", PACK_STEPS_OUT_OF_REACH)
async def test_a_connection_cut_at_a_step_of_packing_is_no_attempt(
    world: World, dsn: str, store: PackStore, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, step: Step,
) -> None:  # fmt: skip
    submitted = await world.minted(1500)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    async with _far(world, dsn) as (far, way):
        _cut_once_at(monkeypatch, way, step)
        with pytest.raises(AWAY_ERRORS):
            await process_payload_pack(transactions(far), store)
        await _until_nobody_else_is_connected(world)
        way.mend()
        outcomes = []
        while (outcome := await process_payload_pack(transactions(far), store)).result != "idle":
            outcomes.append(outcome.result)
            attempts = "select coalesce(sum(attempts), 0) from work_item"
            assert await value(world, attempts) == 0
    assert outcomes == ["completed"] * 3
    await assert_packed_exactly(world, submitted, tmp_path, 2)
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("arrives", [True, False], ids=["kept", "lost"])
@pytest.mark.parametrize("time", [1, 2, 3, 4], ids=["claim", "work", "claim again", "last work"])
async def test_a_commit_whose_answer_is_lost_is_no_attempt_whether_it_arrived_or_not(
    world: World, dsn: str, monkeypatch: pytest.MonkeyPatch, time: int, arrives: bool
) -> None:
    submitted = await world.submit(await world.product(), 7)
    async with _far(world, dsn) as (far, way):
        if arrives:
            way.cut_answer(COMMIT, time)
        else:
            _cut_once_before(way, monkeypatch, ["mint_reserved", "mint_closed"], time)
        done = 0
        while way.times_cut == 0:
            done += 1
            with suppress(MintageError):
                await cycle(far, batch_size=4)
        assert done == (time + 1) // 2
        await _until_nobody_else_is_connected(world)
        way.mend()
        answers = await drained(far, batch_size=4)
    assert all(answer["ok"] for answer in answers)
    assert (await job_of(world, submitted))["attempts"] == 0
    await assert_minted_exactly(world, submitted, 7)
    assert await broken_invariants(world) == {}


# A lease that is owed


async def test_a_lapse_that_another_has_counted_is_taken_off_again(world: World) -> None:
    submitted = await world.submit(await world.product(), 10)
    lost = await claimed(world)
    await let_leases_lapse(world)
    await claimed(world)
    assert await _attempts(world, submitted) == 1
    await give_back(transactions(world), lost.lease)
    item = await item_of(world, submitted)
    assert item is not None
    assert (item["attempts"], item["lease_epoch"], item["lease_owner"] is None) == (0, 2, False)


async def test_a_lapse_is_taken_off_once_however_often_its_lease_is_given_back(
    world: World,
) -> None:
    submitted = await world.submit(await world.product(), 10)
    lost = await claimed(world)
    for _ in range(2):
        await let_leases_lapse(world)
        await claimed(world)
    assert await _attempts(world, submitted) == 2
    for _ in range(2):
        await give_back(transactions(world), lost.lease)
        assert await _attempts(world, submitted) == 1


async def test_a_pack_keeps_the_attempts_that_are_not_of_the_lease_given_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease whose giving back was not answered is given back again, after another has failed."""
    world = with_limits(world, backoff_s=(0.0, 0.0))
    submitted = await world.minted(2)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    store = open_pack_store(None, tmp_path)
    statement = "select ref_id, attempts, lease_epoch from work_item where runnable_at < 'infinity'"

    async def broken(*_: object, **__: object) -> StoredFile:
        raise StorageFailure("the disk is full")

    monkeypatch.setattr(PackStore, "put", broken)
    assert (await process_payload_pack(transactions(world), store)).result == "retried"
    (item,) = await rows(world, statement)
    first = Lease("payload_pack", world.brand_id, item["ref_id"], item["lease_epoch"])
    assert (await process_payload_pack(transactions(world), store)).result == "retried"
    await give_back(transactions(world), first)
    (item,) = await rows(world, statement)
    assert (item["attempts"], item["lease_epoch"]) == (2, 2)


async def test_an_attempt_after_the_next_chunk_is_not_taken_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await world.submit(await world.product(), 10)
    lost = await claimed(world)
    await let_leases_lapse(world)
    assert (await cycle(world, batch_size=4))["ok"]
    with broken_cycles(monkeypatch):
        await cycle(world)
    assert await _attempts(world, submitted) == 1
    await give_back(transactions(world), lost.lease)
    assert await _attempts(world, submitted) == 1


async def test_a_lease_that_was_given_out_again_under_its_epoch_stays_with_its_new_owner(
    world: World,
) -> None:
    """As after a failover that forgot the claim."""
    submitted = await world.submit(await world.product(), 10)
    forgotten = (await claimed(world)).lease
    await execute(world, "update work_item set lease_owner = 'elsewhere:1'")
    await give_back(transactions(world), forgotten)
    item = await item_of(world, submitted)
    assert item is not None
    assert (item["lease_owner"], item["attempts"]) == ("elsewhere:1", 0)


async def test_a_lease_of_a_job_that_is_finished_is_owed_to_nobody(world: World) -> None:
    submitted = await world.submit(await world.product(), 10)
    lost = (await claimed(world)).lease
    await let_leases_lapse(world)
    await drained(world)
    await give_back(transactions(world), lost)
    await assert_minted_exactly(world, submitted, 10)


async def test_a_lease_that_ended_before_the_server_started_is_no_attempt(world: World) -> None:
    submitted = await world.submit(await world.product(), 10)
    await claimed(world)
    await execute(
        world,
        "update work_item set lease_until = pg_postmaster_start_time() - interval '1 millisecond'",
    )
    claim = await claimed(world)
    assert claim.epoch == 2
    assert await _attempts(world, submitted) == 0


async def test_of_too_many_owed_leases_the_oldest_are_left_to_lapse(world: World) -> None:
    owed = OwedLeases()
    leases = [
        Lease("mint_job", world.brand_id, world.other_brand_id, epoch) for epoch in range(102)
    ]
    for lease in leases:
        owed.add(lease)
    taken: list[Any] = []
    while (lease_or_none := owed.take()) is not None:
        taken.append(lease_or_none)
    assert taken == leases[2:]


async def _attempts(world: World, submitted: dict[str, Any]) -> int:
    item = await item_of(world, submitted)
    assert item is not None
    found: int = item["attempts"]
    return found

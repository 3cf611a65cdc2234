"""A database of the first release, with data in it, is brought up to date while it is used.

Programs of that release go on while the migrations run and after them: they submit, mint, export, scan, list
and fold by the statements of their day (`old_platform`), on connections that have them prepared. Not here:
that every statement of every release can be prepared on today's schema (`test_released`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from mintage.db.connection import open_database
from mintage.db.migrate import load_migrations, migrate, require_current_schema
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.tallies import fold_tallies
from mintage.perform import Platform
from mintage.settings import Limits
from mintage.storage import open_pack_store
from tests.schema.catalog import new_database
from tests.schema.old_platform import FAR, LAST_ID, LONG_AGO, RELEASE, Job, OldPlatform, unit_ids
from tests.schema.released_states import migrate_until
from tests.schema.test_counting_what_was_before import OF_BEFORE, counting_block
from tests.support.figures import folded_figures, recounted
from tests.support.minting import broken_invariants, execute, transactions, value
from tests.support.world import World, build_world

GTIN14 = "09506000134352"
UNITS = 100_000
BATCHES = 4
CALLS_OF_EACH = 3
COUNTED_SINCE = {"figures_add_up", "tallies_of_statuses_add_up", "totals_follow_their_batches"}
"""Invariants of what 0002 began to count: programs of 0001 that write after it do not count it."""


@pytest_asyncio.fixture
async def old_world(server_dsn: str) -> AsyncIterator[tuple[str, World]]:
    """A database with the first release's schema, and two brands with their people."""
    async with new_database(server_dsn) as dsn:
        await migrate_until(dsn, RELEASE)
        database = await open_database(
            dsn, connections=12, statement_timeout_s=60, application="drill"
        )
        try:
            yield dsn, await build_world(Platform(database, Limits()))
        finally:
            await database.close()


class Traffic:
    """Loops of old programs. A loop whose request fails is over."""

    def __init__(self) -> None:
        self.rounds: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_over = False

    def begin(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        self.rounds[name] = 0
        self._tasks[name] = asyncio.create_task(self._loop(name, step))

    async def _loop(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        while not self._is_over:
            await step()
            self.rounds[name] += 1
            await asyncio.sleep(0.01)

    async def until_each_has_run(self, more: int) -> None:
        """Each loop has run `more` times from now on; or one has failed."""
        wanted = {name: rounds + more for name, rounds in self.rounds.items()}
        while any(self.rounds[name] < wanted[name] for name in wanted):
            if any(task.done() for task in self._tasks.values()):
                return
            await asyncio.sleep(0.01)

    async def end(self) -> dict[str, str]:
        """The failures, by loop."""
        self._is_over = True
        ended = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        return {
            name: f"{type(error).__name__}: {error}"
            for name, error in zip(self._tasks, ended, strict=True)
            if error is not None
        }


async def _fill(old: OldPlatform, product_id: UUID) -> list[Job]:
    """100,000 units with serials, a batch in lots, brought serials, packs, scans, folded in part."""
    await old.call("duty.make_scan_partitions", in_brand=False)
    jobs = [await old.submit(product_id, UNITS // BATCHES, gtin14=GTIN14) for _ in range(BATCHES)]
    await old.submit(product_id, 60, gtin14=GTIN14, lots=(("L1", 20), ("L2", 40)))
    await old.submit(product_id, 50, gtin14=GTIN14, serials=tuple(f"B{no:03}" for no in range(50)))
    while await old.cycle(10_000):
        pass
    for pack_id in await old.export(jobs[0], product_id, UNITS // BATCHES, 5):
        await old.pack(pack_id)
    for no in range(20):
        await old.scan(f"P000001{no % 10:07}", GTIN14)
    await old.scan("B007", GTIN14)
    await _activate_lot(old, "L1")
    await old.fold()
    await old.scan("P0000010000011", GTIN14)
    return jobs


async def _activate_lot(old: OldPlatform, lot_code: str) -> None:
    (lot,) = await old.call("resolve.lots_by_code", old.brand_id, GTIN14, lot_code)
    now = FAR.replace(year=2026)
    (activated,) = await old.call("scan.activate_lots", old.brand_id, lot["waiting_lot_ids"], now)
    first = activated["first_unit_no"]
    ids = unit_ids(activated, first, first + activated["quantity"] - 1)
    await old.call(
        "scan.count_lots_activated",
        old.brand_id,
        now,
        [activated["mint_batch_id"]],
        [ids[0]],
        [ids[1]],
        [activated["quantity"]],
    )


def _begin_traffic(traffic: Traffic, old: OldPlatform, product_id: UUID, minted: Job) -> None:
    """Programs of the first release at work: doors, workers, a duty, a resolver."""
    brand, user, scanned = old.brand_id, old.user_id, iter(range(100, 20_000))

    async def submit() -> None:
        await old.submit(product_id, 20, gtin14=GTIN14)

    async def export() -> None:
        job = await old.submit(product_id, 20, gtin14=GTIN14, pause_s=3600.0)
        while await old.cycle(20, job):
            pass
        for pack_id in await old.export(job, product_id, 20, 2):
            await old.pack(pack_id)

    async def scan() -> None:
        await old.scan(f"P000001{next(scanned):07}", GTIN14)

    async def look() -> None:
        await old.call("access.of_user", brand, user)
        await old.call("account.by_email", "owner@example.com")
        await old.call("brand.of_user", user, FAR, LAST_ID, 20)
        await old.call("mint_batch.list_newest", brand, LONG_AGO, FAR, LAST_ID, 20)
        await old.call("mint_batch.get", brand, minted.batch_id)
        await old.call("mint_event.list_newest", brand, LONG_AGO, FAR, LAST_ID, 20)
        await old.call("export.list_newest", brand, FAR, LAST_ID, 20, None)
        (ids,) = await old.call("mint_unit.range_of_batch", brand, minted.batch_id)
        listed = await old.call("mint_unit.list", brand, ids["unit_id_low"], LAST_ID, 20, None)
        assert len(listed) == 20
        (host,) = await old.call("resolve.brand_host", "acme.example.com", in_brand=False)
        assert host["brand_id"] == brand
        assert len(await old.call("resolve.product_shown", brand, product_id)) == 1

    for worker in range(2):
        traffic.begin(f"worker {worker}", lambda: old.cycle(20))
    for name, step in (("submit", submit), ("export", export), ("scan", scan), ("look", look)):
        traffic.begin(name, step)
    traffic.begin("fold", old.fold)


async def _count_what_was_not(world: World) -> None:
    """What a program of 0001 wrote after 0002 is counted as 0002 counted what was before it."""
    await execute(world, f"delete from tally_delta where metric not in {OF_BEFORE}")
    await execute(world, f"delete from batch_tally where metric not in {OF_BEFORE}")
    await execute(world, f"delete from brand_tally where metric not in {OF_BEFORE}")
    await execute(world, "delete from brand_total")
    await execute(world, counting_block())


@pytest.mark.long
async def test_the_first_release_is_upgraded_while_it_works(
    old_world: tuple[str, World], tmp_path: Path
) -> None:
    dsn, world = old_world
    old = OldPlatform(world.platform.database, world.brand_id, world.user_ids["owner"])
    product_id = await old.product("OAK", GTIN14)
    jobs = await _fill(old, product_id)
    left_open = await old.submit(product_id, 5_000, gtin14=GTIN14, pause_s=3600.0)
    assert await old.cycle(2_000, left_open)
    packs_left_open = await old.export(jobs[1], product_id, UNITS // BATCHES, 5)
    await execute(
        world, "update work_item set runnable_at = 'infinity' where kind = 'payload_pack'"
    )

    traffic = Traffic()
    _begin_traffic(traffic, old, product_id, jobs[0])
    await traffic.until_each_has_run(CALLS_OF_EACH)
    applied = await migrate(dsn)
    rounds_before = dict(traffic.rounds)
    await traffic.until_each_has_run(CALLS_OF_EACH)
    failures = await traffic.end()

    assert applied == [each.name for each in load_migrations()[1:]]
    assert failures == {}
    assert all(traffic.rounds[name] > rounds_before[name] for name in rounds_before)
    assert await value(world, "select count(*) from mint_unit") > UNITS + 110
    while await old.cycle(20):
        pass
    assert (await broken_invariants(world)).keys() <= COUNTED_SINCE
    await _count_what_was_not(world)
    await require_current_schema(dsn)
    await _todays_worker_goes_on(world, left_open, packs_left_open, tmp_path)


async def _todays_worker_goes_on(
    world: World, job: Job, pack_ids: list[UUID], folder: Path
) -> None:
    """It finishes what the first release left, and everything adds up."""
    answer = await world.run(job.id)
    assert (answer["status"], answer["minted_quantity"]) == ("COMPLETED", 5_000)
    await execute(world, "update work_item set runnable_at = enqueued_at")
    store = open_pack_store(None, folder)
    for _ in pack_ids:
        assert (await process_payload_pack(transactions(world), store)).result == "completed"
    assert await value(world, "select count(*) from work_item") == 0
    listed = await world.rpc("list_payload_packs", "viewer", status="completed", limit=200)
    assert set(pack_ids) <= {pack["id"] for pack in listed["packs"]}
    assert (await world.rpc("get_mint_kpis", "viewer"))["ok"]
    await world.minted(30, gtin=None)
    await fold_tallies(transactions(world))
    assert await broken_invariants(world) == {}
    assert await folded_figures(world) == await recounted(world)

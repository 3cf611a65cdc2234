"""PostgreSQL dies at a named step of a worker: a session, or the whole server, which is started again.

The worker lives and goes on with its next step: no attempt, nothing lost, nothing twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mintage.db.migrate import migrate
from mintage.operations.steps import Step
from mintage.perform import Platform
from tests.machines.servers import scratch_folder
from tests.soak.submitters import Ledger, answered
from tests.soak.victims import Server, patiently_opened
from tests.support.exactly import assert_minted_exactly, assert_packed_exactly
from tests.support.faults import Fault, Orders, ended, goes_on, stopped, worker
from tests.support.minting import broken_invariants, events_of, rows, value, with_limits
from tests.support.world import World, build_world

UNITS, CHUNK = 7, 3
MINT_STEPS: list[Step] = [
    "mint_leased",
    "mint_claimed",
    "mint_copy_under_way",
    "mint_copied",
    "mint_closed",
    "mint_committed",
]
PACK_STEPS: list[Step] = ["pack_started", "pack_claimed", "pack_written", "pack_group_finished"]
ITS_SESSION = (
    "select pid from pg_stat_activity where datname = current_database() "
    "and application_name = 'mintage faulty worker' "
    "order by query_start desc limit 1"
)

Death = Callable[[Server], Awaitable[None]]


async def _whole(server: Server) -> None:
    await server.kill_and_start()


async def _one_session(server: Server) -> None:
    await server.kill_session_of(ITS_SESSION)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("death", [_whole, _one_session], ids=["server", "session"])
async def test_a_worker_outlives_its_server_at_any_step(death: Death, tmp_path: Path) -> None:
    async with scratch_folder() as folder:
        server = Server(folder / "data", is_durable=False)
        await server.start()
        try:
            await migrate(server.dsn)
            database = await patiently_opened(server.dsn, "test", connections=4)
            world = await build_world(Platform(database, Orders("", tmp_path).limits))
            world = with_limits(world, pack_units=4)
            for step in MINT_STEPS:
                await _minted_although(death, step, world, server, tmp_path)
            for step in PACK_STEPS:
                await _packed_although(death, step, world, server, tmp_path)
            assert await broken_invariants(world) == {}
            await database.close()
        finally:
            await server.stop()


async def _minted_although(
    death: Death, step: Step, world: World, server: Server, folder: Path
) -> None:
    submitted = await world.submit(await world.product(gtin=None), UNITS)
    await _work_through(death, step, server, folder)
    await _settled(world)
    job = (await rows(world, "select * from mint_job where id = $1", submitted["mint_job_id"]))[0]
    assert (job["status"], job["attempts"]) == ("COMPLETED", 0), step
    assert not [each for each in await events_of(world, submitted) if "error" in each["payload"]]
    await assert_minted_exactly(world, submitted, UNITS)


async def _packed_although(
    death: Death, step: Step, world: World, server: Server, folder: Path
) -> None:
    submitted = await world.minted(UNITS, gtin=None)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    await _work_through(death, step, server, folder)
    await _settled(world)
    await assert_packed_exactly(world, submitted, folder, 2)


async def _work_through(death: Death, step: Step, server: Server, folder: Path) -> None:
    """One worker, whose server dies while it stands at `step`."""
    orders = Orders(server.dsn, folder, (Fault(step, "stop"),), CHUNK)
    async with worker(orders) as process:
        await stopped(process)
        await death(server)
        goes_on(process)
        assert await ended(process) == 0


async def _settled(world: World) -> None:
    """Our own pool has met the death, too."""
    left = await answered(lambda: value(world, "select count(*) from work_item"), Ledger())
    assert left == 0

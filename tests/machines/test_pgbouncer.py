"""PgBouncer in transaction mode: a client's next transaction may be on another server connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from mintage.db.connect import Servers, is_pooled
from mintage.db.connection import (
    AWAY_ERRORS,
    Database,
    DatabaseRole,
    Identity,
    open_database,
)
from mintage.db.migrate import SchemaError, migrate, require_current_schema
from mintage.errors import UNAVAILABLE, MintageError
from mintage.perform import Platform
from mintage.settings import Limits
from mintage.worker.loop import Lane, Worker
from tests.machines.processes import until
from tests.machines.servers import ask
from tests.support.minting import batch_of, broken_invariants, drained, units_of
from tests.support.world import build_world

CLIENTS = 12
TRANSACTIONS = 15


async def _opened(url: str) -> Database:
    return await open_database(url, connections=CLIENTS, statement_timeout_s=30, application="test")


async def _failures(database: Database) -> int:
    """How many of many transactions of many clients fail."""

    async def one() -> None:
        identity = Identity(DatabaseRole.SERVICE)
        async with database.transaction(identity) as connection:
            await connection.fetchval("select $1::integer + 1", 1)
            await asyncio.sleep(0)
            await connection.fetchval("select $1::text || 'x'", "y")

    async def client() -> int:
        results = await asyncio.gather(
            *(one() for _ in range(TRANSACTIONS)), return_exceptions=True
        )
        return sum(isinstance(result, asyncpg.PostgresError) for result in results)

    return sum(await asyncio.gather(*(client() for _ in range(CLIENTS))))


async def test_a_pooler_is_told_from_a_server(dsn: str, pooled_dsn: str) -> None:
    for url, expected in ((dsn, False), (pooled_dsn, True)):
        connection = await Servers(url).connect(statement_cache_size=0)
        assert await is_pooled(connection) is expected
        await connection.close()


async def test_no_statement_is_kept_behind_it_unless_the_url_says_so(pooled_dsn: str) -> None:
    left_to_us = await _opened(pooled_dsn)
    assert await _failures(left_to_us) == 0
    await left_to_us.close()
    told = await _opened(f"{pooled_dsn}?statement_cache_size=0")
    assert await _failures(told) == 0
    await told.close()
    kept = await _opened(f"{pooled_dsn}?statement_cache_size=100")
    assert await _failures(kept) > 0
    await kept.close()


async def test_the_main_job_runs_through_it(pooled_dsn: str, limits: Limits) -> None:
    database = await _opened(pooled_dsn)
    world = await build_world(Platform(database, limits))
    product_id = await world.product()
    lots = [{"lot_code": "L1", "qty": 300}, {"lot_code": "L2", "qty": 200}]
    submitted = await asyncio.gather(
        *(world.submit(product_id, 500) for _ in range(6)),
        *(world.submit(product_id, 500, identity_mode="batch", lots=lots) for _ in range(2)),
        world.submit(product_id, 3, serials=["A-1", "A-2", "A-3"]),
    )
    await asyncio.gather(*(drained(world, batch_size=90) for _ in range(4)))
    for answer in submitted:
        batch = await batch_of(world, answer)
        assert batch["status"] == "minted"
        units = await units_of(world, answer)
        assert [unit["unit_no"] for unit in units] == list(range(batch["requested_quantity"]))
    assert await broken_invariants(world) == {}
    await database.close()


async def test_nothing_of_a_brand_stays_on_a_server_connection(pooled_dsn: str) -> None:
    database = await _opened(pooled_dsn)
    statement = (
        "select current_user || coalesce(nullif(current_setting('mintage.brand_id', true), ''), '')"
    )

    async def as_somebody(number: int) -> None:
        identity = Identity(DatabaseRole.RESOLVER, UUID(int=number))
        async with database.transaction(identity) as connection:
            assert await connection.fetchval(statement) == f"mintage_resolver{UUID(int=number)}"

    async def as_nobody() -> None:
        assert await database.pool.fetchval(statement) == "postgres"

    await asyncio.gather(*(as_somebody(n) for n in range(30)), *(as_nobody() for _ in range(30)))
    await database.close()


async def test_migrations_through_it_are_refused_until_the_schema_is_current(
    dsn: str, pooled_dsn: str
) -> None:
    assert await migrate(pooled_dsn) == []
    await require_current_schema(pooled_dsn)
    await ask(
        dsn,
        "delete from schema_migration where version = (select max(version) from schema_migration)",
    )
    with pytest.raises(SchemaError, match="MINTAGE_DIRECT_DATABASE_URL"):
        await migrate(pooled_dsn)


def _lane_that_counts() -> tuple[Lane, asyncio.Queue[None]]:
    steps: asyncio.Queue[None] = asyncio.Queue()

    async def step() -> bool:
        steps.put_nowait(None)
        return False

    return Lane("mint_job", step), steps


async def test_a_worker_behind_it_polls(pooled_dsn: str, limits: Limits) -> None:
    database = await _opened(pooled_dsn)
    platform = Platform(database, replace(limits, poll_interval_s=0.02))
    lane, steps = _lane_that_counts()
    worker = Worker(platform, pooled_dsn, (lane,), ())
    running = asyncio.create_task(worker.run())
    for _ in range(5):
        await steps.get()
    listening = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and query ilike 'listen%'"
    )
    assert await database.pool.fetchval(listening) == 0
    worker.stop()
    await running
    await database.close()


async def test_a_worker_with_a_direct_url_hears_at_once(
    dsn: str, pooled_dsn: str, limits: Limits
) -> None:
    database = await _opened(pooled_dsn)
    # It would not look a second time within this test.
    platform = Platform(database, replace(limits, poll_interval_s=3600.0))
    world = await build_world(platform)
    product_id = await world.product()
    lane, steps = _lane_that_counts()
    worker = Worker(platform, dsn, (lane,), ())
    running = asyncio.create_task(worker.run())
    listening = (
        "select exists (select from pg_stat_activity "
        "where datname = current_database() and query ilike 'listen%')"
    )
    await until(lambda: database.pool.fetchval(listening))
    while not steps.empty():
        steps.get_nowait()
    await world.submit(product_id, 5)
    await steps.get()
    worker.stop()
    await running
    await database.close()


async def test_a_server_connection_that_dies_is_answered_503_and_replaced(
    dsn: str, pooled_dsn: str, limits: Limits
) -> None:
    database = await _opened(pooled_dsn)
    world = await build_world(Platform(database, limits))
    product_id = await world.product()

    async def outlive_its_server() -> None:
        async with database.transaction(Identity(DatabaseRole.SERVICE)) as connection:
            pid = await connection.fetchval("select pg_backend_pid()")
            await ask(dsn, "select pg_terminate_backend($1)", pid)
            await connection.fetchval("select 1")

    with pytest.raises(AWAY_ERRORS):
        await outlive_its_server()

    async def submits() -> tuple[int, int]:
        answers = await asyncio.gather(
            *(world.submit(product_id, 1, idempotency_key=f"k{n}") for n in range(40)),
            return_exceptions=True,
        )
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        assert all(
            isinstance(error, MintageError) and error.kind is UNAVAILABLE for error in errors
        )
        return len(answers) - len(errors), len(errors)

    running = asyncio.create_task(submits())
    await _kill_backends_until(dsn, running.done)
    await running
    assert await submits() == (40, 0)
    assert await database.pool.fetchval("select count(*) from mint_job") == 40
    await database.close()


@pytest.mark.long
async def test_nothing_acknowledged_is_lost_when_server_connections_die_behind_it(
    dsn: str, pooled_dsn: str, limits: Limits
) -> None:
    database = await _opened(pooled_dsn)
    world = await build_world(Platform(database, replace(limits, attempts_max=50)))
    product_id = await world.product()

    async def acknowledged(number: int) -> dict[str, Any]:
        while True:
            try:
                return await world.submit(product_id, 400, idempotency_key=f"k{number}")
            except MintageError as error:
                if error.kind is not UNAVAILABLE:
                    raise

    async def has_work() -> bool:
        return bool(await database.pool.fetchval("select exists (select from work_item)"))

    async def mint() -> None:
        is_done = False
        while not is_done:
            try:
                await drained(world, batch_size=90)
                is_done = submitting.done() and not await has_work()
            except (*AWAY_ERRORS, MintageError):
                await asyncio.sleep(0.01)

    submitting = asyncio.gather(*(acknowledged(number) for number in range(12)))
    minting = asyncio.gather(mint(), mint())
    await _kill_backends_until(dsn, minting.done)
    await minting
    answers = await submitting
    assert await ask(dsn, "select count(*) from mint_job") == len(answers)
    for answer in answers:
        units = await units_of(world, answer)
        assert [unit["unit_no"] for unit in units] == list(range(400))
    assert await broken_invariants(world) == {}
    await database.close()


async def _kill_backends_until(dsn: str, is_enough: Callable[[], bool]) -> None:
    statement = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    connection = await asyncpg.connect(dsn)
    while not is_enough():
        await connection.fetchval(statement)
        await asyncio.sleep(0.05)
    await connection.close()

"""A real streaming replica: how old it may be, and a resolver process that reads from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mintage.db.connection import Database, open_database
from mintage.db.replica import Replica
from mintage.health import Vitals
from tests.machines.processes import Brand, Machines, machines, scan, until
from tests.machines.servers import Pair, ask, running_pair

pytestmark = pytest.mark.long
LAG_S_MAX = 10.0


class Clock:
    """Seconds that pass when the test says so."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def _opened(url: str) -> Database:
    return await open_database(url, connections=2, statement_timeout_s=30, application="test")


@asynccontextmanager
async def _looked_at(replica_url: str, primary_url: str) -> AsyncIterator[tuple[Replica, Clock]]:
    primary, database = await _opened(primary_url), await _opened(replica_url)
    clock = Clock()
    yield Replica(database, primary, lag_s_max=LAG_S_MAX, clock=clock), clock
    await database.close()
    await primary.close()


async def _roles(pair: Pair) -> None:
    await ask(pair.primary_url, "create role mintage_resolver nologin")
    await _until_replayed(pair)


async def _until_replayed(pair: Pair) -> None:
    position = await ask(pair.primary_url, "select pg_current_wal_lsn()::text")

    async def is_there() -> bool:
        statement = "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
        return bool(await ask(pair.standby_url, statement, position))

    await until(is_there)


def _is_fresh(replica: Replica) -> bool:
    return replica.is_fresh


async def _looks_fresh(replica: Replica) -> bool:
    await replica.look()
    return replica.is_fresh


async def test_a_replica_is_fresh_for_as_long_as_it_is_known_to_have_what_was_committed() -> None:
    async with running_pair(is_synchronous=False) as pair:
        await _roles(pair)
        async with _looked_at(pair.standby_url, pair.primary_url) as (replica, clock):
            vitals = Vitals(replica=replica)
            assert not _is_fresh(replica)
            assert vitals.replica_state == "stale"
            assert await _looks_fresh(replica)
            assert vitals.replica_state == "fresh"
            await ask(pair.standby_url, "select pg_wal_replay_pause()")
            await ask(pair.primary_url, "create table t ()")
            for clock.now_s in (1, 4, 7, 10):
                assert await _looks_fresh(replica)
            clock.now_s = 10.5
            assert not _is_fresh(replica)
            assert not await _looks_fresh(replica)
            await ask(pair.standby_url, "select pg_wal_replay_resume()")
            await _until_replayed(pair)
            await until(lambda: _looks_fresh(replica))
            # It had the look at 10.5 s, and nothing is known of what came after.
            clock.now_s = 20.5
            assert _is_fresh(replica)
            clock.now_s = 20.6
            assert not _is_fresh(replica)


async def test_without_the_primary_nobody_knows_and_after_a_promotion_it_is_none() -> None:
    async with running_pair(is_synchronous=False) as pair:
        await _roles(pair)
        async with _looked_at(pair.standby_url, pair.primary_url) as (replica, clock):
            await replica.look()
            pair.kill_primary()
            clock.now_s = LAG_S_MAX
            assert await _looks_fresh(replica)
            clock.now_s = LAG_S_MAX + 0.1
            assert not await _looks_fresh(replica)
            clock.now_s = LAG_S_MAX
            assert _is_fresh(replica)
            await pair.promote_standby()
            assert not await _looks_fresh(replica)


async def test_a_server_of_another_primary_is_no_replica(server_dsn: str) -> None:
    async with running_pair(is_synchronous=False) as pair:
        await _roles(pair)
        await _until_replayed(pair)
        async with _looked_at(pair.standby_url, server_dsn) as (replica, _):
            assert not await _looks_fresh(replica)
        async with _looked_at(pair.primary_url, pair.primary_url) as (replica, _):
            assert not await _looks_fresh(replica)


async def test_a_resolver_reads_from_a_replica_and_does_without_it(tmp_path: Path) -> None:
    async with (
        running_pair(is_synchronous=False) as pair,
        machines(tmp_path, MINTAGE_DATABASE_URL=pair.url) as fleet,
    ):
        await fleet.done("migrate")
        await _until_replayed(pair)
        web = await fleet.serve("web")
        fleet.start("mintage", "work")
        resolver = await fleet.serve("resolver", MINTAGE_REPLICA_URL=pair.standby_url)
        service = await fleet.service(web)
        async with service.client() as client:
            brand = await fleet.brand(client)
            product_id = await brand.product()
            batch_id = await _minted(brand, product_id, "first_scan")
            waiting = await brand.resolver_urls(batch_id, 3)
            active_id = await _minted(brand, product_id, "active_at_mint")
            active = await brand.resolver_urls(active_id, 3)
            await _until_replayed(pair)
            await until(lambda: _is_told(fleet, "the replica is read from", times=1))
            assert await _statuses(resolver, [*active, waiting[0], waiting[0]]) == {307}

            await ask(pair.standby_url, "select pg_wal_replay_pause()")
            since_id = await _minted(brand, product_id, "active_at_mint")
            minted_since = await brand.resolver_urls(since_id, 3)
            assert await _statuses(resolver, [*minted_since, waiting[1]]) == {307}
            await _revoke_first(brand, active_id)
            await until(lambda: _is_answered(resolver, active[0], 410))
            await until(lambda: _is_told(fleet, "the replica is not read from", times=1))
            await ask(pair.standby_url, "select pg_wal_replay_resume()")

            await until(lambda: _is_told(fleet, "the replica is read from", times=2))
            await _until_replayed(pair)
            pair.kill_primary()
            assert await _statuses(resolver, active[1:]) == {307}
            assert await _statuses(resolver, [active[0]]) == {410}
            assert await _statuses(resolver, waiting[2:]) == {503}
            await pair.promote_standby()
            await until(lambda: _is_answered(resolver, waiting[2], 307))
            page = await brand.rpc("list_mint_units", mint_batch_id=batch_id, limit=3)
            assert [unit["status"] for unit in page["units"]] == ["active"] * 3


async def _minted(brand: Brand, product_id: str, activation_mode: str) -> str:
    """The batch of three units minted now."""
    submitted = await brand.rpc(
        "submit_mint_request",
        product_id=product_id,
        requested_quantity=3,
        identity_mode="serial",
        activation_mode=activation_mode,
    )
    mint_batch_id: str = submitted["mint_batch_id"]
    await brand.until_minted(mint_batch_id)
    return mint_batch_id


async def _statuses(resolver: str, urls: list[str]) -> set[int]:
    return {(await scan(resolver, url)).status_code for url in urls}


async def _is_answered(resolver: str, url: str, status: int) -> bool:
    return await _statuses(resolver, [url]) == {status}


async def _is_told(fleet: Machines, event: str, *, times: int) -> bool:
    return fleet.logs().count(f'"{event}"') == times


async def _revoke_first(brand: Brand, mint_batch_id: str) -> None:
    page = await brand.rpc("list_mint_units", mint_batch_id=mint_batch_id, limit=1)
    await brand.rpc("revoke_mint_units", unit_ids=[page["units"][0]["id"]], reason="stolen")

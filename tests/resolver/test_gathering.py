"""Questions that go together: each answer is of a moment after its question, in a shared transaction too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mintage.db.connection import Connection, Database, Identity
from mintage.operations.resolving import AtHost, GtinSerial, Key, resolve_at_host
from mintage.resolver.gathering import Found, KeyGatherer
from mintage.settings import Limits
from tests.resolver.desk import BASE_URL, Desk


class Counted(Database):
    """Counts the transactions. As `default` says, the server isolates those that do not say how."""

    transactions = 0
    default = "read committed"

    @asynccontextmanager
    async def transaction(self, identity: Identity, **named: Any) -> AsyncIterator[Connection]:
        self.transactions += 1
        async with self.pool.acquire() as connection:
            await connection.execute(f"set default_transaction_isolation = '{self.default}'")
        async with super().transaction(identity, **named) as connection:
            yield connection


@pytest.mark.parametrize("default", ["read committed", "repeatable read"])
async def test_a_query_sees_what_was_committed_since_the_one_before_it_in_its_transaction(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, default: str
) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    _, _, gtin14, _, serial = path.split("/")
    key = GtinSerial(gtin14, serial)
    host = BASE_URL.partition("://")[2]
    database = Counted(desk.world.platform.database.pool, statement_timeout_s=30)
    database.default = default
    gatherer = KeyGatherer(database, Limits())
    later: list[asyncio.Task[Found | None]] = []

    async def resolve_and_void(
        connection: Connection, host: str, keys: Sequence[Key]
    ) -> AtHost | None:
        found = await resolve_at_host(connection, host, keys)
        if not later:
            await desk.void(minted["mint_batch_id"])
            later.append(asyncio.create_task(gatherer.find(host, key)))
            await asyncio.sleep(0)
        return found

    monkeypatch.setattr("mintage.resolver.gathering.resolve_at_host", resolve_and_void)
    before = await gatherer.find(host, key)
    after = await later[0]
    await asyncio.sleep(0)
    assert [_status(before), _status(after)] == ["active", "revoked"]
    assert database.transactions == 1


async def test_the_next_query_goes_out_before_those_of_the_one_before_are_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    _, _, gtin14, _, serial = path.split("/")
    key = GtinSerial(gtin14, serial)
    host = BASE_URL.partition("://")[2]
    gatherer = KeyGatherer(desk.world.platform.database, Limits())
    told: list[Found | BaseException | None] = []
    queries: list[tuple[int, int]] = []

    async def resolve_and_note(
        connection: Connection, host: str, keys: Sequence[Key]
    ) -> AtHost | None:
        queries.append((len(keys), len(told)))
        return await resolve_at_host(connection, host, keys)

    monkeypatch.setattr("mintage.resolver.gathering.resolve_at_host", resolve_and_note)
    for _ in range(100):
        gatherer.ask(host, key, told.append)
    async with asyncio.timeout(30):
        while len(told) < 100:
            await asyncio.sleep(0.01)
    assert [keys for keys, _ in queries] == [50, 32, 18]
    assert queries[0][1] == queries[1][1] == 0
    assert {_status(found) for found in told if not isinstance(found, BaseException)} == {"active"}


def _status(found: Found | None) -> str | None:
    assert found is not None
    _, subject = found
    assert subject is not None
    return subject.status

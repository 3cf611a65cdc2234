"""What the resolver reads from a replica, and for what it asks the primary.

The replica here is the database as it was at one moment; real ones are in tests/machines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from mintage.db.connection import Connection, Database, Identity
from mintage.db.replica import Replica
from mintage.operations.resolving import (
    BatchId,
    BrandHost,
    Gtin,
    GtinLot,
    GtinSerial,
    Key,
    Subject,
)
from mintage.resolver.gathering import Found, TooManyWaiting
from mintage.resolver.reading import Reader, is_final
from tests.resolver.desk import HOST, NOW, Desk

BRAND_HOST = BrandHost(uuid4(), "Acme", "https://acme.example.com", NOW)
GTIN = "09506000134352"
SERIAL, LOT = GtinSerial(GTIN, "A-1"), GtinLot(GTIN, "L1")
PRODUCT, OTHER = uuid4(), uuid4()


class Frozen(Database):
    """A database as it was when `freeze` was called: all that a replica knows which replays no more."""

    questions = 0

    async def freeze(self) -> None:
        self._turn = asyncio.Lock()
        self._frozen = await self.pool.acquire()
        await self._frozen.execute("begin isolation level repeatable read, read only; select 1")

    async def thaw(self) -> None:
        await self.pool.release(self._frozen)

    @asynccontextmanager
    async def transaction(self, identity: Identity, **_: Any) -> AsyncIterator[Connection]:
        async with self._turn:
            self.questions += 1
            await self._frozen.execute(identity.statements())
            yield self._frozen


class FreshUntilItFails(Replica):
    is_well = True

    @property
    def is_fresh(self) -> bool:
        return self.is_well

    def failed(self, error: BaseException) -> None:
        self.is_well = False


@pytest_asyncio.fixture
async def frozen(desk: Desk) -> AsyncIterator[Frozen]:
    """Freeze it when the replica is to stand still."""
    found = Frozen(desk.world.platform.database.pool, statement_timeout_s=30)
    yield found
    await found.thaw()


def _desk_with(desk: Desk, frozen: Database) -> tuple[Desk, FreshUntilItFails]:
    told = FreshUntilItFails(frozen, desk.resolver.database, lag_s_max=10)
    return replace(desk, resolver=replace(desk.resolver, replica=told)), told


async def _with_status(desk: Desk, path: str) -> int:
    async with desk.phone() as phone:
        return (await phone.get(path)).status_code


async def test_what_is_active_is_answered_by_the_replica_alone(desk: Desk, frozen: Frozen) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    await frozen.freeze()
    away = Frozen(desk.world.platform.database.pool, statement_timeout_s=30)
    there, told = _desk_with(replace(desk, resolver=replace(desk.resolver, database=away)), frozen)
    async with there.phone() as phone:
        answer = await phone.get(path)
        assert answer.status_code == 307
        page = await phone.get(answer.headers["location"])
    assert (page.status_code, told.is_fresh, away.questions) == (200, True, 0)
    assert frozen.questions > 1
    assert await desk.outcomes() == ["already_active"]


async def test_a_first_scan_activates_on_the_primary_and_so_does_no_second(
    desk: Desk, frozen: Frozen
) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    await frozen.freeze()
    there, _ = _desk_with(desk, frozen)
    assert [await _with_status(there, path) for _ in range(3)] == [307] * 3
    assert await desk.outcomes() == ["activated", "already_active", "already_active"]
    assert frozen.questions == 3


async def test_what_the_replica_does_not_have_yet_is_found_on_the_primary(
    desk: Desk, frozen: Frozen
) -> None:
    await desk.world.product()
    await frozen.freeze()
    there, told = _desk_with(desk, frozen)
    minted = await desk.world.minted(2)
    paths = await desk.urls(minted["mint_batch_id"])
    assert [await _with_status(there, path) for path in paths] == [307, 307]
    assert await _with_status(there, f"/mu/{uuid4()}") == 404
    assert told.is_fresh


async def test_a_unit_revoked_before_its_first_scan_is_never_shown_as_genuine(
    desk: Desk, frozen: Frozen
) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    await frozen.freeze()
    there, _ = _desk_with(desk, frozen)
    await desk.void(minted["mint_batch_id"])
    assert await _with_status(there, path) == 410


async def test_a_revoked_unit_is_refused_as_soon_as_the_replica_is_not_fresh(
    desk: Desk, frozen: Frozen
) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    await frozen.freeze()
    there, told = _desk_with(desk, frozen)
    await desk.void(minted["mint_batch_id"])
    assert await _with_status(there, path) == 307
    told.is_well = False
    assert await _with_status(there, path) == 410


class Failing(Database):
    """A replica whose every query is cancelled, as replay does it."""

    @asynccontextmanager
    async def transaction(self, identity: Identity, **_: Any) -> AsyncIterator[Connection]:
        async with super().transaction(identity) as connection:
            await connection.execute("do $$ begin raise serialization_failure; end $$")
            yield connection


async def test_a_replica_that_fails_is_left_alone_and_the_primary_answers(desk: Desk) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    failing = Failing(desk.world.platform.database.pool, statement_timeout_s=30)
    there, told = _desk_with(desk, failing)
    async with there.phone() as phone:
        answer = await phone.get(path)
        assert (answer.status_code, told.is_fresh) == (307, False)
        told.is_well = True
        page = await phone.get(answer.headers["location"])
    assert (page.status_code, told.is_fresh) == (200, False)


def _lot(mint_lot_id: UUID | None) -> Subject:
    return Subject(PRODUCT, "active" if mint_lot_id else None, OTHER, mint_lot_id)


@pytest.mark.parametrize(
    ("key", "subject", "expected"),
    [
        (SERIAL, None, False),
        (SERIAL, Subject(PRODUCT, "minted", OTHER, None, OTHER), False),
        (SERIAL, Subject(PRODUCT, "active", OTHER, None, OTHER), True),
        (SERIAL, Subject(PRODUCT, "revoked", OTHER, None, OTHER), True),
        (LOT, _lot(OTHER), True),
        (LOT, _lot(None), False),
        (Gtin(GTIN), Subject(PRODUCT), True),
        (BatchId(OTHER), Subject(PRODUCT, None, OTHER), True),
        (None, None, True),
    ],
    ids=[
        "a serial that is not there",
        "a unit that waits for its first scan",
        "an active unit",
        "a revoked unit",
        "an active lot",
        "a lot that led to its product",
        "a product",
        "a batch",
        "a host alone",
    ],
)
def test_the_primary_is_asked_for_what_may_be_newer(
    key: Key | None, subject: Subject | None, expected: bool
) -> None:
    assert is_final(key, (BRAND_HOST, subject)) is expected


def test_a_host_that_the_replica_does_not_know_is_asked_of_the_primary() -> None:
    assert not is_final(SERIAL, None)


async def test_too_many_questions_do_not_move_on_to_the_primary(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Key | None] = []

    async def refuse(_gatherer: object, _host: str, key: Key | None) -> Found | None:
        asked.append(key)
        raise TooManyWaiting

    monkeypatch.setattr("mintage.resolver.gathering.KeyGatherer.find", refuse)
    _, told = _desk_with(desk, desk.resolver.database)
    with pytest.raises(TooManyWaiting):
        await Reader(desk.resolver.database, told, desk.resolver.limits).find(HOST, SERIAL)
    assert (asked, told.is_fresh) == ([SERIAL], True)

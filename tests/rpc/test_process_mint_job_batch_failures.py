"""process_mint_job_batch when a cycle fails: attempts, back-off, FAILED, and what is no attempt.

Lapsed leases and workers that come too late are in `tests/concurrency/test_late_workers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from mintage.errors import UNAVAILABLE
from mintage.operations import leases, mint_execution
from mintage.operations.mint_chunks import ChunkPlan, build_chunk
from mintage.operations.mint_claims import Claim
from mintage.rules.unit_ids import unit_id_bounds
from tests.support.minting import (
    allocated,
    batch_of,
    broken_cycles,
    broken_invariants,
    counts,
    cycle,
    drained,
    event_types_of,
    events_of,
    execute,
    item_of,
    job_of,
    production_batch,
    units_of,
    with_limits,
)
from tests.support.refusals import refused_with
from tests.support.waiting import WAITERS, until_somebody_waits
from tests.support.world import World

FAILED_KEYS = ["ok", "status", "attempts", "error", "done"]


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, job_lease_s=3600.0)


async def _submitted(world: World, quantity: int = 10, **more: Any) -> dict[str, Any]:
    return await world.submit(await world.product(), quantity, **more)


async def _item(world: World, submitted: dict[str, Any]) -> dict[str, Any]:
    item = await item_of(world, submitted)
    assert item is not None
    return item


# Attempts


async def test_a_failed_cycle_is_an_answer_with_a_code_and_no_word_of_the_exception(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world)
    with broken_cycles(monkeypatch):
        answer = await cycle(world, submitted)
    assert list(answer) == FAILED_KEYS
    assert (answer["ok"], answer["status"], answer["done"]) == (False, "RESERVED", False)
    assert (answer["attempts"], answer["error"]["code"]) == (1, "INTERNAL")
    assert list(answer["error"]) == ["code", "message"]
    assert "ink" not in answer["error"]["message"]
    job = await job_of(world, submitted)
    assert (job["attempts"], job["last_error"]) == (1, "INTERNAL")
    assert await event_types_of(world, submitted) == ["mint_requested", "mint_job_started"]
    assert await units_of(world, submitted) == []


async def test_the_third_failure_fails_the_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world)
    with broken_cycles(monkeypatch):
        answers = [await cycle(world) for _ in range(3)]
    assert [answer["attempts"] for answer in answers] == [1, 2, 3]
    assert [answer["status"] for answer in answers] == ["RESERVED", "RESERVED", "FAILED"]
    assert [answer["done"] for answer in answers] == [False, False, True]
    job, batch = await job_of(world, submitted), await batch_of(world, submitted)
    assert (job["status"], job["attempts"], job["last_error"]) == ("FAILED", 3, "INTERNAL")
    assert job["finished_at"] is not None
    assert (batch["status"], batch["minted_at"]) == ("failed", None)
    assert await item_of(world, submitted) is None
    failed = (await events_of(world, submitted))[-1]
    assert (failed["event_type"], failed["payload"]) == (
        "mint_job_failed",
        {"error": "INTERNAL", "attempts": 3, "minted_quantity": 0, "requested_quantity": 10},
    )
    assert await cycle(world, submitted) == answers[-1]
    assert (await cycle(world))["status"] == "IDLE"
    assert await broken_invariants(world) == {}


async def test_a_failed_job_keeps_its_units_and_gives_the_rest_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=100)
    other = await world.submit(product_id, 10, product_batch_id=source)
    submitted = await world.submit(product_id, 60, product_batch_id=source)
    await _drained_of(world, other)
    await cycle(world, submitted, batch_size=25)
    with broken_cycles(monkeypatch):
        for _ in range(3):
            await cycle(world, submitted)
    assert len(await units_of(world, submitted)) == 25
    batch = await batch_of(world, submitted)
    assert (batch["status"], batch["minted_quantity"]) == ("failed", 25)
    assert batch["allocated_quantity"] == 25
    assert await allocated(world, source) == 35
    page = await world.rpc("list_mint_units", mint_batch_id=submitted["mint_batch_id"])
    assert len(page["units"]) == 25
    assert await broken_invariants(world) == {}


async def test_a_committed_chunk_makes_the_attempts_begin_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world)
    for _ in range(3):
        with broken_cycles(monkeypatch):
            assert [(await cycle(world))["attempts"] for _ in range(2)] == [1, 2]
        await cycle(world, batch_size=2)
        job = await job_of(world, submitted)
        assert (job["status"], job["attempts"], job["last_error"]) == ("PROCESSING", 0, None)
    await drained(world)
    job = await job_of(world, submitted)
    assert (job["status"], job["attempts"], job["last_error"]) == ("COMPLETED", 0, None)
    types = await event_types_of(world, submitted)
    assert types.count("mint_job_started") == 1
    assert await broken_invariants(world) == {}


async def test_back_off_grows_and_a_named_job_does_not_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, backoff_s=(5000.0, 20000.0))
    submitted = await _submitted(world)
    with broken_cycles(monkeypatch):
        await cycle(world)
        first = await _item(world, submitted)
        assert (await cycle(world))["status"] == "IDLE"
        await cycle(world, submitted)
        second = await _item(world, submitted)
    assert 4900 < first["waits_s"] <= 5000
    assert 19900 < second["waits_s"] <= 20000
    assert (second["lease_owner"], second["attempts"]) == (None, 2)
    assert (await cycle(world))["status"] == "IDLE"
    assert (await cycle(world, submitted))["status"] == "COMPLETED"


async def test_a_job_in_back_off_holds_up_no_other_of_its_brand(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, backoff_s=(5000.0, 20000.0))
    first = await _submitted(world)
    second = await _submitted(world)
    with broken_cycles(monkeypatch):
        await cycle(world)
    assert (await cycle(world))["mint_job_id"] == second["mint_job_id"]
    assert (await job_of(world, first))["status"] == "RESERVED"


# Our codes


async def test_a_serial_that_is_there_already_is_a_collision(world: World) -> None:
    submitted = await _submitted(world, 3, serials=["A", "B", "C"])
    squatter = uuid4()
    await _squat(world, squatter, "B")
    answers = [await cycle(world, submitted) for _ in range(3)]
    assert {answer["error"]["code"] for answer in answers} == {"SERIAL_COLLISION"}
    assert (await job_of(world, submitted))["last_error"] == "SERIAL_COLLISION"
    assert (await events_of(world, submitted))[-1]["payload"]["error"] == "SERIAL_COLLISION"
    assert await units_of(world, submitted) == []


async def test_a_collision_that_is_cleared_away_is_got_over(world: World) -> None:
    submitted = await _submitted(world, 3, serials=["A", "B", "C"])
    squatter = uuid4()
    await _squat(world, squatter, "C")
    assert (await cycle(world, submitted, batch_size=2))["ok"]
    assert (await cycle(world, submitted))["error"]["code"] == "SERIAL_COLLISION"
    assert (await cycle(world, submitted))["status"] == "PROCESSING"
    await execute(world, "delete from mint_unit where id = $1", squatter)
    assert (await cycle(world, submitted))["status"] == "COMPLETED"
    assert await broken_invariants(world) == {}


async def test_a_unit_that_does_not_belong_in_the_chunk_fails_its_check(world: World) -> None:
    submitted = await _submitted(world, 10)
    batch = await batch_of(world, submitted)
    lowest, _ = unit_id_bounds(batch["unit_id_low"], 10, 7, 1)
    await _squat(world, lowest, None)
    assert (await cycle(world, submitted, batch_size=5))["ok"]
    answer = await cycle(world, submitted)
    assert (answer["ok"], answer["status"]) == (False, "PROCESSING")
    assert answer["error"]["code"] == "INTEGRITY_CHECK_FAILED"
    assert len(await units_of(world, submitted)) == 5
    await execute(world, "delete from mint_unit where id = $1", lowest)
    assert (await cycle(world, submitted))["status"] == "COMPLETED"
    assert await broken_invariants(world) == {}


async def test_a_chunk_that_lacks_a_unit_is_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COPY of fewer rows than due: the count in the closing statement sees it."""
    submitted = await _submitted(world, 10)

    async def build_short(_: object, claim: Claim, plan: ChunkPlan) -> bytearray:
        return build_chunk(replace(plan, count=plan.count - 1), None, claim.now)

    with monkeypatch.context() as patch:
        patch.setattr(mint_execution, "_chunk_of", build_short)
        answer = await cycle(world, submitted)
    assert answer["error"]["code"] == "INTEGRITY_CHECK_FAILED"
    assert await units_of(world, submitted) == []


async def test_serials_that_are_not_registered_are_an_internal_error(world: World) -> None:
    submitted = await _submitted(world, 3, serials=["A", "B", "C"])
    await execute(world, "delete from serial_registry where serial_number = 'B'")
    assert (await cycle(world, submitted))["error"]["code"] == "INTERNAL"
    assert await units_of(world, submitted) == []


# What is no attempt


async def test_a_lost_connection_is_no_attempt(world: World) -> None:
    submitted = await _submitted(world)
    async with _held(world, submitted):
        running = asyncio.create_task(cycle(world))
        await until_somebody_waits(world)
        await execute(
            world,
            f"select pg_terminate_backend(pid) from ({WAITERS}) as waiter where pid <> pg_backend_pid()",
        )
        await refused_with(UNAVAILABLE, running)
    item = await _item(world, submitted)
    assert (item["attempts"], item["lease_owner"], item["lease_until"]) == (0, None, None)
    assert await units_of(world, submitted) == []
    assert (await cycle(world))["status"] == "COMPLETED"


async def test_a_shutdown_in_the_middle_is_no_attempt_and_gives_the_lease_back(
    world: World,
) -> None:
    submitted = await _submitted(world)
    async with _held(world, submitted):
        running = asyncio.create_task(cycle(world))
        await until_somebody_waits(world)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    item = await _item(world, submitted)
    assert (item["attempts"], item["lease_owner"]) == (0, None)
    assert (await cycle(world))["status"] == "COMPLETED"
    assert await broken_invariants(world) == {}


async def test_a_lease_that_cannot_be_given_back_at_once_is_given_back_before_the_next_claim(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world)

    async def away(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(mint_execution, "_work", away)
        patch.setattr(leases, "_GIVE_BACK", "select pg_terminate_backend(pg_backend_pid())")
        await refused_with(UNAVAILABLE, cycle(world))
    assert (await _item(world, submitted))["lease_owner"] is not None
    assert (await cycle(world))["status"] == "COMPLETED"
    assert (await job_of(world, submitted))["attempts"] == 0


async def test_a_cycle_that_dies_in_its_closing_leaves_no_unit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world, identity_mode="batch")
    before = await counts(world)
    close = mint_execution._close

    async def close_and_die(*facts: Any) -> None:
        await close(*facts)
        raise RuntimeError("no power")

    with monkeypatch.context() as patch:
        patch.setattr(mint_execution, "_close", close_and_die)
        assert (await cycle(world))["ok"] is False
    after = await counts(world)
    assert after | {"mint_event": 0} == before | {"mint_event": 0}
    assert await event_types_of(world, submitted) == ["mint_requested", "mint_job_started"]
    assert (await cycle(world))["status"] == "COMPLETED"
    assert await broken_invariants(world) == {}


# What should not be


async def test_an_item_without_a_job_that_can_run_holds_up_nobody(world: World) -> None:
    stray = await _submitted(world)
    await execute(
        world,
        "update mint_job set status = 'FAILED', last_error = 'INTERNAL', finished_at = now() where id = $1",
        stray["mint_job_id"],
    )
    other = await _submitted(world)
    await cycle(world)
    assert await item_of(world, stray) is None
    assert (await cycle(world))["mint_job_id"] == other["mint_job_id"]
    assert (await cycle(world, stray))["status"] == "FAILED"


async def _squat(world: World, unit_id: UUID, serial: str | None) -> None:
    await execute(
        world,
        "insert into mint_unit (brand_id, id, mint_batch_id, unit_no, serial_number, created_at) "
        "values ($1, $2, $3, 0, $4, now())",
        world.brand_id,
        unit_id,
        uuid4(),
        serial,
    )


@asynccontextmanager
async def _held(world: World, submitted: dict[str, Any]) -> AsyncIterator[None]:
    """The batch's row is locked: a cycle gets as far as its closing statement."""
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute(
            "select from mint_batch where id = $1 for update", submitted["mint_batch_id"]
        )
        yield
        await holder.execute("rollback")


async def _drained_of(world: World, submitted: dict[str, Any]) -> None:
    while not (await cycle(world, submitted))["done"]:
        pass

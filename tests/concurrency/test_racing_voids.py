"""Voids that race with whatever else changes a batch: each ends as if one had come after the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mintage.operations import mint_execution
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import UnitId
from mintage.storage import PackStore, open_pack_store
from tests.support.figures import folded_figures, recounted
from tests.support.minting import (
    allocated,
    batch_of,
    broken_cycles,
    broken_invariants,
    claimed,
    cycle,
    drained,
    job_of,
    production_batch,
    rows,
    transactions,
    units_of,
    value,
    with_limits,
)
from tests.support.refusals import raced
from tests.support.scans import scan
from tests.support.waiting import until_somebody_waits
from tests.support.world import World

LOCKED_BY_A_VOID = ("work_item", "mint_job", "mint_batch", "product_batch")


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


async def _void(world: World, submitted: dict[str, Any]) -> dict[str, Any]:
    return await world.rpc(
        "set_mint_batch_status", mint_batch_id=submitted["mint_batch_id"], status="voided"
    )


async def _holds(world: World) -> None:
    """Nothing is out of joint, and the figures are a recount."""
    assert await broken_invariants(world) == {}
    assert await folded_figures(world) == await recounted(world)


async def _after(seconds: float, asked: Awaitable[Any]) -> Any:
    await asyncio.sleep(seconds)
    return await asked


async def test_a_void_waits_for_a_closing_and_keeps_its_units(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing holds the work item first: what it made is minted, and revoked."""
    submitted = await world.submit(await world.product(), 10)
    claim = await claimed(world)
    close = mint_execution._close
    has_closed, may_commit = asyncio.Event(), asyncio.Event()

    async def close_slowly(*facts: Any) -> None:
        await close(*facts)
        has_closed.set()
        await may_commit.wait()

    monkeypatch.setattr(mint_execution, "_close", close_slowly)
    closing = asyncio.create_task(mint_execution._work(transactions(world), claim, 4))
    await has_closed.wait()
    voiding = asyncio.create_task(_void(world, submitted))
    await until_somebody_waits(world)
    may_commit.set()
    assert (await closing)["minted_quantity"] == 4
    assert (await voiding)["previous_status"] == "processing"
    assert len(await units_of(world, submitted)) == 4
    await _holds(world)


async def test_a_cycle_that_comes_to_close_after_a_void_keeps_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await world.submit(await world.product(), 10)
    close = mint_execution._close
    has_copied, may_close = asyncio.Event(), asyncio.Event()

    async def close_late(*facts: Any) -> None:
        has_copied.set()
        await may_close.wait()
        await close(*facts)

    monkeypatch.setattr(mint_execution, "_close", close_late)
    cycling = asyncio.create_task(cycle(world, submitted))
    await has_copied.wait()
    await _void(world, submitted)
    may_close.set()
    answer = await cycling
    assert (answer["ok"], answer["status"], answer["error"]["code"], answer["done"]) == (
        False,
        "FAILED",
        "VOIDED",
        True,
    )
    assert await units_of(world, submitted) == []
    assert (await job_of(world, submitted))["last_error"] == "VOIDED"
    await _holds(world)


async def test_voids_among_cycles(world: World) -> None:
    dice = random.Random(7)  # noqa: S311
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=400)
    batches = [await world.submit(product_id, 40, product_batch_id=source) for _ in range(10)]
    workers = [drained(world, batch_size=7) for _ in range(3)]
    voids = [_after(dice.random() / 2, _void(world, batch)) for batch in batches[::2]]
    results = await asyncio.gather(*workers, *voids)
    await drained(world)
    assert all(answer["ok"] for answer in results[3:])
    statuses = [(await batch_of(world, batch))["status"] for batch in batches]
    assert statuses == ["voided", "minted"] * 5
    assert await allocated(world, source) == 200
    await _holds(world)


async def test_racing_voids_of_one_batch_void_it_once(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    submitted = await world.submit(product_id, 10, product_batch_id=source)
    answers, errors = await raced(*(_void(world, submitted) for _ in range(8)))
    assert not errors
    assert sorted(answer["previous_status"] for answer in answers) == ["queued"] + ["voided"] * 7
    assert await allocated(world, source) == 0
    assert (
        await value(
            world,
            "select count(*) from mint_event where event_type = 'mint_batch_status_changed'",
        )
        == 1
    )
    await _holds(world)


async def test_a_void_frees_quantity_for_a_racing_submit_or_comes_too_late(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=30)
    batches = [await world.submit(product_id, 10, product_batch_id=source) for _ in range(3)]
    submits = [world.submit(product_id, 10, product_batch_id=source) for _ in range(8)]
    voids = [_void(world, batch) for batch in batches]
    answers, errors = await raced(*submits[:4], *voids, *submits[4:])
    assert not errors
    made = [answer for answer in answers if answer.get("is_duplicate") is False]
    assert len(made) <= 3
    assert await allocated(world, source) == 10 * len(made)
    await _holds(world)


async def test_a_void_waits_for_a_pack_that_is_closed_and_fails_the_rest(
    world: World, store: PackStore
) -> None:
    world = with_limits(world, pack_units=2)
    minted = await world.minted(20)
    await world.rpc("request_payload_packs", mint_batch_id=minted["mint_batch_id"])

    async def pack_all() -> None:
        while (await process_payload_pack(transactions(world), store)).result != "idle":
            pass

    await asyncio.gather(pack_all(), pack_all(), _after(0.02, _void(world, minted)))
    packs = await rows(world, "select * from payload_pack order by pack_index")
    assert {pack["status"] for pack in packs} <= {"completed", "failed"}
    assert {pack["error"] for pack in packs} <= {None, "BATCH_VOIDED"}
    assert (await batch_of(world, minted))["status"] == "voided"
    assert await value(world, "select count(*) from work_item") == 0
    await _holds(world)


async def test_a_pack_that_is_written_while_its_batch_is_voided_is_not_kept(
    world: World, store: PackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minted = await world.minted(5)
    await world.rpc("request_payload_packs", mint_batch_id=minted["mint_batch_id"])
    put = store.put

    async def put_and_void(*given: Any, **named: Any) -> Any:
        written = await put(*given, **named)
        await _void(world, minted)
        return written

    monkeypatch.setattr(
        type(store), "put", lambda _, *given, **named: put_and_void(*given, **named)
    )
    assert (await process_payload_pack(transactions(world), store)).result == "lost"
    pack = (await rows(world, "select * from payload_pack"))[0]
    assert (pack["status"], pack["error"]) == ("failed", "BATCH_VOIDED")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await _holds(world)


async def test_packs_that_are_asked_for_while_a_batch_is_voided_are_none_or_fail(
    world: World,
) -> None:
    for _ in range(6):
        minted = await world.minted(5, gtin=None)
        asked = world.rpc("request_payload_packs", mint_batch_id=minted["mint_batch_id"])
        answers, errors = await raced(asked, _void(world, minted))
        assert not errors
        assert answers[1]["ok"] is True
    assert await value(world, "select count(*) from work_item") == 0
    assert (
        await value(
            world, "select count(*) from payload_pack where status in ('pending', 'generating')"
        )
        == 0
    )
    await _holds(world)


async def test_a_request_for_packs_that_waits_for_a_void_is_refused(world: World) -> None:
    minted = await world.minted(5)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute("select from mint_batch for no key update")
        asking = asyncio.create_task(
            world.rpc("request_payload_packs", mint_batch_id=minted["mint_batch_id"])
        )
        await until_somebody_waits(world)
        await holder.execute("update mint_batch set status = 'voided', voided_at = now()")
        await holder.execute("commit")
    (reason,) = (await asking)["blocking_reasons"]
    assert reason["code"] == "BATCH_VOIDED"


async def test_retries_and_voids_of_one_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, attempts_max=1)
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=100)
    for turn in range(8):
        submitted = await world.submit(product_id, 10, product_batch_id=source)
        with broken_cycles(monkeypatch):
            await cycle(world, submitted)
        retry = world.rpc("retry_mint_job", mint_job_id=submitted["mint_job_id"])
        deeds = [retry, _void(world, submitted)]
        answers, errors = await raced(*(deeds if turn % 2 else reversed(deeds)))
        assert not errors
        assert len(answers) == 2
        assert (await batch_of(world, submitted))["status"] == "voided"
        assert (await job_of(world, submitted))["status"] == "FAILED"
    assert await allocated(world, source) == 0
    await _holds(world)


async def test_scans_and_revocations_while_a_batch_is_voided(world: World) -> None:
    minted = await world.minted(30)
    ids = [unit["id"] for unit in await units_of(world, minted)]

    async def scanned(unit_id: Any) -> dict[str, Any]:
        return {"outcome": await scan(world, UnitId(unit_id))}

    def revoked(start: int) -> Awaitable[dict[str, Any]]:
        return world.rpc("revoke_mint_units", unit_ids=ids[start : start + 3], reason="lost")

    scans = [scanned(unit_id) for unit_id in ids]
    answers, errors = await raced(
        *scans[:12], revoked(0), _void(world, minted), *scans[12:], revoked(20)
    )
    assert not errors
    assert len(answers) == 33
    await _holds(world)
    assert (await folded_figures(world))["units_revoked"] == 30
    assert (await folded_figures(world))["units_active"] == 0


@pytest.mark.parametrize("table", LOCKED_BY_A_VOID)
async def test_a_void_locks_in_order(world: World, table: str) -> None:
    """It runs into a row that somebody holds, and holds rows of the tables before, none of those after."""
    product_id = await world.product()
    source = await production_batch(world, product_id)
    submitted = await world.submit(product_id, 10, product_batch_id=source)
    held = set()
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin")
        await holder.execute(f"select from {table} for no key update")
        voiding = asyncio.create_task(_void(world, submitted))
        await until_somebody_waits(world)
        for other in LOCKED_BY_A_VOID:
            async with world.platform.database.pool.acquire() as looker:
                try:
                    await looker.execute(f"select from {other} for update nowait")
                except asyncpg.LockNotAvailableError:
                    held.add(other)
        await holder.execute("rollback")
    assert (await voiding)["status"] == "voided"
    place = LOCKED_BY_A_VOID.index(table)
    assert held == set(LOCKED_BY_A_VOID[: place + 1])

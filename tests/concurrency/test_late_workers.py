"""Leases that lapse, and workers that come too late: each lapse is an attempt, and late is never."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mintage.operations import mint_claims, mint_execution
from mintage.operations.mint_claims import Claim
from tests.support.minting import (
    batch_of,
    broken_cycles,
    broken_invariants,
    claimed,
    counts,
    cycle,
    drained,
    event_types_of,
    events_of,
    item_of,
    job_of,
    let_leases_lapse,
    units_of,
    with_limits,
)
from tests.support.waiting import until_somebody_waits
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


async def test_a_lapsed_lease_is_an_attempt_and_the_work_goes_on(world: World) -> None:
    submitted = await _submitted(world)
    await claimed(world)
    assert (await cycle(world))["status"] == "IDLE"
    await let_leases_lapse(world)
    claim = await claimed(world)
    item = await _item(world, submitted)
    assert (claim.epoch, item["attempts"]) == (2, 1)
    assert (await job_of(world, submitted))["attempts"] == 1
    await let_leases_lapse(world)
    assert (await cycle(world))["status"] == "COMPLETED"
    assert (await event_types_of(world, submitted)).count("mint_job_started") == 1


async def test_the_third_lapsed_lease_fails_the_job(world: World) -> None:
    submitted = await _submitted(world)
    await cycle(world, submitted, batch_size=4)
    for _ in range(3):
        await claimed(world)
        await let_leases_lapse(world)
    answer = await cycle(world)
    assert list(answer) == FAILED_KEYS
    assert (answer["status"], answer["attempts"], answer["done"]) == ("FAILED", 3, True)
    assert answer["error"]["code"] == "LEASE_LOST"
    assert (await events_of(world, submitted))[-1]["payload"] == {
        "error": "LEASE_LOST",
        "attempts": 3,
        "minted_quantity": 4,
        "requested_quantity": 10,
    }
    assert await item_of(world, submitted) is None
    assert await broken_invariants(world) == {}


async def test_failed_cycles_and_lapsed_leases_count_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world)
    with broken_cycles(monkeypatch):
        await cycle(world)
        await claimed(world)
        await let_leases_lapse(world)
        answer = await cycle(world)
    assert (answer["status"], answer["attempts"]) == ("FAILED", 3)
    assert (await job_of(world, submitted))["last_error"] == "INTERNAL"


@pytest.mark.parametrize(
    "more", [{}, {"serials": [f"S{n}" for n in range(10)]}], ids=["own", "brought"]
)
async def test_a_worker_that_comes_too_late_closes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    submitted = await _submitted(world, **more)
    late = await claimed(world)
    await let_leases_lapse(world)
    await cycle(world, batch_size=4)
    before = await _picture(world, submitted)
    answer = await _go_on(world, monkeypatch, late)
    assert list(answer) == FAILED_KEYS
    assert (answer["status"], answer["done"]) == ("PROCESSING", False)
    assert answer["error"]["code"] == "LEASE_LOST"
    assert await _picture(world, submitted) == before
    await drained(world)
    finished = await _picture(world, submitted)
    answer = await _go_on(world, monkeypatch, late)
    assert (answer["status"], answer["error"]["code"], answer["done"]) == (
        "COMPLETED",
        "LEASE_LOST",
        True,
    )
    assert await _picture(world, submitted) == finished
    assert await broken_invariants(world) == {}


async def test_a_late_worker_books_no_attempt_on_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world)
    late = await claimed(world)
    await let_leases_lapse(world)
    await claimed(world)
    before = await _item(world, submitted)
    with broken_cycles(monkeypatch):
        answer = await _go_on(world, monkeypatch, late)
    assert (answer["ok"], answer["error"]["code"]) == (False, "LEASE_LOST")
    after = await _item(world, submitted)
    assert after | {"waits_s": 0} == before | {"waits_s": 0}


async def test_a_worker_whose_lease_lapsed_but_was_not_taken_may_still_close(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _submitted(world)
    late = await claimed(world)
    await let_leases_lapse(world)
    assert (await _go_on(world, monkeypatch, late))["status"] == "COMPLETED"
    assert len(await units_of(world, submitted)) == 10
    assert await broken_invariants(world) == {}


async def test_both_workers_in_the_middle_of_the_same_serials_close_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late one has copied its rows and waits for the closing; the other's COPY waits for it."""
    submitted = await _submitted(world, 3, serials=["A", "B", "C"])
    late = await claimed(world)
    await let_leases_lapse(world)
    close = mint_execution._close
    may_close, has_copied = asyncio.Event(), asyncio.Event()

    async def close_late(*facts: Any) -> None:
        has_copied.set()
        await may_close.wait()
        await close(*facts)

    monkeypatch.setattr(mint_execution, "_close", close_late)
    late_cycle = asyncio.create_task(_go_on(world, monkeypatch, late))
    await has_copied.wait()
    monkeypatch.setattr(mint_execution, "_close", close)
    other_cycle = asyncio.create_task(cycle(world))
    await until_somebody_waits(world)
    may_close.set()
    assert (await late_cycle)["error"]["code"] == "LEASE_LOST"
    assert (await other_cycle)["status"] == "COMPLETED"
    units = await units_of(world, submitted)
    assert [unit["serial_number"] for unit in units] == ["A", "B", "C"]
    assert await broken_invariants(world) == {}


async def _go_on(world: World, monkeypatch: pytest.MonkeyPatch, claim: Claim) -> Any:
    """The worker that has `claim` since long does its cycle now."""

    claim_anew = mint_claims.claim_job

    async def claim_of_old(*_: object) -> Claim:
        monkeypatch.setattr(mint_execution, "claim_job", claim_anew)
        return claim

    monkeypatch.setattr(mint_execution, "claim_job", claim_of_old)
    return await cycle(world)


async def _picture(world: World, submitted: dict[str, Any]) -> list[Any]:
    """All that a cycle writes."""
    return [
        await job_of(world, submitted),
        await batch_of(world, submitted),
        await units_of(world, submitted),
        await events_of(world, submitted),
        await counts(world),
    ]

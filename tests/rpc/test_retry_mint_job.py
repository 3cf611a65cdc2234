"""retry_mint_job: a FAILED job goes on behind what it has minted, if its quantity is still to be had."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from mintage.errors import SUBJECT_NOT_FOUND
from tests.support.minting import (
    allocated,
    batch_of,
    broken_cycles,
    broken_invariants,
    counts,
    cycle,
    drained,
    event_types_of,
    execute,
    item_of,
    job_of,
    production_batch,
    units_of,
    with_limits,
)
from tests.support.refusals import blocked_by, payloads, raced, refused_with
from tests.support.world import World


@pytest.fixture
def world(world: World) -> World:
    """The first failure is the last."""
    return with_limits(world, attempts_max=1)


async def _failed(
    world: World, monkeypatch: pytest.MonkeyPatch, minted: int = 4, **more: Any
) -> dict[str, Any]:
    """A job of 10 that has FAILED after `minted` units."""
    product_id = more.pop("product_id", None) or await world.product()
    submitted = await world.submit(product_id, 10, **more)
    if minted:
        await cycle(world, submitted, batch_size=minted)
    with broken_cycles(monkeypatch):
        assert (await cycle(world, submitted))["status"] == "FAILED"
    return submitted


async def _retry(world: World, submitted: dict[str, Any]) -> dict[str, Any]:
    return await world.rpc("retry_mint_job", mint_job_id=submitted["mint_job_id"])


@pytest.mark.parametrize("minted", [0, 4])
@pytest.mark.parametrize("mode", ["serial", "batch"])
async def test_a_failed_job_goes_on_where_it_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch, mode: str, minted: int
) -> None:
    submitted = await _failed(world, monkeypatch, minted, identity_mode=mode)
    before = await units_of(world, submitted)
    answer = await _retry(world, submitted)
    assert answer == {"ok": True, "mint_job_id": submitted["mint_job_id"], "status": "QUEUED"}
    assert list(answer) == ["ok", "mint_job_id", "status"]
    job, batch = await job_of(world, submitted), await batch_of(world, submitted)
    assert (job["status"], job["attempts"], job["last_error"], job["finished_at"]) == (
        "QUEUED",
        0,
        None,
        None,
    )
    assert (batch["status"], batch["minted_quantity"]) == ("queued", minted)
    assert await broken_invariants(world) == {}
    await drained(world, batch_size=3)
    units = await units_of(world, submitted)
    assert units[:minted] == before
    assert [unit["unit_no"] for unit in units] == list(range(10))
    assert (await job_of(world, submitted))["status"] == "COMPLETED"
    types = await event_types_of(world, submitted)
    assert (types.count("mint_job_started"), types.count("mint_job_retried")) == (1, 1)
    assert await broken_invariants(world) == {}


async def test_the_event_says_what_it_failed_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _retry(world, await _failed(world, monkeypatch))
    assert await payloads(world, "mint_job_retried") == [
        {"previous_error": "INTERNAL", "minted_quantity": 4, "requested_quantity": 10}
    ]


async def test_a_retried_job_can_fail_and_be_retried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await _failed(world, monkeypatch)
    for _ in range(2):
        await _retry(world, submitted)
        with broken_cycles(monkeypatch):
            assert (await cycle(world))["status"] == "FAILED"
    await _retry(world, submitted)
    await drained(world)
    assert len(await units_of(world, submitted)) == 10
    assert await broken_invariants(world) == {}


async def test_the_freed_quantity_is_taken_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    submitted = await _failed(world, monkeypatch, product_id=product_id, product_batch_id=source)
    assert await allocated(world, source) == 4
    await world.rpc("update_product_batch", product_batch_id=source, patch={"status": "CLOSED"})
    assert (await _retry(world, submitted))["ok"]
    assert await allocated(world, source) == 10
    assert await broken_invariants(world) == {}


async def test_a_quantity_that_is_used_by_now_refuses_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    submitted = await _failed(world, monkeypatch, product_id=product_id, product_batch_id=source)
    await world.submit(product_id, 1, product_batch_id=source)
    before = await counts(world)
    assert await blocked_by(_retry(world, submitted)) == ["BATCH_QUANTITY_EXHAUSTED"]
    assert await counts(world) == before
    assert (await job_of(world, submitted))["status"] == "FAILED"
    assert await item_of(world, submitted) is None
    await world.rpc("update_product_batch", product_batch_id=source, patch={"quantity": 11})
    assert (await _retry(world, submitted))["ok"]
    assert await broken_invariants(world) == {}


async def test_a_production_batch_that_is_not_cumulative_refuses_no_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10, is_cumulative=False)
    submitted = await _failed(world, monkeypatch, product_id=product_id, product_batch_id=source)
    await world.submit(product_id, 10, product_batch_id=source)
    assert (await _retry(world, submitted))["ok"]
    assert await broken_invariants(world) == {}


async def test_only_a_failed_job_is_eligible(world: World) -> None:
    submitted = await world.submit(await world.product())
    for status in ("QUEUED", "RESERVED", "PROCESSING", "COMPLETED", "PREFLIGHTED"):
        await execute(
            world,
            "update mint_job set status = $1, finished_at = case $1 when 'COMPLETED' then now() end",
            status,
        )
        (reason,) = (await _retry(world, submitted))["blocking_reasons"]
        assert reason["code"] == "JOB_STATUS_NOT_ELIGIBLE"
        assert reason["details"] == {"status": status}


async def test_a_voided_batchs_job_is_not_eligible(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = await world.submit(await world.product())
    failed = await _failed(world, monkeypatch)
    for submitted in (queued, failed):
        await world.rpc(
            "set_mint_batch_status", mint_batch_id=submitted["mint_batch_id"], status="voided"
        )
        assert await blocked_by(_retry(world, submitted)) == ["JOB_STATUS_NOT_ELIGIBLE"]
        assert (await job_of(world, submitted))["status"] == "FAILED"
    assert await broken_invariants(world) == {}


async def test_an_unknown_job_is_not_found(world: World) -> None:
    await refused_with(SUBJECT_NOT_FOUND, _retry(world, {"mint_job_id": uuid4()}))


async def test_of_racing_retries_one_queues_the_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    submitted = await _failed(world, monkeypatch, product_id=product_id, product_batch_id=source)
    answers, errors = await raced(*(_retry(world, submitted) for _ in range(10)))
    assert not errors
    assert [answer["ok"] for answer in answers].count(True) == 1
    assert await allocated(world, source) == 10
    assert await broken_invariants(world) == {}

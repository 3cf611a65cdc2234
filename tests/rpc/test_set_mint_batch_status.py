"""set_mint_batch_status: one step on, or void for good; whatever else is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest

from mintage.errors import SUBJECT_NOT_FOUND
from mintage.operations import mint_execution
from mintage.operations.mint_failures import CycleFailed
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import LotId, UnitId
from mintage.rules.lifecycle import BATCH_MOVES, BATCH_STATUSES, BatchStatus
from mintage.storage import PackStore, open_pack_store
from tests.support.minting import (
    allocated,
    batch_of,
    broken_cycles,
    broken_invariants,
    claimed,
    counts,
    cycle,
    event_types_of,
    execute,
    item_of,
    job_of,
    production_batch,
    rows,
    transactions,
    units_of,
    value,
    with_limits,
)
from tests.support.refusals import bad_arguments, blocked_by, payloads, refused_with
from tests.support.scans import scan
from tests.support.world import World

KEYS = ["ok", "mint_batch_id", "previous_status", "status"]


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


async def _set(world: World, submitted: dict[str, Any], status: str, **more: Any) -> dict[str, Any]:
    return await world.rpc(
        "set_mint_batch_status",
        mint_batch_id=submitted["mint_batch_id"],
        status=status,
        **more,
    )


async def _void(world: World, submitted: dict[str, Any], **more: Any) -> dict[str, Any]:
    return await _set(world, submitted, "voided", **more)


async def test_a_batch_goes_its_way_one_step_at_a_time(world: World) -> None:
    minted = await world.minted()
    previous = "minted"
    for status in ("exported", "printed", "applied"):
        answer = await _set(world, minted, status, reason=f"{status} by hand")
        assert list(answer) == KEYS
        assert answer == {
            "ok": True,
            "mint_batch_id": minted["mint_batch_id"],
            "previous_status": previous,
            "status": status,
        }
        assert (await batch_of(world, minted))["status"] == status
        previous = status
    assert (await payloads(world, "mint_batch_status_changed"))[::-1] == [
        {"previous_status": "minted", "status": "exported", "reason": "exported by hand"},
        {"previous_status": "exported", "status": "printed", "reason": "printed by hand"},
        {"previous_status": "printed", "status": "applied", "reason": "applied by hand"},
    ]
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("before", BATCH_STATUSES)
async def test_exactly_the_legal_moves_of_a_caller_are_made(
    world: World, before: BatchStatus
) -> None:
    minted = await world.minted(2)
    for after in get_args(BatchStatus):
        await execute(
            world,
            "update mint_batch set status = $1, voided_at = case when $1 = 'voided' then now() end",
            before,
        )
        events = await value(world, "select count(*) from mint_event")
        answer = await _set(world, minted, after)
        now = (await batch_of(world, minted))["status"]
        if after == before or after in BATCH_MOVES["caller"][before]:
            assert (answer["ok"], answer["previous_status"], now) == (True, before, after)
            is_told = after != before
        else:
            (reason,) = answer["blocking_reasons"]
            assert (answer["ok"], now) == (False, before)
            assert reason["code"] == "ILLEGAL_STATUS_TRANSITION"
            assert reason["details"] == {"status": before, "requested_status": after}
            assert before in reason["message"]
            is_told = False
        assert await value(world, "select count(*) from mint_event") == events + is_told


async def test_the_same_status_again_is_ok_and_no_event(world: World) -> None:
    minted = await world.minted()
    await _void(world, minted)
    before = await counts(world)
    assert await _void(world, minted) == {
        "ok": True,
        "mint_batch_id": minted["mint_batch_id"],
        "previous_status": "voided",
        "status": "voided",
    }
    assert await counts(world) == before


async def test_voiding_revokes_all_units_without_touching_one(world: World) -> None:
    minted = await world.minted(10)
    units = await units_of(world, minted)
    assert await scan(world, UnitId(units[0]["id"])) == "activated"
    touched = await value(world, "select count(*) from unit_state")
    answer = await _void(world, minted, reason="wrong artwork")
    assert answer["previous_status"] == "minted"
    listed = await world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    assert {unit["status"] for unit in listed["units"]} == {"revoked"}
    assert await value(world, "select count(*) from unit_state") == touched
    assert await scan(world, UnitId(units[1]["id"])) == "revoked"
    batch = await batch_of(world, minted)
    assert batch["voided_at"] is not None
    assert await payloads(world, "mint_batch_status_changed") == [
        {"previous_status": "minted", "status": "voided", "reason": "wrong artwork"}
    ]
    assert await broken_invariants(world) == {}


async def test_a_voided_batchs_lots_are_revoked(world: World) -> None:
    minted = await world.minted(4, identity_mode="batch")
    lot_id = await value(world, "select id from mint_lot")
    await _void(world, minted)
    assert await scan(world, LotId(lot_id)) == "revoked"
    assert await value(world, "select activated_at from mint_lot") is None


@pytest.mark.parametrize("minted", [0, 4])
async def test_voiding_fails_a_job_that_is_not_finished(world: World, minted: int) -> None:
    submitted = await world.submit(await world.product(), 10)
    if minted:
        await cycle(world, submitted, batch_size=minted)
    await _void(world, submitted)
    job = await job_of(world, submitted)
    assert (job["status"], job["last_error"]) == ("FAILED", "VOIDED")
    assert job["finished_at"] is not None
    assert await item_of(world, submitted) is None
    assert (await event_types_of(world, submitted))[-2:] == [
        "mint_job_failed",
        "mint_batch_status_changed",
    ]
    answer = await cycle(world, submitted)
    assert (answer["status"], answer["error"]["code"], answer["done"]) == ("FAILED", "VOIDED", True)
    assert (await cycle(world))["status"] == "IDLE"
    assert await broken_invariants(world) == {}


async def test_a_cycle_under_way_rolls_back(world: World) -> None:
    submitted = await world.submit(await world.product(), 10)
    await cycle(world, submitted, batch_size=4)
    claim = await claimed(with_limits(world, job_lease_s=3600.0))
    await _void(world, submitted)
    with pytest.raises(CycleFailed, match="LEASE_LOST"):
        await mint_execution._work(transactions(world), claim, 10)
    assert len(await units_of(world, submitted)) == 4
    assert (await job_of(world, submitted))["last_error"] == "VOIDED"
    assert await broken_invariants(world) == {}


async def test_voiding_a_failed_batch_leaves_its_jobs_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, attempts_max=1)
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    submitted = await world.submit(product_id, 10, product_batch_id=source)
    await cycle(world, submitted, batch_size=4)
    with broken_cycles(monkeypatch):
        await cycle(world, submitted)
    assert await allocated(world, source) == 4
    assert (await _void(world, submitted))["previous_status"] == "failed"
    assert await allocated(world, source) == 0
    assert (await job_of(world, submitted))["last_error"] == "INTERNAL"
    assert (await event_types_of(world, submitted)).count("mint_job_failed") == 1
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("status", ["queued", "processing", "minted", "applied"])
async def test_the_quantity_is_given_back_whole(world: World, status: str) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=10)
    submitted = await world.submit(product_id, 10, product_batch_id=source)
    for _ in range({"queued": 0, "processing": 1}.get(status, 2)):
        await cycle(world, submitted, batch_size=5)
    if status == "applied":
        for step in ("exported", "printed", "applied"):
            await _set(world, submitted, step)
    assert (await _void(world, submitted))["previous_status"] == status
    assert await allocated(world, source) == 0
    assert (await batch_of(world, submitted))["allocated_quantity"] == 0
    assert (await world.submit(product_id, 10, product_batch_id=source))["ok"]
    assert await broken_invariants(world) == {}


async def test_brought_serials_of_a_voided_batch_stay_used(world: World) -> None:
    product_id = await world.product()
    submitted = await world.submit(product_id, 2, serials=["A", "B"])
    await _void(world, submitted)
    assert await blocked_by(world.submit(product_id, 1, serials=["A"])) == ["SERIALS_NOT_UNIQUE"]


async def test_open_packs_fail_and_completed_ones_stay(world: World, store: PackStore) -> None:
    world = with_limits(world, pack_units=3)
    minted = await world.minted(10)
    batch_id = minted["mint_batch_id"]
    asked = await world.rpc("request_payload_packs", mint_batch_id=batch_id)
    assert (await process_payload_pack(transactions(world), store)).result == "completed"
    await _void(world, minted)
    packs = await rows(world, "select * from payload_pack order by pack_index")
    assert [pack["status"] for pack in packs] == ["completed", *["failed"] * 4]
    assert [pack["error"] for pack in packs] == [None, *["BATCH_VOIDED"] * 4]
    assert await value(world, "select status from export_group") == "failed"
    assert await value(world, "select count(*) from work_item") == 0
    assert (await payloads(world, "payload_pack_failed"))[::-1] == [
        {
            "export_group_id": str(asked["export_group_id"]),
            "payload_pack_id": str(pack["id"]),
            "pack_index": pack["pack_index"],
            "pack_count": 4,
            "error": "BATCH_VOIDED",
        }
        for pack in packs[1:]
    ]
    assert (await process_payload_pack(transactions(world), store)).result == "idle"
    refusal = world.rpc("request_payload_packs", mint_batch_id=batch_id)
    assert await blocked_by(refusal) == ["BATCH_VOIDED"]
    assert await broken_invariants(world) == {}


async def test_voiding_is_never_undone(world: World) -> None:
    minted = await world.minted()
    await _void(world, minted)
    for status in ("minted", "exported", "queued", "failed"):
        assert await blocked_by(_set(world, minted, status)) == ["ILLEGAL_STATUS_TRANSITION"]
    refusal = world.rpc("retry_mint_job", mint_job_id=minted["mint_job_id"])
    assert await blocked_by(refusal) == ["JOB_STATUS_NOT_ELIGIBLE"]


async def test_unknown_and_foreign_batches_are_not_found(world: World) -> None:
    minted = await world.minted()
    for status in ("exported", "voided"):
        unknown: dict[str, UUID] = {"mint_batch_id": uuid4()}
        await refused_with(SUBJECT_NOT_FOUND, _set(world, unknown, status))
        foreign = world.rpc(
            "set_mint_batch_status",
            "stranger",
            mint_batch_id=minted["mint_batch_id"],
            status=status,
        )
        await refused_with(SUBJECT_NOT_FOUND, foreign)
    assert (await batch_of(world, minted))["status"] == "minted"


async def test_bad_arguments_are_named(world: World) -> None:
    minted = await world.minted(1)
    assert list(await bad_arguments(_set(world, minted, "VOIDED", reason=""))) == [
        "_status",
        "_reason",
    ]
    assert list(await bad_arguments(_void(world, minted, reason="x" * 501))) == ["_reason"]

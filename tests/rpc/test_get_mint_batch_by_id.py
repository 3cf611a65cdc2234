"""get_mint_batch_by_id: one batch with its product's name, its job and its lots."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED, SUBJECT_NOT_FOUND
from tests.rpc.test_list_mint_batches import KEYS as LISTED_KEYS
from tests.support.minting import (
    broken_cycles,
    cycle,
    drained,
    execute,
    job_of,
    value,
    with_limits,
)
from tests.support.refusals import bad_arguments, refused_with, same_bytes
from tests.support.world import World

RPC = "get_mint_batch_by_id"
KEYS = [*LISTED_KEYS, "product_name", "job", "lots"]
JOB_KEYS = ["status", "attempts", "last_error", "started_at", "finished_at"]
LOT_KEYS = ["id", "lot_code", "quantity", "minted_quantity", "activated_at"]
LOTS = [{"lot_code": "B", "qty": 3}, {"lot_code": "A", "qty": 1}, {"lot_code": "C", "qty": 6}]


async def _get(world: World, submitted: dict[str, Any], caller: str = "owner") -> Any:
    answer = await world.rpc(RPC, caller, mint_batch_id=submitted["mint_batch_id"])
    assert list(answer) == ["ok", "batch"]
    assert answer["ok"] is True
    return answer["batch"]


async def test_a_batch_is_told_with_all_its_keys(world: World) -> None:
    submitted = await world.submit(await world.product(name="Oak table", sku="OAK-1"))
    batch = await _get(world, submitted)
    assert list(batch) == KEYS
    assert list(batch["job"]) == JOB_KEYS
    assert (batch["product_name"], batch["product_sku"]) == ("Oak table", "OAK-1")
    assert batch["lots"] == []
    assert batch["job"] == {
        "status": "QUEUED",
        "attempts": 0,
        "last_error": None,
        "started_at": None,
        "finished_at": None,
    }


@pytest.mark.parametrize("more", [{}, {"identity_mode": "batch", "lots": LOTS}])
async def test_it_says_of_a_batch_what_the_list_says(world: World, more: dict[str, Any]) -> None:
    await world.minted(10, **more)
    (listed,) = (await world.rpc("list_mint_batches"))["batches"]
    got = await _get(world, {"mint_batch_id": listed["id"]})
    assert {key: got[key] for key in LISTED_KEYS} == listed


async def test_lots_say_how_far_each_is(world: World) -> None:
    submitted = await world.submit(await world.product(), identity_mode="batch", lots=LOTS)
    progress = []
    for _ in range(4):
        lots = (await _get(world, submitted))["lots"]
        assert all(list(lot) == LOT_KEYS for lot in lots)
        assert [(lot["lot_code"], lot["quantity"]) for lot in lots] == [
            ("B", 3),
            ("A", 1),
            ("C", 6),
        ]
        progress.append([lot["minted_quantity"] for lot in lots])
        await cycle(world, submitted, batch_size=4 if len(progress) > 1 else 2)
    assert progress == [[0, 0, 0], [2, 0, 0], [3, 1, 2], [3, 1, 6]]


async def test_an_activated_lot_says_since_when(world: World) -> None:
    submitted = await world.minted(10, identity_mode="batch", lots=LOTS)
    await execute(world, "update mint_lot set activated_at = created_at from mint_batch "
                  "where mint_batch.id = mint_batch_id and lot_code = 'A'")  # fmt: skip
    batch = await _get(world, submitted)
    since = {lot["lot_code"]: lot["activated_at"] for lot in batch["lots"]}
    assert since == {"B": None, "A": batch["created_at"], "C": None}


async def test_the_jobs_progress_is_told(world: World) -> None:
    submitted = await world.submit(await world.product())
    await cycle(world, submitted, batch_size=5)
    under_way = (await _get(world, submitted))["job"]
    assert (under_way["status"], under_way["finished_at"]) == ("PROCESSING", None)
    await drained(world)
    job, row = (await _get(world, submitted))["job"], await job_of(world, submitted)
    assert job == {key: row[key] for key in JOB_KEYS}
    assert (job["status"], job["started_at"]) == ("COMPLETED", under_way["started_at"])


async def test_a_failed_job_says_by_what_code(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, attempts_max=2)
    submitted = await world.submit(await world.product())
    await cycle(world, submitted, batch_size=5)
    with broken_cycles(monkeypatch):
        await cycle(world, submitted)
        batch = await _get(world, submitted)
        assert (batch["status"], batch["job"]["status"]) == ("processing", "PROCESSING")
        assert (batch["job"]["attempts"], batch["job"]["last_error"]) == (1, "INTERNAL")
        await cycle(world, submitted)
    batch = await _get(world, submitted)
    assert (batch["status"], batch["minted_quantity"], batch["minted_at"]) == ("failed", 5, None)
    assert (batch["job"]["status"], batch["job"]["attempts"]) == ("FAILED", 2)
    assert batch["job"]["last_error"] == "INTERNAL"
    assert batch["job"]["finished_at"] is not None


async def test_a_missing_product_has_neither_sku_nor_name(world: World) -> None:
    submitted = await world.submit(await world.product())
    await execute(
        world, "set session_replication_role = replica; delete from product; "
        "set session_replication_role = origin"
    )  # fmt: skip
    batch = await _get(world, submitted)
    assert (batch["product_sku"], batch["product_name"]) == (None, None)
    assert batch["product_id"] is not None


async def test_an_unknown_batch_and_a_strangers_are_the_same(world: World) -> None:
    product_id = await world.product("stranger")
    foreign = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=product_id,
        requested_quantity=1,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    job_id = foreign["mint_job_id"]
    errors = [
        await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, caller, mint_batch_id=each))
        for each in (foreign["mint_batch_id"], job_id, uuid4())
        for caller in ("owner", "viewer", "service")
    ]
    assert all(same_bytes(errors[0], each) for each in errors)
    assert errors[0].message == "Invalid input: mint batch not found"


async def test_every_member_and_the_service_see_it(world: World) -> None:
    submitted = await world.minted(3)
    seen = [
        await _get(world, submitted, caller)
        for caller in ("owner", "admin", "editor", "viewer", "service")
    ]
    assert all(each == seen[0] for each in seen)


@pytest.mark.parametrize("caller", ["stranger", "nobody", "anonymous"])
async def test_others_see_nothing(world: World, caller: str) -> None:
    submitted = await world.minted(3)
    kind = NOT_AUTHENTICATED if caller == "anonymous" else FORBIDDEN
    for each in (submitted["mint_batch_id"], uuid4(), "x", None):
        call = world.rpc(RPC, caller, brand_id=world.brand_id, mint_batch_id=each)
        await refused_with(kind, call)


@pytest.mark.parametrize("bad", [None, "", "x", 7, True, [], "null"])
async def test_a_bad_id_is_named(world: World, bad: object) -> None:
    assert list(await bad_arguments(world.rpc(RPC, mint_batch_id=bad))) == ["_mint_batch_id"]


async def test_looking_changes_nothing(world: World) -> None:
    submitted = await world.minted(3)
    before = await value(world, "select max(updated_at) from mint_batch")
    await _get(world, submitted)
    assert await value(world, "select max(updated_at) from mint_batch") == before

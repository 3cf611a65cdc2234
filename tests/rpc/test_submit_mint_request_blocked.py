"""submit_mint_request: what the rules of the domain refuse, each reason alone and all of them at once."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.minting import (
    allocated,
    counts,
    cycle,
    drained,
    execute,
    production_batch,
    with_limits,
)
from tests.support.refusals import bad_arguments, blocked_by
from tests.support.world import World

NOT_A_LOT_CODE = "№ 31"


async def _blocked(world: World, product_id: UUID, quantity: int = 10, **more: Any) -> list[str]:
    """The codes of a refusal that must store nothing and name what was asked for."""
    before = await counts(world)
    answer = await world.submit(product_id, quantity, **more)
    assert list(answer) == ["ok", "blocking_reasons", "product_id", "product_batch_id"]
    assert answer["ok"] is False
    assert answer["product_id"] == product_id
    assert answer["product_batch_id"] == more.get("product_batch_id")
    assert await counts(world) == before
    for reason in answer["blocking_reasons"]:
        assert set(reason) - {"details"} == {"code", "message"}
        assert reason["message"]
    return [reason["code"] for reason in answer["blocking_reasons"]]


async def _state(world: World, product_id: UUID, **patch: str) -> None:
    await world.rpc("update_product", product_id=product_id, patch=patch)


async def test_an_unknown_product_blocks(world: World) -> None:
    assert await _blocked(world, uuid4()) == ["PRODUCT_NOT_FOUND"]


async def test_another_brands_product_blocks_like_an_unknown_one(world: World) -> None:
    foreign = await world.product("stranger")
    unknown = uuid4()
    answers = [await world.submit(each) for each in (foreign, unknown)]
    assert answers[0] | {"product_id": unknown} == answers[1]


@pytest.mark.parametrize("status", ["DRAFT", "DISCONTINUED"])
async def test_a_product_that_is_not_active_blocks(world: World, status: str) -> None:
    made = await world.rpc("create_product", sku="A", name="A")
    product_id = made["product"]["id"]
    await _state(world, product_id, mint_readiness_status="READY")
    if status != "DRAFT":
        await _state(world, product_id, commercial_status=status)
    assert await _blocked(world, product_id) == ["COMMERCIAL_STATUS_NOT_ACTIVE"]


async def test_a_product_that_is_not_ready_blocks(world: World) -> None:
    product_id = await world.product()
    await _state(world, product_id, mint_readiness_status="NOT_READY")
    assert await _blocked(world, product_id) == ["MINT_READINESS_NOT_READY"]


async def test_the_gates_hold_without_a_production_batch_too(world: World) -> None:
    made = await world.rpc("create_product", sku="A", name="A")
    codes = ["COMMERCIAL_STATUS_NOT_ACTIVE", "MINT_READINESS_NOT_READY"]
    assert await _blocked(world, made["product"]["id"]) == codes


async def test_an_unknown_production_batch_blocks(world: World) -> None:
    product_id = await world.product()
    assert await _blocked(world, product_id, product_batch_id=uuid4()) == [
        "PRODUCT_BATCH_NOT_FOUND"
    ]


async def test_another_brands_production_batch_blocks_like_an_unknown_one(world: World) -> None:
    foreign = await production_batch(world, await world.product("stranger"), "stranger")
    product_id, unknown = await world.product(), uuid4()
    answers = [await world.submit(product_id, product_batch_id=each) for each in (foreign, unknown)]
    assert answers[0] | {"product_batch_id": unknown} == answers[1]


async def test_another_products_production_batch_blocks(world: World) -> None:
    source = await production_batch(world, await world.product())
    product_id = await world.product()
    assert await _blocked(world, product_id, product_batch_id=source) == ["PRODUCT_BATCH_MISMATCH"]


@pytest.mark.parametrize("status", ["DRAFT", "CLOSED"])
async def test_a_production_batch_that_is_not_ready_blocks(world: World, status: str) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, status=status)
    assert await _blocked(world, product_id, product_batch_id=source) == ["PRODUCT_BATCH_NOT_READY"]


async def test_a_request_above_the_production_batchs_quantity_blocks(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=9)
    assert await _blocked(world, product_id, 10, product_batch_id=source) == [
        "QUANTITY_EXCEEDS_BATCH"
    ]
    assert (await world.submit(product_id, 9, product_batch_id=source))["ok"]


async def test_requests_together_stay_within_the_quantity(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=100)
    assert (await world.submit(product_id, 60, product_batch_id=source))["ok"]
    await drained(world)
    assert await _blocked(world, product_id, 41, product_batch_id=source) == [
        "BATCH_QUANTITY_EXHAUSTED"
    ]
    assert (await world.submit(product_id, 40, product_batch_id=source))["ok"]
    assert await _blocked(world, product_id, 1, product_batch_id=source) == [
        "BATCH_QUANTITY_EXHAUSTED"
    ]
    assert await allocated(world, source) == 100


async def test_a_quantity_that_is_not_cumulative_caps_each_request_alone(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=100, is_cumulative=False)
    for _ in range(3):
        assert (await world.submit(product_id, 100, product_batch_id=source))["ok"]
    assert await _blocked(world, product_id, 101, product_batch_id=source) == [
        "QUANTITY_EXCEEDS_BATCH"
    ]


async def test_without_a_quantity_there_is_no_cap(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=None)
    for _ in range(3):
        assert (await world.submit(product_id, 1_000_000, product_batch_id=source))["ok"]
    assert await allocated(world, source) == 3_000_000


async def test_a_failed_job_counts_what_it_minted(world: World) -> None:
    world = with_limits(world, attempts_max=1)
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=100)
    submitted = await world.submit(product_id, 100, product_batch_id=source)
    await cycle(world, submitted, batch_size=30)
    await execute(world, "update work_item set lease_owner = 'gone', lease_until = now()")
    assert (await cycle(world, submitted))["status"] == "FAILED"
    assert await allocated(world, source) == 30
    assert await _blocked(world, product_id, 71, product_batch_id=source) == [
        "BATCH_QUANTITY_EXHAUSTED"
    ]
    assert (await world.submit(product_id, 70, product_batch_id=source))["ok"]


@pytest.mark.parametrize("number", [NOT_A_LOT_CODE, "A B", "=1", "..", "B" * 21])
async def test_a_batch_number_that_is_no_lot_code_blocks_batch_mode(
    world: World, number: str
) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, batch_number=number)
    asked: dict[str, Any] = {"product_batch_id": source, "identity_mode": "batch"}
    assert await _blocked(world, product_id, **asked) == ["BATCH_NUMBER_NOT_ENCODABLE"]


async def test_all_reasons_are_given_at_once_and_in_order(world: World) -> None:
    made = await world.rpc("create_product", sku="A", name="A")
    source = await production_batch(
        world, await world.product(), quantity=9, status="CLOSED", batch_number=NOT_A_LOT_CODE
    )
    codes = await _blocked(
        world, made["product"]["id"], product_batch_id=source, identity_mode="batch"
    )
    assert codes == [
        "COMMERCIAL_STATUS_NOT_ACTIVE",
        "MINT_READINESS_NOT_READY",
        "PRODUCT_BATCH_MISMATCH",
        "PRODUCT_BATCH_NOT_READY",
        "QUANTITY_EXCEEDS_BATCH",
        "BATCH_NUMBER_NOT_ENCODABLE",
    ]


async def test_serials_are_the_last_reason(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, quantity=2)
    assert (await world.submit(product_id, 2, serials=["A", "B"], product_batch_id=source))["ok"]
    await _state(world, product_id, mint_readiness_status="NOT_READY")
    codes = await _blocked(world, product_id, 1, serials=["A"], product_batch_id=source)
    assert codes == ["MINT_READINESS_NOT_READY", "BATCH_QUANTITY_EXHAUSTED", "SERIALS_NOT_UNIQUE"]


async def test_an_unknown_product_hides_no_other_reason(world: World) -> None:
    source = await production_batch(world, await world.product(), status="DRAFT", quantity=1)
    assert (await world.submit(await world.product(), 1, serials=["A"]))["ok"]
    codes = await _blocked(world, uuid4(), 2, product_batch_id=source, serials=["A", "B"])
    assert codes == [
        "PRODUCT_NOT_FOUND",
        "PRODUCT_BATCH_MISMATCH",
        "PRODUCT_BATCH_NOT_READY",
        "QUANTITY_EXCEEDS_BATCH",
        "SERIALS_NOT_UNIQUE",
    ]
    codes = await _blocked(world, uuid4(), 1, product_batch_id=uuid4())
    assert codes == ["PRODUCT_NOT_FOUND", "PRODUCT_BATCH_NOT_FOUND"]


async def test_bad_arguments_come_before_the_rules_of_the_domain(world: World) -> None:
    assert list(await bad_arguments(world.submit(uuid4(), 2, serials=["A", "A"]))) == [
        "_serials[1]"
    ]
    assert await blocked_by(world.submit(uuid4(), 2)) == ["PRODUCT_NOT_FOUND"]

"""create_product_batch: a batch of a product, its number unique in the product."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import CONFLICT, FORBIDDEN, SUBJECT_NOT_FOUND
from tests.support.refusals import bad_arguments, payloads, raced, refused_with, same_bytes
from tests.support.world import World

KEYS = [
    "id",
    "product_id",
    "batch_number",
    "status",
    "production_date",
    "quantity",
    "allocated_quantity",
    "is_cumulative",
    "facility_ref",
    "attributes",
    "created_at",
    "updated_at",
]


async def _create(world: World, product_id: UUID, caller: str = "owner", /, **more: object) -> Any:
    arguments = {"product_id": product_id, "batch_number": "B-1"} | more
    return (await world.rpc("create_product_batch", caller, **arguments))["product_batch"]


async def test_a_new_batch_has_the_defaults(world: World) -> None:
    product_id = await world.product()
    made = await _create(world, product_id)
    assert list(made) == KEYS
    assert made["product_id"] == product_id
    assert {key: made[key] for key in KEYS[2:10]} == {
        "batch_number": "B-1",
        "status": "DRAFT",
        "production_date": None,
        "quantity": None,
        "allocated_quantity": 0,
        "is_cumulative": True,
        "facility_ref": None,
        "attributes": {},
    }


async def test_a_new_batch_has_what_was_given(world: World) -> None:
    given = {
        "batch_number": " Lot № 7/ü ",
        "status": "READY",
        "production_date": "2026-01-31",
        "quantity": 2_000_000_000,
        "is_cumulative": False,
        "facility_ref": "urn:plant:7",
        "attributes": {"kiln": {"no": 7, "°C": 901.5}, "tags": ["a", None, True]},
    }
    made = await _create(world, await world.product(), **given)
    assert {key: made[key] for key in given} == given | {"production_date": date(2026, 1, 31)}


async def test_a_batch_that_is_ready_can_be_minted_from(world: World) -> None:
    product_id = await world.product()
    made = await _create(world, product_id, status="READY", quantity=100)
    assert (await world.submit(product_id, 100, product_batch_id=made["id"]))["ok"]


async def test_a_number_is_taken_once_a_product(world: World) -> None:
    first, second = await world.product(), await world.product()
    await _create(world, first)
    error = await refused_with(CONFLICT, _create(world, first))
    assert error.message == "Conflict: batch number B-1 is taken"
    assert [each.argument for each in error.problems] == ["_batch_number"]
    assert (await _create(world, second))["batch_number"] == "B-1"
    assert (await _create(world, first, batch_number="b-1"))["batch_number"] == "b-1"


async def test_of_eight_creates_at_once_one_wins(world: World) -> None:
    product_id = await world.product()
    answers, errors = await raced(
        *(
            world.rpc("create_product_batch", product_id=product_id, batch_number="B", quantity=i)
            for i in range(1, 9)
        )
    )
    assert len(answers) == 1
    assert {error.kind for error in errors} == {CONFLICT}


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    problems = await bad_arguments(
        world.rpc(
            "create_product_batch",
            product_id="7",
            batch_number="",
            production_date="2026-02-30",
            quantity=0,
            facility_ref="",
            attributes=[],
            status="OPEN",
            is_cumulative=1,
        )
    )
    assert set(problems) == {
        "_product_id",
        "_batch_number",
        "_production_date",
        "_quantity",
        "_facility_ref",
        "_attributes",
        "_status",
        "_is_cumulative",
    }
    assert "1 to 2,000,000,000" in problems["_quantity"]


@pytest.mark.parametrize(
    "attributes", [{"a": float("inf")}, {"a": "x" * 16_400}], ids=["infinite", "large"]
)
async def test_attributes_that_cannot_be_kept_are_refused(world: World, attributes: object) -> None:
    call = _create(world, await world.product(), attributes=attributes)
    assert set(await bad_arguments(call)) == {"_attributes"}


async def test_a_batch_made_is_an_event(world: World) -> None:
    product_id = await world.product()
    made = await _create(world, product_id, quantity=5)
    assert (await payloads(world, "settings_changed"))[0] == {
        "subject": "product_batch",
        "product_batch_id": str(made["id"]),
        "product_id": str(product_id),
        "change": "created",
        "batch_number": "B-1",
        "status": "DRAFT",
        "quantity": 5,
    }


async def test_an_unknown_product_and_a_strangers_are_the_same(world: World) -> None:
    foreign = await world.product("stranger")
    errors = [
        await refused_with(SUBJECT_NOT_FOUND, _create(world, each)) for each in (foreign, uuid4())
    ]
    assert same_bytes(*errors)
    assert errors[0].message == "Invalid input: product not found"


@pytest.mark.parametrize("caller", ["admin", "service"])
async def test_admins_and_the_service_make_batches(world: World, caller: str) -> None:
    assert await _create(world, await world.product(), caller)


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_make_none(world: World, caller: str) -> None:
    product_id = await world.product()
    await refused_with(FORBIDDEN, _create(world, product_id, caller, brand_id=world.brand_id))

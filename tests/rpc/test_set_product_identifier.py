"""set_product_identifier: one active of each type, the old one retired and kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import CONFLICT, FORBIDDEN, SUBJECT_NOT_FOUND
from tests.support.refusals import bad_arguments, payloads, raced, refused_with, same_bytes
from tests.support.world import GTIN_TABLE, World

GTIN_CHAIR = "9506000134369"
EAN_8 = "95060002"
UPC = "950600013439"


async def _made(world: World, caller: str = "owner", sku: str = "OAK-1", **more: object) -> UUID:
    answer = await world.rpc("create_product", caller, sku=sku, name="Oak table", **more)
    return UUID(str(answer["product"]["id"]))


async def _set(
    world: World, product_id: UUID, kind: str, value: object, caller: str = "owner"
) -> dict[str, Any]:
    return await world.rpc(
        "set_product_identifier",
        caller,
        product_id=product_id,
        identifier_type=kind,
        raw_value=value,
    )


async def _product(world: World, product_id: UUID) -> dict[str, Any]:
    """The product as it is: a patch that changes nothing answers it."""
    answer = await world.rpc("update_product", product_id=product_id, patch={"name": "Oak table"})
    product: dict[str, Any] = answer["product"]
    return product


async def _identifiers(world: World, product_id: UUID) -> list[tuple[str, str, str]]:
    product = await _product(world, product_id)
    return [
        (row["identifier_type"], row["identifier_value"], row["status"])
        for row in product["identifiers"]
    ]


async def test_the_answer_has_what_was_set(world: World) -> None:
    product_id = await _made(world)
    assert await _set(world, product_id, "gtin", GTIN_TABLE) == {
        "ok": True,
        "product_id": product_id,
        "identifier_type": "gtin",
        "identifier_value": GTIN_TABLE,
        "status": "active",
    }
    assert (await _product(world, product_id))["gtin"] == GTIN_TABLE


async def test_a_new_value_retires_the_old_one(world: World) -> None:
    product_id = await _made(world, gtin=GTIN_TABLE)
    await _set(world, product_id, "gtin", GTIN_CHAIR)
    product = await _product(world, product_id)
    assert product["gtin"] == GTIN_CHAIR
    retired = product["identifiers"][-1]
    assert (retired["identifier_value"], retired["status"]) == (GTIN_TABLE, "retired")
    assert retired["deactivated_by"] == world.user_ids["owner"]
    assert retired["deactivated_at"] == product["updated_at"]


async def test_the_same_value_again_changes_nothing(world: World) -> None:
    product_id = await _made(world, gtin=GTIN_TABLE)
    before = await _product(world, product_id)
    again = await _set(world, product_id, "gtin", GTIN_TABLE)
    assert again["status"] == "active"
    assert await _product(world, product_id) == before
    assert await payloads(world, "identifier_changed") == []


async def test_the_gtin_is_the_gtin_else_the_ean_else_the_upc(world: World) -> None:
    product_id = await _made(world)
    seen = []
    for kind, value in (("upc", UPC), ("ean", EAN_8), ("gtin", GTIN_TABLE)):
        await _set(world, product_id, kind, value)
        seen.append((await _product(world, product_id))["gtin"])
    assert seen == [UPC, EAN_8, GTIN_TABLE]


async def test_an_old_value_can_be_set_again(world: World) -> None:
    product_id = await _made(world, gtin=GTIN_TABLE)
    for value in (GTIN_CHAIR, GTIN_TABLE):
        await _set(world, product_id, "gtin", value)
    assert await _identifiers(world, product_id) == [
        ("sku", "OAK-1", "active"),
        ("gtin", GTIN_TABLE, "active"),
        ("gtin", GTIN_CHAIR, "retired"),
        ("gtin", GTIN_TABLE, "retired"),
    ]


async def test_a_sku_changes_the_product_too(world: World) -> None:
    product_id = await _made(world)
    await _set(world, product_id, "sku", "OAK-2")
    assert (await _product(world, product_id))["sku"] == "OAK-2"
    assert await _identifiers(world, product_id) == [
        ("sku", "OAK-2", "active"),
        ("sku", "OAK-1", "retired"),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "right"),
    [
        ("gtin", "9506000134353", "after 950600013435 the check digit is 2"),
        ("gtin", "950600013435", "check digit is"),
        ("gtin", "12345", "8, 12, 13 or 14 digits"),
        ("ean", UPC, "8 or 13 digits"),
        ("upc", GTIN_TABLE, "12 digits"),
        ("ean", "95060005", "after 9506000 the check digit is 2"),
        ("gtin", " " + GTIN_TABLE, "8, 12, 13 or 14 digits"),
        ("gtin", "", "8, 12, 13 or 14 digits"),
        ("sku", "", "1 to 64 characters"),
        ("sku", "x" * 65, "1 to 64 characters"),
    ],
)
async def test_a_wrong_value_is_refused_with_what_would_be_right(
    world: World, kind: str, value: str, right: str
) -> None:
    product_id = await _made(world)
    problems = await bad_arguments(_set(world, product_id, kind, value))
    assert set(problems) == {"_raw_value"}
    assert right in problems["_raw_value"]


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    problems = await bad_arguments(
        world.rpc("set_product_identifier", product_id="x", identifier_type="isbn")
    )
    assert set(problems) == {"_product_id", "_identifier_type", "_raw_value"}


@pytest.mark.parametrize("kind", ["gtin", "ean"])
async def test_a_gtin_of_another_product_is_refused_in_any_form(world: World, kind: str) -> None:
    await _made(world, sku="A", gtin="0" + GTIN_TABLE)
    other = await _made(world, sku="B", gtin=GTIN_CHAIR)
    error = await refused_with(CONFLICT, _set(world, other, kind, GTIN_TABLE))
    assert error.message == f"Conflict: GTIN 0{GTIN_TABLE} is taken"
    assert (await _product(world, other))["gtin"] == GTIN_CHAIR


async def test_a_sku_of_another_product_is_refused(world: World) -> None:
    await _made(world, sku="A")
    other = await _made(world, sku="B")
    error = await refused_with(CONFLICT, _set(world, other, "sku", "a"))
    assert [each.argument for each in error.problems] == ["_raw_value"]
    assert (await _product(world, other))["sku"] == "B"


async def test_a_retired_gtin_may_go_to_another_product(world: World) -> None:
    first, second = await _made(world, sku="A", gtin=GTIN_TABLE), await _made(world, sku="B")
    await _set(world, first, "gtin", GTIN_CHAIR)
    assert (await _set(world, second, "gtin", GTIN_TABLE))["ok"]


async def test_of_eight_products_that_want_one_gtin_one_gets_it(world: World) -> None:
    products = [await _made(world, sku=f"S{i}") for i in range(8)]
    answers, errors = await raced(*(_set(world, each, "gtin", GTIN_TABLE) for each in products))
    assert len(answers) == 1
    assert {error.kind for error in errors} == {CONFLICT}


async def test_eight_changes_of_one_product_at_once_leave_one_active(world: World) -> None:
    product_id = await _made(world)
    await raced(*(_set(world, product_id, "sku", f"OAK-{i}") for i in range(2, 10)))
    product = await _product(world, product_id)
    active = [row for row in product["identifiers"] if row["status"] == "active"]
    assert [row["identifier_value"] for row in active] == [product["sku"]]
    assert len(product["identifiers"]) == 9


async def test_a_change_is_an_event(world: World) -> None:
    product_id = await _made(world, gtin=GTIN_TABLE)
    await _set(world, product_id, "gtin", GTIN_CHAIR)
    assert await payloads(world, "identifier_changed") == [
        {
            "product_id": str(product_id),
            "identifier_type": "gtin",
            "identifier_value": GTIN_CHAIR,
            "previous_value": GTIN_TABLE,
        }
    ]


async def test_an_unknown_product_and_a_strangers_are_the_same(world: World) -> None:
    foreign = await _made(world, "stranger")
    errors = [
        await refused_with(SUBJECT_NOT_FOUND, _set(world, each, "gtin", GTIN_TABLE))
        for each in (foreign, uuid4())
    ]
    assert same_bytes(*errors)


@pytest.mark.parametrize("caller", ["admin", "service"])
async def test_admins_and_the_service_set_identifiers(world: World, caller: str) -> None:
    assert (await _set(world, await _made(world), "gtin", GTIN_TABLE, caller))["ok"]


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_set_none(world: World, caller: str) -> None:
    call = world.rpc(
        "set_product_identifier",
        caller,
        brand_id=world.brand_id,
        product_id=await _made(world),
        identifier_type="gtin",
        raw_value=GTIN_TABLE,
    )
    await refused_with(FORBIDDEN, call)

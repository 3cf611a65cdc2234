"""create_product: DRAFT and NOT_READY, its SKU and GTIN unique in the brand."""

from __future__ import annotations

import pytest

from mintage.errors import CONFLICT, FORBIDDEN, INVALID_INPUT, NOT_AUTHENTICATED
from tests.support.refusals import bad_arguments, payloads, raced, refused_with
from tests.support.world import GTIN_TABLE, World

PRODUCT_KEYS = [
    "id",
    "sku",
    "name",
    "gtin",
    "commercial_status",
    "mint_readiness_status",
    "description",
    "image_url",
    "created_at",
    "updated_at",
    "identifiers",
    "links",
]
IDENTIFIER_KEYS = [
    "identifier_type",
    "identifier_value",
    "identifier_value_normalized",
    "status",
    "created_at",
    "created_by",
    "deactivated_at",
    "deactivated_by",
]


async def test_a_new_product_is_draft_and_not_ready(world: World) -> None:
    answer = await world.rpc("create_product", sku="OAK-1", name="Oak table")
    assert list(answer) == ["ok", "product"]
    product = answer["product"]
    assert list(product) == PRODUCT_KEYS
    assert product["commercial_status"] == "DRAFT"
    assert product["mint_readiness_status"] == "NOT_READY"
    assert [product[key] for key in ("gtin", "description", "image_url", "links")] == [None] * 3 + [
        []
    ]
    assert product["created_at"] == product["updated_at"]


async def test_a_new_product_has_its_sku_and_gtin_as_active_identifiers(world: World) -> None:
    answer = await world.rpc("create_product", sku="Oak-1", name="Oak table", gtin=GTIN_TABLE)
    identifiers = {row["identifier_type"]: row for row in answer["product"]["identifiers"]}
    assert set(identifiers) == {"sku", "gtin"}
    assert all(list(row) == IDENTIFIER_KEYS for row in identifiers.values())
    assert all(row["status"] == "active" for row in identifiers.values())
    assert all(row["created_by"] == world.user_ids["owner"] for row in identifiers.values())
    assert identifiers["sku"]["identifier_value"] == "Oak-1"
    assert identifiers["sku"]["identifier_value_normalized"] == "oak-1"
    assert identifiers["gtin"]["identifier_value"] == GTIN_TABLE == answer["product"]["gtin"]
    assert identifiers["gtin"]["identifier_value_normalized"] == "0" + GTIN_TABLE


async def test_text_is_kept_as_it_was_given(world: World) -> None:
    given = {
        "sku": " Öl\u0301-1 ",
        "name": "  Table\u00a0",
        "description": "",
        "image_url": "https://img.example.com/Ä.png?a=1",
    }
    product = (await world.rpc("create_product", **given))["product"]
    assert {key: product[key] for key in given} == given


@pytest.mark.parametrize(
    ("first", "second"),
    [("OAK-1", "oak-1"), ("\u00d6-1", "o\u0308-1"), ("A" * 64, "a" * 64)],
)
async def test_skus_are_compared_by_lower_nfc(world: World, first: str, second: str) -> None:
    await world.rpc("create_product", sku=first, name="a")
    error = await refused_with(CONFLICT, world.rpc("create_product", sku=second, name="b"))
    assert error.message == f"Conflict: SKU {second} is taken"
    assert [each.argument for each in error.problems] == ["_sku"]
    assert error.hint


async def test_a_sku_with_a_blank_more_is_another_sku(world: World) -> None:
    await world.rpc("create_product", sku="A", name="a")
    assert (await world.rpc("create_product", sku="A ", name="b"))["ok"]


@pytest.mark.parametrize("gtin", [GTIN_TABLE, "0" + GTIN_TABLE])
async def test_gtins_are_compared_in_fourteen_digits(world: World, gtin: str) -> None:
    await world.rpc("create_product", sku="A", name="a", gtin=GTIN_TABLE)
    error = await refused_with(CONFLICT, world.rpc("create_product", sku="B", name="b", gtin=gtin))
    assert error.message == f"Conflict: GTIN 0{GTIN_TABLE} is taken"
    assert [each.argument for each in error.problems] == ["_gtin"]


async def test_a_refused_product_leaves_nothing(world: World) -> None:
    await world.rpc("create_product", sku="A", name="a", gtin=GTIN_TABLE)
    await refused_with(CONFLICT, world.rpc("create_product", sku="B", name="b", gtin=GTIN_TABLE))
    assert len(await payloads(world, "settings_changed")) == 1
    assert (await world.rpc("create_product", sku="B", name="b"))["ok"]


async def test_another_brand_may_have_the_same_sku_and_gtin(world: World) -> None:
    for caller in ("owner", "stranger"):
        answer = await world.rpc("create_product", caller, sku="A", name="a", gtin=GTIN_TABLE)
        assert answer["ok"]


async def test_of_eight_creates_at_once_one_wins(world: World) -> None:
    answers, errors = await raced(
        *(world.rpc("create_product", sku="oak", name=f"n{i}") for i in range(8))
    )
    assert len(answers) == 1
    assert {error.kind for error in errors} == {CONFLICT}


async def test_of_eight_creates_of_one_gtin_at_once_one_wins(world: World) -> None:
    answers, errors = await raced(
        *(world.rpc("create_product", sku=f"s{i}", name="n", gtin=GTIN_TABLE) for i in range(8))
    )
    assert len(answers) == 1
    assert {error.kind for error in errors} == {CONFLICT}


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    problems = await bad_arguments(
        world.rpc(
            "create_product",
            sku="x" * 65,
            name=None,
            gtin="9506000134353",
            description=5,
            image_url="http://plain.example.com",
            colour="red",
        )
    )
    assert set(problems) == {"_sku", "_name", "_gtin", "_description", "_image_url", "_colour"}
    assert "after 950600013435 the check digit is 2" in problems["_gtin"]
    assert "8, 12, 13 or 14 digits" in problems["_gtin"]


@pytest.mark.parametrize(
    "gtin", ["", "9506000134353", " 9506000134352", "950600013435", "٩٥٠٦٠٠٠١٣٤٣٥٢", 9506000134352]
)
async def test_a_wrong_gtin_is_refused(world: World, gtin: object) -> None:
    assert set(await bad_arguments(world.rpc("create_product", sku="A", name="a", gtin=gtin))) == {
        "_gtin"
    }


async def test_a_product_made_is_an_event(world: World) -> None:
    product = (await world.rpc("create_product", sku="A", name="a", gtin=GTIN_TABLE))["product"]
    assert await payloads(world, "settings_changed") == [
        {
            "subject": "product",
            "product_id": str(product["id"]),
            "change": "created",
            "sku": "A",
            "gtin": GTIN_TABLE,
        }
    ]


@pytest.mark.parametrize("caller", ["owner", "admin", "editor", "service"])
async def test_editors_and_above_make_products(world: World, caller: str) -> None:
    assert (await world.rpc("create_product", caller, sku="A", name="a"))["ok"]


@pytest.mark.parametrize("caller", ["viewer", "stranger", "nobody"])
async def test_others_make_none(world: World, caller: str) -> None:
    call = world.rpc("create_product", caller, sku="A", name="a", brand_id=world.brand_id)
    await refused_with(FORBIDDEN, call)


async def test_an_anonymous_caller_makes_none(world: World) -> None:
    await refused_with(
        NOT_AUTHENTICATED, world.rpc("create_product", "anonymous", sku="A", name="a")
    )


async def test_a_stranger_learns_nothing_from_bad_arguments(world: World) -> None:
    call = world.rpc("create_product", "stranger", brand_id=world.brand_id, sku=1)
    await refused_with(FORBIDDEN, call)
    await refused_with(INVALID_INPUT, world.rpc("create_product", sku=1))

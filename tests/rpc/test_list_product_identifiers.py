"""list_product_identifiers: active ones first, then the most recently retired."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from mintage.errors import SUBJECT_NOT_FOUND
from tests.support.minting import execute
from tests.support.refusals import bad_arguments, refused_with, same_bytes
from tests.support.world import GTIN_TABLE, World

RPC = "list_product_identifiers"
KEYS = [
    "identifier_type",
    "identifier_value",
    "identifier_value_normalized",
    "status",
    "created_at",
    "created_by",
    "deactivated_at",
    "deactivated_by",
]


async def _set(world: World, product_id: UUID, kind: str, value: str, caller: str) -> None:
    await world.rpc(
        "set_product_identifier",
        caller,
        product_id=product_id,
        identifier_type=kind,
        raw_value=value,
    )


async def test_active_ones_come_first_then_the_most_recently_retired(world: World) -> None:
    product_id = await world.product(sku="Oak-1", gtin=GTIN_TABLE)
    await _set(world, product_id, "sku", "Oak-2", "admin")
    await _set(world, product_id, "gtin", "9506000134369", "service")
    await _set(world, product_id, "sku", "Oak-3", "owner")
    answer = await world.rpc(RPC, product_id=product_id)
    assert list(answer) == ["ok", "product_id", "identifiers"]
    assert answer["product_id"] == product_id
    found = answer["identifiers"]
    assert [list(each) for each in found] == [KEYS] * 5
    assert [(each["identifier_value"], each["status"]) for each in found] == [
        ("9506000134369", "active"),
        ("Oak-3", "active"),
        ("Oak-2", "retired"),
        (GTIN_TABLE, "retired"),
        ("Oak-1", "retired"),
    ]
    assert [each["identifier_value_normalized"] for each in found[:2]] == [
        "09506000134369",
        "oak-3",
    ]
    people = world.user_ids
    assert [each["created_by"] for each in found[:3]] == [None, people["owner"], people["admin"]]
    assert [each["deactivated_by"] for each in found] == [
        None,
        None,
        people["owner"],
        None,
        people["admin"],
    ]
    assert all((each["deactivated_at"] is None) == (each["status"] == "active") for each in found)


async def test_two_hundred_are_shown_at_most_the_active_ones_among_them(world: World) -> None:
    product_id = await world.product(sku="OAK")
    await execute(
        world,
        "insert into product_identifier (brand_id, id, product_id, identifier_type, family, "
        "identifier_value, value_key, status, created_at, deactivated_at) "
        "select $1, gen_random_uuid(), $2, 'sku', 'sku', 'OLD-' || n, 'old-' || n, 'retired', $3, "
        "$3::timestamptz + n * interval '1 s' from generate_series(1, 250) as n",
        world.brand_id,
        product_id,
        datetime(2026, 1, 31, tzinfo=UTC),
    )
    found = (await world.rpc(RPC, product_id=product_id))["identifiers"]
    assert len(found) == 200
    values = [each["identifier_value"] for each in found]
    assert values[:2] == ["OAK", "OLD-250"]
    product = (await world.rpc("get_product", product_id=product_id))["product"]
    assert product["identifiers"] == found


async def test_an_unknown_product_and_another_brands_are_the_same(world: World) -> None:
    foreign = await world.product("stranger")
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=uuid4()))
    other = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=foreign))
    assert same_bytes(unknown, other)


async def test_the_list_is_not_paged(world: World) -> None:
    call = world.rpc(RPC, product_id=await world.product(), limit=5, cursor="x")
    assert set(await bad_arguments(call)) == {"_limit", "_cursor"}

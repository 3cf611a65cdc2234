"""update_product: a patch changes the keys it has, the gates need an owner or admin."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import CONFLICT, FORBIDDEN, SUBJECT_NOT_FOUND
from tests.support.refusals import (
    bad_arguments,
    blocked_by,
    payloads,
    raced,
    refused_with,
    same_bytes,
)
from tests.support.world import GTIN_TABLE, World

READY = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}


async def _made(world: World, caller: str = "owner", /, **changes: object) -> UUID:
    arguments = {"sku": "OAK-1", "name": "Oak table"} | changes
    return UUID(str((await world.rpc("create_product", caller, **arguments))["product"]["id"]))


async def _update(
    world: World, product_id: UUID, caller: str = "owner", /, **patch: object
) -> dict[str, Any]:
    answer = await world.rpc("update_product", caller, product_id=product_id, patch=patch)
    product: dict[str, Any] = answer["product"]
    return product


async def test_only_the_keys_given_are_changed(world: World) -> None:
    made = (
        await world.rpc(
            "create_product",
            sku="OAK-1",
            name="Oak table",
            gtin=GTIN_TABLE,
            description="old",
            image_url="https://img.example.com/1.png",
        )
    )["product"]
    changed = await _update(world, made["id"], description="new")
    assert list(changed) == list(made)
    assert changed["description"] == "new"
    assert changed["updated_at"] > made["updated_at"]
    assert {key for key in made if made[key] != changed[key]} == {"description", "updated_at"}


async def test_null_takes_a_description_and_an_image_away(world: World) -> None:
    product_id = await _made(world, description="d", image_url="https://img.example.com/1.png")
    changed = await _update(world, product_id, description=None, image_url=None)
    assert changed["description"] is None
    assert changed["image_url"] is None


async def test_null_elsewhere_is_named(world: World) -> None:
    product_id = await _made(world)
    patch = dict.fromkeys(("name", "sku", "commercial_status", "mint_readiness_status"))
    problems = await bad_arguments(world.rpc("update_product", product_id=product_id, patch=patch))
    assert set(problems) == {f"_patch.{key}" for key in patch}


@pytest.mark.parametrize("patch", [{}, None, [], "name", {"colour": "red"}])
async def test_a_patch_of_nothing_says_which_keys_exist(world: World, patch: object) -> None:
    product_id = await _made(world)
    problems = await bad_arguments(world.rpc("update_product", product_id=product_id, patch=patch))
    (hint,) = problems.values()
    assert all(key in hint for key in ("name", "description", "image_url", "sku", *READY))


async def test_the_gate_fields_open_minting(world: World) -> None:
    changed = await _update(world, await _made(world), "admin", **READY)
    assert {key: changed[key] for key in READY} == READY


@pytest.mark.parametrize("field", sorted(READY))
async def test_an_editor_changes_no_gate_field_nor_anything_beside_it(
    world: World, field: str
) -> None:
    product_id = await _made(world)
    await refused_with(
        FORBIDDEN, _update(world, product_id, "editor", name="Pine", **{field: READY[field]})
    )
    assert (await _update(world, product_id, description="d"))["name"] == "Oak table"


async def test_an_editor_changes_the_rest(world: World) -> None:
    assert (await _update(world, await _made(world), "editor", name="Pine"))["name"] == "Pine"


@pytest.mark.parametrize("before", ["ACTIVE", "DISCONTINUED"])
async def test_a_product_never_goes_back_to_draft(world: World, before: str) -> None:
    product_id = await _made(world)
    await _update(world, product_id, commercial_status=before)
    patch = {"commercial_status": "DRAFT", "name": "Pine"}
    call = world.rpc("update_product", product_id=product_id, patch=patch)
    assert await blocked_by(call) == ["ILLEGAL_STATUS_TRANSITION"]
    kept = await _update(world, product_id, description="d")
    assert (kept["commercial_status"], kept["name"]) == (before, "Oak table")


async def test_a_discontinued_product_comes_back(world: World) -> None:
    product_id = await _made(world)
    for status in ("ACTIVE", "DISCONTINUED", "ACTIVE"):
        changed = await _update(world, product_id, commercial_status=status)
        assert changed["commercial_status"] == status


async def test_the_same_values_again_change_nothing(world: World) -> None:
    product_id = await _made(world)
    first = await _update(world, product_id, **READY)
    events = len(await payloads(world, "settings_changed"))
    assert await _update(world, product_id, **READY, sku="OAK-1", name="Oak table") == first
    assert len(await payloads(world, "settings_changed")) == events


async def test_a_new_sku_retires_the_old(world: World) -> None:
    product_id = await _made(world)
    changed = await _update(world, product_id, sku="OAK-2")
    assert changed["sku"] == "OAK-2"
    identifiers = changed["identifiers"]
    assert isinstance(identifiers, list)
    assert [(row["identifier_value"], row["status"]) for row in identifiers] == [
        ("OAK-2", "active"),
        ("OAK-1", "retired"),
    ]
    assert identifiers[1]["deactivated_by"] == world.user_ids["owner"]
    assert identifiers[1]["deactivated_at"] == changed["updated_at"]
    assert (await payloads(world, "identifier_changed"))[0]["previous_value"] == "OAK-1"


async def test_a_sku_may_change_its_case(world: World) -> None:
    product_id = await _made(world)
    assert (await _update(world, product_id, sku="oak-1"))["sku"] == "oak-1"


async def test_a_retired_sku_is_free_again(world: World) -> None:
    first, second = await _made(world), await _made(world, sku="OAK-2")
    await _update(world, first, sku="OAK-3")
    assert (await _update(world, second, sku="OAK-1"))["sku"] == "OAK-1"


async def test_a_sku_of_another_product_is_refused(world: World) -> None:
    product_id = await _made(world)
    await _made(world, sku="OAK-2")
    error = await refused_with(CONFLICT, _update(world, product_id, name="Pine", sku="oak-2"))
    assert error.message == "Conflict: SKU oak-2 is taken"
    assert [each.argument for each in error.problems] == ["_patch.sku"]
    assert (await _update(world, product_id, description="d"))["name"] == "Oak table"


async def test_of_eight_products_that_want_one_sku_one_gets_it(world: World) -> None:
    products = [await _made(world, sku=f"S{i}") for i in range(4)]
    creates = [world.rpc("create_product", sku="oak", name="n") for _ in range(4)]
    updates = [
        world.rpc("update_product", product_id=each, patch={"sku": "OAK"}) for each in products
    ]
    answers, errors = await raced(*creates, *updates)
    assert len(answers) == 1
    assert {error.kind for error in errors} == {CONFLICT}


async def test_two_products_that_swap_their_skus_at_once_are_both_refused(
    world: World,
) -> None:
    first, second = await _made(world, sku="A"), await _made(world, sku="B")
    _, errors = await raced(
        world.rpc("update_product", product_id=first, patch={"sku": "B"}),
        world.rpc("update_product", product_id=second, patch={"sku": "A"}),
    )
    assert {error.kind for error in errors} == {CONFLICT}


async def test_an_update_is_an_event_that_says_what_changed(world: World) -> None:
    product_id = await _made(world)
    await _update(world, product_id, name="Pine", description="x" * 300, sku="PINE-1", **READY)
    assert (await payloads(world, "settings_changed"))[0] == {
        "subject": "product",
        "product_id": str(product_id),
        "change": "updated",
        "changed": {
            "name": {"from": "Oak table", "to": "Pine"},
            "description": {"from": None, "to": "x" * 200 + "…"},
            "commercial_status": {"from": "DRAFT", "to": "ACTIVE"},
            "mint_readiness_status": {"from": "NOT_READY", "to": "READY"},
        },
    }
    assert len(await payloads(world, "identifier_changed")) == 1


async def test_an_unknown_product_and_a_strangers_are_the_same(world: World) -> None:
    foreign = await _made(world, "stranger")
    errors = [
        await refused_with(SUBJECT_NOT_FOUND, _update(world, each, name="Pine"))
        for each in (foreign, uuid4())
    ]
    assert same_bytes(*errors)
    assert errors[0].message == "Invalid input: product not found"


@pytest.mark.parametrize("caller", ["viewer", "stranger", "nobody"])
async def test_others_change_nothing(world: World, caller: str) -> None:
    product_id = await _made(world)
    call = world.rpc(
        "update_product",
        caller,
        brand_id=world.brand_id,
        product_id=product_id,
        patch={"name": "Pine"},
    )
    await refused_with(FORBIDDEN, call)

"""update_product_batch: a patch changes the keys it has; a quantity stays above what is allocated."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from mintage.operations.call import SERVICE
from tests.support.refusals import (
    bad_arguments,
    blocked_by,
    payloads,
    raced,
    refused_with,
    same_bytes,
)
from tests.support.waiting import until_somebody_waits
from tests.support.world import World


async def _made(world: World, caller: str = "owner", /, **more: object) -> dict[str, Any]:
    product_id = await world.product(caller)
    arguments = {"product_id": product_id, "batch_number": "B-1", "status": "READY"} | more
    made: dict[str, Any] = (await world.rpc("create_product_batch", caller, **arguments))[
        "product_batch"
    ]
    return made


async def _update(world: World, batch_id: UUID, caller: str = "owner", /, **patch: object) -> Any:
    return await world.rpc("update_product_batch", caller, product_batch_id=batch_id, patch=patch)


async def _allocated(world: World, **more: object) -> dict[str, Any]:
    """A batch of 100 of which 60 are allocated."""
    made = await _made(world, quantity=100, **more)
    assert (await world.submit(made["product_id"], 60, product_batch_id=made["id"]))["ok"]
    return made


async def test_only_the_keys_given_are_changed(world: World) -> None:
    made = await _made(world, quantity=5, facility_ref="plant 7", attributes={"a": 1})
    changed = (await _update(world, made["id"], quantity=6))["product_batch"]
    assert list(changed) == list(made)
    assert changed["quantity"] == 6
    assert changed["updated_at"] > made["updated_at"]
    assert {key for key in made if made[key] != changed[key]} == {"quantity", "updated_at"}


async def test_all_keys_can_be_changed_at_once(world: World) -> None:
    patch = {
        "status": "CLOSED",
        "quantity": 7,
        "is_cumulative": False,
        "production_date": "2026-02-28",
        "facility_ref": "plant 8",
        "attributes": {"b": [1]},
    }
    changed = (await _update(world, (await _made(world))["id"], **patch))["product_batch"]
    assert {key: changed[key] for key in patch} == patch | {"production_date": date(2026, 2, 28)}


async def test_null_takes_a_cap_a_date_and_a_facility_away(world: World) -> None:
    made = await _allocated(world, production_date="2026-01-31", facility_ref="plant 7")
    cleared = dict.fromkeys(("quantity", "production_date", "facility_ref"))
    changed = (await _update(world, made["id"], **cleared))["product_batch"]
    assert {key: changed[key] for key in cleared} == cleared
    assert (await world.submit(made["product_id"], 500, product_batch_id=made["id"]))["ok"]


async def test_null_elsewhere_is_named(world: World) -> None:
    patch = dict.fromkeys(("status", "is_cumulative", "attributes"))
    problems = await bad_arguments(_update(world, uuid4(), **patch))
    assert set(problems) == {f"_patch.{key}" for key in patch}


@pytest.mark.parametrize("patch", [{}, {"batch_number": "B-2"}, {"product_id": str(uuid4())}])
async def test_a_number_and_a_product_are_no_keys_of_a_patch(
    world: World, patch: dict[str, object]
) -> None:
    problems = await bad_arguments(_update(world, uuid4(), **patch))
    (hint,) = problems.values()
    assert "production_date" in hint


@pytest.mark.parametrize("before", ["DRAFT", "READY", "CLOSED"])
@pytest.mark.parametrize("after", ["DRAFT", "READY", "CLOSED"])
async def test_every_status_may_follow_every_other(world: World, before: str, after: str) -> None:
    made = await _made(world, status=before)
    changed = (await _update(world, made["id"], status=after))["product_batch"]
    assert changed["status"] == after


async def test_a_quantity_does_not_fall_below_what_is_allocated(world: World) -> None:
    made = await _allocated(world)
    call = _update(world, made["id"], quantity=59, status="CLOSED")
    assert await blocked_by(call) == ["QUANTITY_BELOW_ALLOCATED"]
    changed = (await _update(world, made["id"], quantity=60))["product_batch"]
    assert (changed["quantity"], changed["allocated_quantity"]) == (60, 60)
    assert changed["status"] == "READY"


async def test_a_refusal_says_how_much_is_allocated(world: World) -> None:
    made = await _allocated(world)
    answer = await _update(world, made["id"], quantity=1)
    assert list(answer) == ["ok", "blocking_reasons"]
    details = answer["blocking_reasons"][0]["details"]
    assert details == {"allocated_quantity": 60, "quantity": 1}


async def test_a_quantity_that_is_not_cumulative_may_be_any(world: World) -> None:
    made = await _allocated(world)
    changed = (await _update(world, made["id"], is_cumulative=False, quantity=1))["product_batch"]
    assert (changed["is_cumulative"], changed["quantity"]) == (False, 1)


async def test_a_batch_that_has_given_more_does_not_become_cumulative(world: World) -> None:
    made = await _allocated(world, is_cumulative=False)
    await world.submit(made["product_id"], 60, product_batch_id=made["id"])
    call = _update(world, made["id"], is_cumulative=True)
    assert await blocked_by(call) == ["QUANTITY_BELOW_ALLOCATED"]
    changed = await _update(world, made["id"], is_cumulative=True, quantity=120)
    assert changed["product_batch"]["is_cumulative"] is True


async def test_a_request_that_takes_quantity_while_it_is_lowered_is_seen(world: World) -> None:
    made = await _made(world, quantity=100)
    async with world.platform.database.transaction(SERVICE.identity(world.brand_id)) as other:
        await other.execute(
            "update product_batch set allocated_quantity = 60 where brand_id = $1 and id = $2",
            world.brand_id,
            made["id"],
        )
        waiting = asyncio.create_task(_update(world, made["id"], quantity=50))
        await until_somebody_waits(world)
    assert await blocked_by(waiting) == ["QUANTITY_BELOW_ALLOCATED"]


async def test_lowering_a_quantity_while_requests_take_from_it_never_breaks_the_cap(
    world: World,
) -> None:
    made = await _made(world, quantity=100)
    requests = [world.submit(made["product_id"], 20, product_batch_id=made["id"]) for _ in range(4)]
    updates = [_update(world, made["id"], quantity=quantity) for quantity in (70, 50, 30, 40)]
    answers, errors = await raced(*requests, *updates)
    assert not errors
    codes = {reason["code"] for each in answers for reason in each.get("blocking_reasons", ())}
    assert codes <= {"QUANTITY_BELOW_ALLOCATED", "BATCH_QUANTITY_EXHAUSTED"}
    after = (await _update(world, made["id"], facility_ref="x"))["product_batch"]
    taken = [each for each in answers if each["ok"] and "mint_job_id" in each]
    assert after["allocated_quantity"] == 20 * len(taken) <= after["quantity"]


async def test_the_same_values_again_change_nothing(world: World) -> None:
    made = await _made(world, quantity=5, attributes={"a": [1]})
    events = len(await payloads(world, "settings_changed"))
    again = await _update(world, made["id"], quantity=5, attributes={"a": [1]}, status="READY")
    assert again["product_batch"] == made
    assert len(await payloads(world, "settings_changed")) == events


async def test_true_is_not_one_in_attributes(world: World) -> None:
    made = await _made(world, attributes={"a": 1})
    changed = (await _update(world, made["id"], attributes={"a": True}))["product_batch"]
    assert changed["attributes"]["a"] is True
    assert changed["updated_at"] > made["updated_at"]


async def test_an_update_is_an_event_that_says_what_changed(world: World) -> None:
    made = await _made(world, quantity=5)
    patch = {"quantity": None, "production_date": "2026-01-31", "attributes": {"secret": 1}}
    await _update(world, made["id"], **patch)
    assert (await payloads(world, "settings_changed"))[0] == {
        "subject": "product_batch",
        "product_batch_id": str(made["id"]),
        "product_id": str(made["product_id"]),
        "change": "updated",
        "changed": {
            "quantity": {"from": 5, "to": None},
            "production_date": {"from": None, "to": "2026-01-31"},
            "attributes": {},
        },
    }


async def test_an_unknown_batch_and_a_strangers_are_the_same(world: World) -> None:
    foreign = (await _made(world, "stranger"))["id"]
    errors = [
        await refused_with(SUBJECT_NOT_FOUND, _update(world, each, quantity=1))
        for each in (foreign, uuid4())
    ]
    assert same_bytes(*errors)
    assert errors[0].message == "Invalid input: product batch not found"


@pytest.mark.parametrize("caller", ["admin", "service"])
async def test_admins_and_the_service_change_batches(world: World, caller: str) -> None:
    assert (await _update(world, (await _made(world))["id"], caller, quantity=1))["ok"]


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_change_none(world: World, caller: str) -> None:
    call = world.rpc(
        "update_product_batch",
        caller,
        brand_id=world.brand_id,
        product_batch_id=(await _made(world))["id"],
        patch={"quantity": 1},
    )
    await refused_with(FORBIDDEN, call)

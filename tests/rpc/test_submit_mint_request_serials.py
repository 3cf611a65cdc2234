"""submit_mint_request with serials that the brand brings: GS1 AI (21), unique in the brand for ever."""

from __future__ import annotations

from typing import Any

import pytest

from mintage.rules.gs1 import FORMULA_STARTS, SET_82
from tests.support.minting import (
    batch_of,
    counts,
    cycle,
    drained,
    execute,
    rows,
    units_of,
    with_limits,
)
from tests.support.refusals import bad_arguments
from tests.support.world import World


async def _submit(world: World, *serials: str, **more: Any) -> dict[str, Any]:
    return await world.submit(await world.product(), len(serials), serials=list(serials), **more)


async def _taken(world: World, *serials: str) -> Any:
    """The details of the refusal that `serials` must meet."""
    product_id = await world.product()
    before = await counts(world)
    answer = await world.submit(product_id, len(serials), serials=list(serials))
    assert answer["ok"] is False
    (reason,) = answer["blocking_reasons"]
    assert reason["code"] == "SERIALS_NOT_UNIQUE"
    assert await counts(world) == before
    return reason["details"]


async def test_serials_are_registered_at_their_places(world: World) -> None:
    submitted = await _submit(world, "b", "B", "a/1", "0")
    registered = await rows(world, "select * from serial_registry order by unit_no")
    assert [each["serial_number"] for each in registered] == ["b", "B", "a/1", "0"]
    assert {each["mint_batch_id"] for each in registered} == {submitted["mint_batch_id"]}
    batch = await batch_of(world, submitted)
    assert (batch["has_brought_serials"], batch["serial_prefix"]) == (True, None)


async def test_units_have_the_serials_in_the_order_they_were_brought(world: World) -> None:
    serials = [f"{(7919 * number) % 5003}-{number}" for number in range(500)]
    submitted = await _submit(world, *serials)
    while not (await cycle(world, submitted, batch_size=77))["done"]:
        pass
    units = await units_of(world, submitted)
    assert [unit["serial_number"] for unit in units] == serials
    assert [unit["unit_no"] for unit in units] == list(range(500))


async def test_more_serials_than_one_statement_takes_keep_their_places(world: World) -> None:
    serials = [f"S{number:05}" for number in reversed(range(20_500))]
    submitted = await _submit(world, *serials)
    await drained(world)
    assert [unit["serial_number"] for unit in await units_of(world, submitted)] == serials
    details = await _taken(world, "new", *serials[::-1])
    assert details["count"] == 20_500
    assert [each["index"] for each in details["first"]] == list(range(1, 101))
    assert details["first"][0] == {"index": 1, "serial": "S00000"}


async def test_every_character_of_set_82_may_be_in_a_serial(world: World) -> None:
    serials = [f"A{character}" for character in SET_82]
    serials += [character for character in SET_82 if character not in FORMULA_STARTS + "."]
    submitted = await _submit(world, *serials)
    await drained(world)
    assert [unit["serial_number"] for unit in await units_of(world, submitted)] == serials


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "A" * 21,
        ".",
        "..",
        "=A",
        "+A",
        "-A",
        "@A",
        "A B",
        "A#B",
        "A@B",
        "A\nB",
        "A\x7f",
        "Ä",
        "\uff21",
        "A\u0660",
        "A1234567890123BC",
        "ZZZZZZZZZZZZZZZZ",
    ],
)
async def test_a_serial_that_no_url_or_sheet_could_hold_is_refused(world: World, bad: str) -> None:
    before = await counts(world)
    product_id = await world.product()
    problems = await bad_arguments(world.submit(product_id, 3, serials=["A", bad, "B"]))
    assert list(problems) == ["_serials[1]"]
    assert (await counts(world))["serial_registry"] == before["serial_registry"]


async def test_shapes_near_the_reserved_one_are_free(world: World) -> None:
    near = ["A1234567890123B", "A1234567890123BCD", "a1234567890123BC", "A1234567890123BI"]
    assert (await _submit(world, *near, "01234567890123BC", "...", ".A", "A=B"))["ok"]


async def test_a_serial_that_is_there_twice_is_named_at_its_second_place(world: World) -> None:
    product_id = await world.product()
    serials = ["A", "B", "a", "A", "B", "A"]
    problems = await bad_arguments(world.submit(product_id, 6, serials=serials))
    assert list(problems) == ["_serials[3]", "_serials[4]", "_serials[5]"]


async def test_a_hundred_bad_serials_are_named_and_no_more(world: World) -> None:
    product_id = await world.product()
    call = world.submit(product_id, 150, serials=["Ä"] * 150)
    assert len(await bad_arguments(call)) == 100


@pytest.mark.parametrize("quantity", [1, 3])
async def test_as_many_serials_as_units_are_due(world: World, quantity: int) -> None:
    call = world.submit(await world.product(), quantity, serials=["A", "B"])
    assert list(await bad_arguments(call)) == ["_serials"]


async def test_no_serials_are_no_list_of_serials(world: World) -> None:
    assert list(await bad_arguments(world.submit(await world.product(), 1, serials=[]))) == [
        "_serials"
    ]


async def test_serials_in_batch_mode_are_refused(world: World) -> None:
    call = world.submit(await world.product(), 1, serials=["A"], identity_mode="batch")
    assert list(await bad_arguments(call)) == ["_serials"]


async def test_a_serial_of_another_case_is_another_serial(world: World) -> None:
    assert (await _submit(world, "abc", "ABC"))["ok"]
    assert (await _submit(world, "Abc"))["ok"]
    assert await _taken(world, "aBC", "ABC") == {
        "count": 1,
        "first": [{"index": 1, "serial": "ABC"}],
    }


async def test_a_serial_is_used_once_for_ever(world: World) -> None:
    queued = await _submit(world, "queued")
    await _taken(world, "queued")
    await cycle(world, queued)
    await _taken(world, "queued")
    await execute(
        world,
        "update mint_batch set status = 'voided', voided_at = now() where id = $1",
        queued["mint_batch_id"],
    )
    await _taken(world, "queued")


async def test_a_serial_of_a_failed_job_stays_used_minted_or_not(world: World) -> None:
    world = with_limits(world, attempts_max=1)
    submitted = await _submit(world, "minted", "never")
    await cycle(world, submitted, batch_size=1)
    await execute(world, "update work_item set lease_owner = 'gone', lease_until = now()")
    assert (await cycle(world, submitted))["status"] == "FAILED"
    details = await _taken(world, "never", "minted")
    assert details["count"] == 2


async def test_another_brand_may_use_the_same_serial(world: World) -> None:
    ours = await _submit(world, "A", "B")
    product_id = await world.product("stranger")
    theirs = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=product_id,
        requested_quantity=2,
        identity_mode="serial",
        activation_mode="first_scan",
        serials=["A", "B"],
    )
    assert theirs["ok"]
    await drained(world)
    for each in (ours, theirs):
        assert [unit["serial_number"] for unit in await units_of(world, each)] == ["A", "B"]


async def test_a_blocked_request_registers_no_serial(world: World) -> None:
    await _submit(world, "A")
    await _taken(world, "A", "B")
    assert (await _submit(world, "B"))["ok"]

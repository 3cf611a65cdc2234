"""submit_mint_request: what is queued, what it keeps, and which arguments are refused.

What blocks a request is in `test_submit_mint_request_blocked`, brought serials in `…_serials`, repeated
requests in `…_again`, races in `tests/concurrency`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.arguments import SubmitMintRequest, parse_arguments
from mintage.operations.mint_submission import submit_mint_request_with_head_start
from mintage.rules import draws, serials, unit_ids
from mintage.rules.draws import RandomBytes
from mintage.rules.serials import ALPHABET
from tests.support.minting import (
    allocated,
    batch_of,
    counts,
    cycle,
    drained,
    events_of,
    execute,
    item_of,
    job_of,
    production_batch,
    rows,
    transactions,
    units_of,
    with_limits,
)
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import GTIN_TABLE, World

KEYS = ["ok", "mint_job_id", "mint_batch_id", "status", "is_duplicate"]
UPC = "012345678905"
GOOD = {
    "product_id": uuid4(),
    "requested_quantity": 10,
    "identity_mode": "serial",
    "activation_mode": "first_scan",
}


async def _lots(world: World, submitted: dict[str, Any]) -> list[tuple[str, int, int]]:
    found = await rows(
        world,
        "select lot_code, quantity, first_unit_no from mint_lot where mint_batch_id = $1 order by lot_no",
        submitted["mint_batch_id"],
    )
    return [(lot["lot_code"], lot["quantity"], lot["first_unit_no"]) for lot in found]


async def test_a_request_is_queued_and_no_unit_is_made(world: World) -> None:
    product_id = await world.product()
    before = await counts(world)
    submitted = await world.submit(product_id, 25)
    assert list(submitted) == KEYS
    assert (submitted["ok"], submitted["status"], submitted["is_duplicate"]) == (
        True,
        "QUEUED",
        False,
    )
    assert isinstance(submitted["mint_job_id"], UUID)
    after = await counts(world)
    more = {table: after[table] - before[table] for table in after if after[table] != before[table]}
    assert more == {"mint_job": 1, "mint_batch": 1, "mint_event": 1, "work_item": 1}


async def test_the_job_and_the_batch_hold_what_was_asked(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE)
    source = await production_batch(world, product_id)
    submitted = await world.submit(
        product_id, 25, product_batch_id=source, activation_mode="active_at_mint"
    )
    job, batch = await job_of(world, submitted), await batch_of(world, submitted)
    asked = {
        "product_id": product_id,
        "product_batch_id": source,
        "requested_quantity": 25,
        "identity_mode": "serial",
        "activation_mode": "active_at_mint",
        "created_by": world.user_ids["owner"],
        "created_by_type": "user",
    }
    assert {key: job[key] for key in asked} == asked
    assert {key: batch[key] for key in asked} == asked
    assert (job["status"], job["attempts"], job["started_at"]) == ("QUEUED", 0, None)
    assert (batch["status"], batch["minted_quantity"], batch["gtin14"]) == (
        "queued",
        0,
        "0" + GTIN_TABLE,
    )
    assert batch["mint_job_id"] == job["id"] == submitted["mint_job_id"]
    assert await allocated(world, source) == 25


async def test_a_request_leaves_one_event_of_its_caller(world: World) -> None:
    product_id = await world.product()
    submitted = await world.submit(product_id, 25)
    (event,) = await events_of(world, submitted)
    assert (event["event_type"], event["actor_type"]) == ("mint_requested", "user")
    assert event["actor_id"] == world.user_ids["owner"]
    assert event["mint_job_id"] == submitted["mint_job_id"]
    assert event["payload"] == {
        "requested_quantity": 25,
        "identity_mode": "serial",
        "activation_mode": "first_scan",
        "product_id": str(product_id),
        "product_batch_id": None,
    }


async def test_a_queued_job_is_runnable_at_once(world: World) -> None:
    item = await item_of(world, await world.submit(await world.product()))
    assert item is not None
    assert (item["kind"], item["attempts"], item["lease_owner"]) == ("mint_job", 0, None)
    assert item["waits_s"] <= 0


async def test_without_a_production_batch_only_the_platforms_limit_counts(world: World) -> None:
    product_id = await world.product()
    await production_batch(world, product_id, quantity=1)
    assert (await world.submit(product_id, 1_000_000))["ok"]


async def test_the_batch_keeps_the_gtin_that_the_product_had(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE)
    submitted = await world.submit(product_id, 2)
    other = "9506000140445"
    await world.rpc(
        "set_product_identifier", product_id=product_id, identifier_type="gtin", raw_value=other
    )
    await drained(world)
    later = await world.submit(product_id, 2)
    assert (await batch_of(world, submitted))["gtin14"] == "0" + GTIN_TABLE
    assert (await batch_of(world, later))["gtin14"] == "0" + other
    page = await world.rpc("list_mint_units", mint_batch_id=submitted["mint_batch_id"])
    for unit in page["units"]:
        assert unit["gtin"] == "0" + GTIN_TABLE
        assert f"/01/0{GTIN_TABLE}/21/{unit['serial_number']}" in unit["resolver_url"]


@pytest.mark.parametrize(
    ("identifiers", "kept"),
    [
        ({}, None),
        ({"upc": UPC}, "00" + UPC),
        ({"upc": UPC, "ean": "9506000140445"}, "09506000140445"),
        ({"upc": UPC, "ean": "9506000140445", "gtin": GTIN_TABLE}, "0" + GTIN_TABLE),
    ],
)
async def test_a_gtin_is_kept_before_an_ean_and_that_before_a_upc(
    world: World, identifiers: dict[str, str], kept: str | None
) -> None:
    product_id = await world.product()
    for identifier_type, raw_value in identifiers.items():
        await world.rpc(
            "set_product_identifier",
            product_id=product_id,
            identifier_type=identifier_type,
            raw_value=raw_value,
        )
    assert (await batch_of(world, await world.submit(product_id)))["gtin14"] == kept


async def test_the_callers_that_may_mint_are_named_as_actors(world: World) -> None:
    product_id = await world.product()
    for caller, actor_type in (("owner", "user"), ("admin", "user"), ("service", "service")):
        submitted = await world.rpc(
            "submit_mint_request",
            caller,
            product_id=product_id,
            requested_quantity=1,
            identity_mode="serial",
            activation_mode="first_scan",
        )
        (event,) = await events_of(world, submitted)
        batch = await batch_of(world, submitted)
        expected = (actor_type, world.user_ids.get(caller))
        assert (event["actor_type"], event["actor_id"]) == expected
        assert (batch["created_by_type"], batch["created_by"]) == expected


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody", "anonymous"])
async def test_others_mint_nothing(world: World, caller: str) -> None:
    before = await counts(world)
    kind = NOT_AUTHENTICATED if caller == "anonymous" else FORBIDDEN
    call = world.rpc("submit_mint_request", caller, brand_id=world.brand_id, requested_quantity="x")
    await refused_with(kind, call)
    assert await counts(world) == before


# Lots


async def test_lots_are_contiguous_ranges_in_their_order(world: World) -> None:
    lots = [{"lot_code": "B", "qty": 3}, {"lot_code": "A", "qty": 1}, {"lot_code": "b", "qty": 6}]
    submitted = await world.submit(await world.product(), 10, identity_mode="batch", lots=lots)
    assert await _lots(world, submitted) == [("B", 3, 0), ("A", 1, 3), ("b", 6, 4)]


async def test_a_hundred_lots_are_the_most(world: World) -> None:
    product_id = await world.product()
    lots = [{"lot_code": f"L{number}", "qty": 1} for number in range(101)]
    submitted = await world.submit(product_id, 100, identity_mode="batch", lots=lots[:100])
    assert len(await _lots(world, submitted)) == 100
    call = world.submit(product_id, 101, identity_mode="batch", lots=lots)
    assert list(await bad_arguments(call)) == ["_lots"]


async def test_without_lots_the_production_batchs_number_names_the_one_lot(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(world, product_id, batch_number="2026/31-a")
    submitted = await world.submit(product_id, 7, product_batch_id=source, identity_mode="batch")
    assert await _lots(world, submitted) == [("2026/31-a", 7, 0)]


async def test_without_lots_and_production_batch_the_lot_code_is_drawn(world: World) -> None:
    product_id = await world.product()
    codes = []
    for _ in range(3):
        submitted = await world.submit(product_id, 7, identity_mode="batch")
        ((code, quantity, first),) = await _lots(world, submitted)
        assert (code[0], len(code), quantity, first) == ("L", 11, 7, 0)
        assert set(code[1:]) <= set(ALPHABET)
        codes.append(code)
    assert len(set(codes)) == 3


async def test_lots_of_ones_own_need_no_encodable_batch_number(world: World) -> None:
    product_id = await world.product()
    source = await production_batch(
        world, product_id, batch_number="№ 7 of the long production line"
    )
    lots = [{"lot_code": "7", "qty": 2}]
    submitted = await world.submit(
        product_id, 2, product_batch_id=source, identity_mode="batch", lots=lots
    )
    assert await _lots(world, submitted) == [("7", 2, 0)]
    assert (await world.submit(product_id, 2, product_batch_id=source))["ok"]


@pytest.mark.parametrize(
    ("lots", "named"),
    [
        ([], ["_lots"]),
        ([{"lot_code": "A", "qty": 9}], ["_lots"]),
        ([{"lot_code": "A", "qty": 11}], ["_lots"]),
        ([{"lot_code": "A", "qty": 5}, {"lot_code": "A", "qty": 5}], ["_lots[1].lot_code"]),
        ([{"lot_code": "", "qty": 10}], ["_lots[0].lot_code"]),
        ([{"lot_code": "A" * 21, "qty": 10}], ["_lots[0].lot_code"]),
        ([{"lot_code": "Ä", "qty": 10}], ["_lots[0].lot_code"]),
        ([{"lot_code": "A B", "qty": 10}], ["_lots[0].lot_code"]),
        ([{"lot_code": "..", "qty": 5}, {"lot_code": "=1", "qty": 4}],
         ["_lots[0].lot_code", "_lots[1].lot_code", "_lots"]),
        ([{"lot_code": "A", "qty": 0}, {"lot_code": "B", "qty": 10}], ["_lots[0].qty"]),
        ([{"lot_code": "A", "qty": -1}, {"lot_code": "B", "qty": 11}], ["_lots[0].qty"]),
        ([{"lot_code": "A", "qty": True}], ["_lots[0].qty"]),
        ([{"lot_code": "A", "qty": 10.0}], ["_lots[0].qty"]),
        ([{"lot_code": "A", "qty": "10"}], ["_lots[0].qty"]),
        ([{"lot_code": "A", "qty": None}], ["_lots[0].qty"]),
        ([{"lot_code": 7, "qty": 10}], ["_lots[0].lot_code"]),
        ([{"lot_code": "A", "qty": 10, "note": "x"}], ["_lots[0].note"]),
        ([{"qty": 10}], ["_lots[0].lot_code"]),
        ([None], ["_lots[0]"]),
        ({"A": 10}, ["_lots"]),
        ("A", ["_lots"]),
    ],
)  # fmt: skip
async def test_bad_lots_are_named(world: World, lots: object, named: list[str]) -> None:
    before = await counts(world)
    call = world.submit(uuid4(), 10, identity_mode="batch", lots=lots)
    assert list(await bad_arguments(call)) == named
    assert await counts(world) == before


@pytest.mark.parametrize("code", ["=1", "+1", "-1", "@1", ".", "A B", "A\n", "A\0", "A#", "Ä"])
async def test_a_lot_code_that_no_url_or_sheet_could_hold_is_refused(
    world: World, code: str
) -> None:
    lots = [{"lot_code": "A", "qty": 4}, {"lot_code": code, "qty": 6}]
    call = world.submit(uuid4(), 10, identity_mode="batch", lots=lots)
    problems = await bad_arguments(call)
    assert problems
    assert all(name.startswith("_lots[1]") for name in problems)


@pytest.mark.parametrize("lots", [[], [{"lot_code": "A", "qty": 10}]])
async def test_lots_in_serial_mode_are_refused(world: World, lots: object) -> None:
    assert list(await bad_arguments(world.submit(uuid4(), 10, lots=lots))) == ["_lots"]


# Other arguments


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("product_id", "x"),
        ("product_id", None),
        ("product_id", 7),
        ("product_id", "{00000000-0000-0000-0000-000000000000}"),
        ("product_batch_id", "x"),
        ("product_batch_id", ""),
        ("requested_quantity", None),
        ("requested_quantity", 0),
        ("requested_quantity", -1),
        ("requested_quantity", 1_000_001),
        ("requested_quantity", 10**30),
        ("requested_quantity", "10"),
        ("requested_quantity", 10.0),
        ("requested_quantity", True),
        ("requested_quantity", [10]),
        ("identity_mode", None),
        ("identity_mode", "Serial"),
        ("identity_mode", 1),
        ("activation_mode", None),
        ("activation_mode", "now"),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("idempotency_key", 7),
        ("serials", "A"),
        ("serials", [7]),
        ("unit_price", 1),
    ],
)
async def test_a_bad_argument_is_named_and_nothing_is_stored(
    world: World, argument: str, bad: object
) -> None:
    before = await counts(world)
    problems = await bad_arguments(world.rpc("submit_mint_request", **GOOD | {argument: bad}))
    assert {name.split("[")[0] for name in problems} == {f"_{argument}"}
    assert await counts(world) == before


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    call = world.rpc(
        "submit_mint_request",
        product_batch_id=1,
        requested_quantity=0,
        lots=[{}],
        idempotency_key="",
    )
    assert set(await bad_arguments(call)) == {
        "_product_id",
        "_product_batch_id",
        "_requested_quantity",
        "_identity_mode",
        "_activation_mode",
        "_lots[0].lot_code",
        "_lots[0].qty",
        "_idempotency_key",
    }


async def test_null_is_absent_where_an_argument_is_optional(world: World) -> None:
    optional: dict[str, Any] = dict.fromkeys(
        ("product_batch_id", "lots", "serials", "idempotency_key")
    )
    assert (await world.submit(await world.product(), **optional))["ok"]


# What the brand and the platform decide


async def test_strata_of_the_brand_hide_the_size_of_a_batch(world: World) -> None:
    product_id = await world.product()
    open_about_it = await world.submit(product_id, 50)
    await execute(world, "update brand set strata = 1000000 where id = $1", world.brand_id)
    hidden = await world.submit(product_id, 50)
    await drained(world)
    assert (await batch_of(world, open_about_it))["serial_strata"] == 50
    assert (await batch_of(world, hidden))["serial_strata"] == 1_000_000
    assert _steps(await units_of(world, open_about_it)) > 32**10 // 50 * 45
    assert _steps(await units_of(world, hidden)) < 32**10 // 1_000_000 * 51


async def test_strata_below_the_quantity_count_as_the_quantity(world: World) -> None:
    await execute(world, "update brand set strata = 10 where id = $1", world.brand_id)
    submitted = await world.submit(await world.product(), 30)
    await drained(world)
    assert (await batch_of(world, submitted))["serial_strata"] == 30
    assert len({unit["serial_number"] for unit in await units_of(world, submitted)}) == 30


async def test_each_batch_of_a_brand_has_a_prefix_and_an_id_head_of_its_own(world: World) -> None:
    product_id = await world.product()
    batches = [await batch_of(world, await world.submit(product_id)) for _ in range(20)]
    assert len({batch["serial_prefix"] for batch in batches}) == 20
    assert len({batch["unit_id_low"] for batch in batches}) == 20


async def test_a_prefix_that_the_brand_has_is_drawn_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    drawn = iter(["0000", "0000", "0000", "0001"])
    monkeypatch.setattr(serials, "draw_below", lambda *_: 0)
    monkeypatch.setattr(serials, "_draw_characters", lambda *_: next(drawn))
    batches = [await batch_of(world, await world.submit(product_id)) for _ in range(2)]
    assert [batch["serial_prefix"] for batch in batches] == ["A0000", "A0001"]
    assert (await counts(world))["mint_job"] == 2


async def test_an_id_head_that_the_brand_has_is_drawn_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await world.product()
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    world = world.with_platform(replace(world.platform, pinned_now=moment))
    tags = iter([5] * 12)

    def draw_below(bound: int, random_bytes: RandomBytes) -> int:
        drawn = draws.draw_below(bound, random_bytes)
        return next(tags, drawn) if bound == 2**unit_ids.TAG_BITS else drawn

    monkeypatch.setattr(unit_ids, "draw_below", draw_below)
    batches = [await batch_of(world, await world.submit(product_id)) for _ in range(2)]
    heads = [batch["unit_id_low"].int >> 64 for batch in batches]
    assert heads[0] & 0xFFF == 5
    assert heads[0] != heads[1]
    assert heads[0] >> 16 == heads[1] >> 16 == int(moment.timestamp() * 1000)
    assert next(tags, None) is None


async def test_the_scheduler_leaves_a_kicked_job_to_its_kick_for_a_moment(world: World) -> None:
    world = with_limits(world, kick_head_start_s=3600.0)
    raw = {
        "_brand_id": str(world.brand_id),
        "_product_id": str(await world.product()),
        "_requested_quantity": 1,
        "_identity_mode": "serial",
        "_activation_mode": "first_scan",
    }
    async with transactions(world).call(world.brand_id) as call:
        submitted = dict(
            await submit_mint_request_with_head_start(call, parse_arguments(SubmitMintRequest, raw))
        )
    assert (await cycle(world))["status"] == "IDLE"
    assert (await cycle(world, submitted))["status"] == "COMPLETED"


def _steps(units: list[dict[str, Any]]) -> int:
    """How far the bodies of the first and the last serial lie apart."""
    first, last = (_body(units[place]["serial_number"]) for place in (0, -1))
    return last - first


def _body(serial: str) -> int:
    number = 0
    for character in serial[5:15]:
        number = number * 32 + ALPHABET.index(character)
    return number


async def test_faults_of_types_lots_and_serials_are_named_together(world: World) -> None:
    faults = await bad_arguments(
        world.rpc(
            "submit_mint_request",
            product_id="none",
            requested_quantity=3,
            identity_mode="serial",
            activation_mode="later",
            lots=[{"lot_code": "L", "qty": 3}],
            serials=["A", "=B", "C"],
            more=1,
        )
    )
    assert set(faults) == {
        "_product_id",
        "_activation_mode",
        "_lots",
        "_serials[1]",
        "_more",
    }


async def test_lots_are_looked_at_although_the_quantity_is_none(world: World) -> None:
    faults = await bad_arguments(
        world.submit(await world.product(), 0, identity_mode="batch", lots=[])
    )
    assert set(faults) == {"_requested_quantity", "_lots"}

"""list_mint_units: the units of a brand, a batch or a lot, newest batch first, highest number first."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.arguments import ListMintUnits, parse_arguments
from mintage.operations.mint_units import list_mint_units
from mintage.rules.gs1 import percent_encode
from tests.support.lists import (
    assert_cursor_holds_here_only,
    ids_of_pages,
    pages,
    statements_of,
)
from tests.support.minting import (
    cycle,
    drained,
    execute,
    rows,
    units_of,
    value,
    with_limits,
)
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import GTIN_TABLE, World

RPC = "list_mint_units"
KEYS = [
    "id",
    "mint_batch_id",
    "mint_lot_id",
    "lot_code",
    "unit_no",
    "product_id",
    "product_sku",
    "gtin",
    "serial_number",
    "status",
    "activation_mode",
    "resolver_url",
    "activated_at",
    "created_at",
]
LOTS = [{"lot_code": "B", "qty": 3}, {"lot_code": "A/1", "qty": 7}]
BATCH_MODE: dict[str, Any] = {"identity_mode": "batch", "lots": LOTS}
EMPTY = {"ok": True, "units": [], "has_more": False, "next_cursor": None}


async def _units(world: World, **filters: Any) -> list[dict[str, Any]]:
    (only,) = await pages(world, RPC, "units", limit=200, **filters)
    return only


async def _lot_ids(world: World, submitted: dict[str, Any]) -> list[UUID]:
    """The ids of a batch's lots, in their order."""
    answer = await world.rpc("get_mint_batch_by_id", mint_batch_id=submitted["mint_batch_id"])
    return [lot["id"] for lot in answer["batch"]["lots"]]


async def _touch(world: World, unit_id: UUID, **state: str) -> None:
    """Give a unit a `unit_state` with these times, as a scan or a revocation does."""
    columns = ", ".join(state)
    times = ", ".join(f"timestamptz '{moment}'" for moment in state.values())
    await execute(
        world,
        f"insert into unit_state (brand_id, unit_id, {columns}) values ($1, $2, {times})",
        world.brand_id,
        unit_id,
    )


# What a unit says


async def test_a_unit_of_serial_mode_has_all_its_keys(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE, sku="OAK-1")
    submitted = await world.submit(product_id, 1)
    await drained(world)
    (stored,) = await units_of(world, submitted)
    (unit,) = await _units(world)
    assert list(unit) == KEYS
    assert unit == {
        "id": stored["id"],
        "mint_batch_id": submitted["mint_batch_id"],
        "mint_lot_id": None,
        "lot_code": None,
        "unit_no": 0,
        "product_id": product_id,
        "product_sku": "OAK-1",
        "gtin": "0" + GTIN_TABLE,
        "serial_number": stored["serial_number"],
        "status": "minted",
        "activation_mode": "first_scan",
        "resolver_url": f"https://acme.example.com/01/0{GTIN_TABLE}/21/{stored['serial_number']}",
        "activated_at": None,
        "created_at": stored["created_at"],
    }


async def test_a_unit_of_batch_mode_says_its_lot(world: World) -> None:
    submitted = await world.minted(10, **BATCH_MODE)
    first, second = await _lot_ids(world, submitted)
    units = await _units(world)
    assert all(list(unit) == KEYS for unit in units)
    assert [unit["unit_no"] for unit in units] == list(range(9, -1, -1))
    assert [unit["lot_code"] for unit in units] == ["A/1"] * 7 + ["B"] * 3
    assert [unit["mint_lot_id"] for unit in units] == [second] * 7 + [first] * 3
    assert {unit["serial_number"] for unit in units} == {None}


@pytest.mark.parametrize("gtin", [GTIN_TABLE, None])
async def test_the_url_of_a_generated_serial(world: World, gtin: str | None) -> None:
    submitted = await world.minted(3, gtin=gtin)
    for unit in await _units(world, mint_batch_id=submitted["mint_batch_id"]):
        path = f"/01/0{gtin}/21/{unit['serial_number']}" if gtin else f"/mu/{unit['id']}"
        assert unit["resolver_url"] == f"https://acme.example.com{path}"
        assert unit["gtin"] == (f"0{gtin}" if gtin else None)


@pytest.mark.parametrize("gtin", [GTIN_TABLE, None])
async def test_the_url_of_a_lot(world: World, gtin: str | None) -> None:
    submitted = await world.minted(10, gtin=gtin, **BATCH_MODE)
    for unit in await _units(world, mint_batch_id=submitted["mint_batch_id"]):
        code = percent_encode(unit["lot_code"])
        path = f"/01/0{gtin}/10/{code}" if gtin else f"/ml/{unit['mint_lot_id']}"
        assert unit["resolver_url"] == f"https://acme.example.com{path}"


async def test_a_brought_serial_is_percent_encoded_in_its_url(world: World) -> None:
    serials = ["a/b", "%2F", "?&;", "100%", "x.y", "a+b", '"']
    await world.minted(len(serials), serials=serials)
    for unit in await _units(world):
        path = urlsplit(unit["resolver_url"]).path
        assert path == f"/01/0{GTIN_TABLE}/21/{percent_encode(unit['serial_number'])}"
        assert path.count("/") == 4


async def test_a_missing_product_has_no_sku(world: World) -> None:
    await world.minted(3)
    await execute(
        world, "set session_replication_role = replica; delete from product; "
        "set session_replication_role = origin"
    )  # fmt: skip
    assert {unit["product_sku"] for unit in await _units(world)} == {None}


# Status


async def test_a_status_is_derived_of_unit_lot_and_batch(world: World) -> None:
    submitted = await world.minted(10, **BATCH_MODE)
    batch = submitted["mint_batch_id"]
    by_number = {unit["unit_no"]: unit["id"] for unit in await _units(world)}
    await _touch(world, by_number[3], activated_at="2026-01-31 12:00Z")
    await _touch(world, by_number[4], revoked_at="2026-01-31 12:00Z")
    await _touch(
        world, by_number[5], activated_at="2026-01-31 12:00Z", revoked_at="2026-02-01 12:00Z"
    )
    await _touch(world, by_number[0], revoked_at="2026-01-31 12:00Z")
    await execute(
        world, "update mint_lot set activated_at = '2026-01-30 12:00Z' where lot_code = 'B'"
    )
    statuses = {unit["unit_no"]: unit["status"] for unit in await _units(world)}
    assert statuses == {
        0: "revoked",
        1: "active",
        2: "active",
        3: "active",
        4: "revoked",
        5: "revoked",
        **dict.fromkeys((6, 7, 8, 9), "minted"),
    }
    since = {
        unit["unit_no"]: unit["activated_at"] and unit["activated_at"].day
        for unit in await _units(world)
    }
    assert {number: since[number] for number in (1, 3, 4, 5, 6)} == {
        1: 30,
        3: 31,
        4: None,
        5: 31,
        6: None,
    }
    for status in ("minted", "active", "revoked"):
        found = {u["unit_no"] for u in await _units(world, mint_batch_id=batch, status=status)}
        assert found == {number for number, each in statuses.items() if each == status}


async def test_a_voided_batch_revokes_all_its_units_at_once(world: World) -> None:
    submitted = await world.minted(5, activation_mode="active_at_mint")
    batch = submitted["mint_batch_id"]
    assert {unit["status"] for unit in await _units(world)} == {"active"}
    await execute(world, "update mint_batch set status = 'voided', voided_at = now()")
    assert {unit["status"] for unit in await _units(world)} == {"revoked"}
    assert await _units(world, mint_batch_id=batch, status="active") == []
    assert len(await _units(world, mint_batch_id=batch, status="revoked")) == 5


async def test_a_status_needs_a_batch_or_lot(world: World) -> None:
    problems = await bad_arguments(world.rpc(RPC, status="minted"))
    assert list(problems) == ["_status"]
    assert "_mint_batch_id" in problems["_status"]
    submitted = await world.minted(10, **BATCH_MODE)
    for lot_id, count in zip(await _lot_ids(world, submitted), (3, 7), strict=True):
        assert len(await _units(world, mint_lot_id=lot_id, status="minted")) == count
        assert await _units(world, mint_lot_id=lot_id, status="active") == []


async def test_a_call_with_a_status_looks_at_so_many_units_and_no_more(world: World) -> None:
    submitted = await world.minted(100)
    batch = submitted["mint_batch_id"]
    units = await units_of(world, submitted)
    for number in (3, 4, 50, 97):
        await _touch(world, units[number]["id"], activated_at="2026-01-31 12:00Z")
    limited = with_limits(world, status_filter_rows_max=20)
    found = await pages(limited, RPC, "units", limit=10, mint_batch_id=batch, status="active")
    assert [[unit["unit_no"] for unit in page] for page in found] == [
        [97],
        [],
        [50],
        [],
        [4, 3],
        [],
    ]
    found = await pages(limited, RPC, "units", limit=1, mint_batch_id=batch, status="active")
    assert [u["unit_no"] for page in found for u in page] == [97, 50, 4, 3]
    found = await pages(limited, RPC, "units", limit=7, mint_batch_id=batch, status="minted")
    numbers = [unit["unit_no"] for page in found for unit in page]
    assert numbers == [number for number in range(99, -1, -1) if number not in {3, 4, 50, 97}]


@pytest.mark.parametrize("rows_max", [1, 2, 9, 10, 11])
async def test_however_far_a_call_looks_no_unit_is_missed(world: World, rows_max: int) -> None:
    submitted = await world.minted(10, **BATCH_MODE)
    units = await units_of(world, submitted)
    for number in (0, 2, 3, 9):
        await _touch(world, units[number]["id"], revoked_at="2026-01-31 12:00Z")
    limited = with_limits(world, status_filter_rows_max=rows_max)
    for filters, numbers in (
        ({"mint_batch_id": submitted["mint_batch_id"]}, {0, 2, 3, 9}),
        ({"mint_lot_id": (await _lot_ids(world, submitted))[0]}, {0, 2}),
        ({"mint_lot_id": (await _lot_ids(world, submitted))[1]}, {3, 9}),
    ):
        for limit in (1, 3):
            listed = await ids_of_pages(
                limited, RPC, "units", limit=limit, status="revoked", **filters
            )
            assert listed == [units[number]["id"] for number in sorted(numbers, reverse=True)]


# Filters and pages


async def test_the_newest_batch_comes_first_and_its_highest_number(world: World) -> None:
    product_id = await world.product()
    jobs = [await world.submit(product_id, 4) for _ in range(3)]
    await drained(world, batch_size=3)
    units = await _units(world)
    expected = [(job["mint_batch_id"], number) for job in jobs[::-1] for number in (3, 2, 1, 0)]
    assert [(unit["mint_batch_id"], unit["unit_no"]) for unit in units] == expected
    assert [unit["id"] for unit in units] == sorted((u["id"] for u in units), reverse=True)


async def test_fifty_units_are_a_page(world: World) -> None:
    await world.minted(51)
    answer = await world.rpc(RPC)
    assert (len(answer["units"]), answer["has_more"]) == (50, True)


@pytest.mark.parametrize("limit", [1, 2, 7, 30, 31])
async def test_pages_are_the_whole_list(world: World, limit: int) -> None:
    submitted = [
        await world.minted(10, gtin=None),
        await world.minted(10, gtin=None, **BATCH_MODE),
        await world.minted(10, gtin=None),
    ]
    every = [unit["id"] for unit in await _units(world)]
    assert len(set(every)) == 30
    assert await ids_of_pages(world, RPC, "units", limit=limit) == every
    for each in submitted:
        of_batch = [unit["id"] for unit in (await units_of(world, each))[::-1]]
        batch = each["mint_batch_id"]
        assert await ids_of_pages(world, RPC, "units", limit=limit, mint_batch_id=batch) == of_batch
    lots = await _lot_ids(world, submitted[1])
    units = await units_of(world, submitted[1])
    for lot_id, numbers in zip(lots, (range(3), range(3, 10)), strict=True):
        listed = await ids_of_pages(world, RPC, "units", limit=limit, mint_lot_id=lot_id)
        assert listed == [units[number]["id"] for number in reversed(numbers)]


async def test_what_is_minted_while_pages_are_read_repeats_and_skips_nothing(
    world: World,
) -> None:
    product_id = await world.product()
    old, under_way = [await world.submit(product_id, 30) for _ in range(2)]
    await cycle(world, old)
    await cycle(world, under_way, batch_size=10)
    there = [unit["id"] for unit in await _units(world)]

    async def mint_more(_: int) -> None:
        await cycle(world, under_way, batch_size=3)
        await cycle(world, await world.submit(product_id, 2))

    listed = await ids_of_pages(world, RPC, "units", limit=7, between=mint_more)
    assert len(listed) == len(set(listed))
    assert [each for each in listed if each in set(there)] == there
    assert await value(world, "select count(*)::int from mint_unit") > len(there)


async def test_only_what_is_minted_is_listed(world: World) -> None:
    submitted = await world.submit(await world.product(), 10, **BATCH_MODE)
    first, second = await _lot_ids(world, submitted)
    assert await _units(world, mint_batch_id=submitted["mint_batch_id"]) == []
    await cycle(world, submitted, batch_size=4)
    for filters, numbers in (
        ({}, [3, 2, 1, 0]),
        ({"mint_batch_id": submitted["mint_batch_id"]}, [3, 2, 1, 0]),
        ({"mint_lot_id": first}, [2, 1, 0]),
        ({"mint_lot_id": second}, [3]),
    ):
        assert [unit["unit_no"] for unit in await _units(world, **filters)] == numbers


async def test_a_lot_with_its_batch_is_found_and_with_another_not(world: World) -> None:
    submitted, other = [await world.minted(10, gtin=None, **BATCH_MODE) for _ in range(2)]
    lot_id = (await _lot_ids(world, submitted))[0]
    together: dict[str, Any] = {"mint_lot_id": lot_id}
    assert len(await _units(world, **together, mint_batch_id=submitted["mint_batch_id"])) == 3
    assert await _units(world, **together, mint_batch_id=other["mint_batch_id"]) == []


async def test_a_filter_that_fits_nothing_gives_an_empty_page(world: World) -> None:
    await world.minted(3)
    theirs = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=await world.product("stranger"),
        requested_quantity=10,
        activation_mode="first_scan",
        **BATCH_MODE,
    )
    await drained(world)
    (lot, _) = await rows(world, "select id from mint_lot order by lot_no")
    for filters in (
        {"mint_batch_id": uuid4()},
        {"mint_lot_id": uuid4()},
        {"mint_batch_id": theirs["mint_batch_id"]},
        {"mint_lot_id": lot["id"]},
        {"mint_batch_id": theirs["mint_job_id"]},
    ):
        assert await world.rpc(RPC, **filters) == EMPTY
        assert await world.rpc(RPC, **filters, status="minted") == EMPTY
    assert len((await world.rpc(RPC, "stranger", mint_lot_id=lot["id"]))["units"]) == 3


async def test_a_brand_without_units_has_an_empty_page(world: World) -> None:
    assert await world.rpc(RPC) == EMPTY


async def test_a_page_is_as_many_queries_however_many_rows_it_has(world: World) -> None:
    submitted = await world.minted(50)
    raw = {"_brand_id": str(world.brand_id), "_mint_batch_id": str(submitted["mint_batch_id"])}
    sent = []
    for limit in (1, 50):
        arguments = parse_arguments(ListMintUnits, raw | {"_limit": limit})
        sent.append(len(await statements_of(world, list_mint_units, arguments)))
    assert sent[0] == sent[1] <= 3


async def test_a_cursor_holds_for_one_list_brand_and_filter(world: World) -> None:
    submitted = await world.minted(10, **BATCH_MODE)
    batch = submitted["mint_batch_id"]
    await assert_cursor_holds_here_only(
        world,
        RPC,
        {"mint_batch_id": batch},
        {"mint_lot_id": (await _lot_ids(world, submitted))[0]},
        {"mint_batch_id": batch, "status": "minted"},
        other_rpc="list_mint_batches",
    )


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("limit", 0),
        ("limit", 201),
        ("limit", "20"),
        ("mint_batch_id", "x"),
        ("mint_lot_id", 7),
        ("status", "queued"),
        ("status", ""),
        ("cursor", 7),
        ("cursor", "A" * 513),
        ("from", "2026-01-31T12:00:00Z"),
    ],
)
async def test_a_bad_argument_is_named(world: World, argument: str, bad: object) -> None:
    assert list(await bad_arguments(world.rpc(RPC, **{argument: bad}))) == [f"_{argument}"]


async def test_every_member_and_the_service_see_them(world: World) -> None:
    submitted = await world.minted(3)
    units = [unit["id"] for unit in (await units_of(world, submitted))[::-1]]
    for caller in ("owner", "admin", "editor", "viewer", "service"):
        assert await ids_of_pages(world, RPC, "units", limit=9, caller=caller) == units


async def test_a_brand_sees_its_own_only(world: World) -> None:
    await world.minted(3)
    assert await world.rpc(RPC, "stranger") == EMPTY


@pytest.mark.parametrize("caller", ["stranger", "nobody", "anonymous"])
async def test_others_see_none(world: World, caller: str) -> None:
    kind = NOT_AUTHENTICATED if caller == "anonymous" else FORBIDDEN
    await refused_with(kind, world.rpc(RPC, caller, brand_id=world.brand_id, limit=0))

"""record_scan_event: scans that somebody else saw, activated and stored as our resolver does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.call import SYSTEM
from mintage.operations.resolving import GtinSerial
from mintage.operations.scan_recording import remove_old_scan_receipts
from mintage.settings import Limits
from tests.support.minting import broken_invariants, execute, row, rows, value
from tests.support.refusals import bad_arguments, raced, refused_with
from tests.support.scans import scan as resolver_scan
from tests.support.world import GTIN_TABLE, World

RPC = "record_scan_event"
GTIN_14 = f"0{GTIN_TABLE}"
KEPT_DAYS = Limits().scans_kept_days
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


async def _record(world: World, **arguments: Any) -> str:
    answer = await world.rpc(RPC, "service", **arguments)
    assert list(answer) == ["ok", "outcome"]
    assert answer["ok"] is True
    outcome: str = answer["outcome"]
    return outcome


async def _unit(world: World, **changes: Any) -> dict[str, Any]:
    """The only unit of a new batch."""
    submitted = await world.minted(1, **changes)
    return await row(
        world, "select * from mint_unit where mint_batch_id = $1", submitted["mint_batch_id"]
    )


async def _scans(world: World) -> list[dict[str, Any]]:
    return await rows(world, "select * from scan_event order by scanned_at, id")


async def _nothing_stored(world: World) -> bool:
    tables = ("scan_event", "scan_receipt", "unit_state")
    return not any([await rows(world, f"select from {table}") for table in tables])


async def test_the_first_scan_activates_and_later_ones_are_told_so(world: World) -> None:
    unit = await _unit(world)
    assert await _record(world, unit_id=unit["id"]) == "activated"
    assert await _record(world, unit_id=unit["id"]) == "already_active"
    first, second = await _scans(world)
    assert (first["outcome"], second["outcome"]) == ("activated", "already_active")
    assert first["unit_id"] == second["unit_id"] == unit["id"]
    assert first["mint_batch_id"] == unit["mint_batch_id"]
    assert first["traffic_class"] == "unknown"
    (state,) = await rows(world, "select * from unit_state")
    assert state["scan_count"] == 2
    assert await broken_invariants(world) == {}


async def test_each_way_of_naming_finds_what_was_scanned(world: World) -> None:
    unit = await _unit(world)
    serial = unit["serial_number"]
    for gtin in (GTIN_TABLE, GTIN_14):
        expected = "activated" if gtin == GTIN_TABLE else "already_active"
        assert await _record(world, gtin=gtin, serial_number=serial) == expected
    product_id = await value(world, "select product_id from mint_batch")
    lots = [{"lot_code": "LOT-1", "qty": 2}, {"lot_code": "LOT-2", "qty": 1}]
    submitted = await world.submit(product_id, 3, identity_mode="batch", lots=lots)
    await world.run(submitted["mint_job_id"])
    first, second = await rows(world, "select * from mint_lot order by lot_no")
    assert await _record(world, mint_lot_id=first["id"]) == "activated"
    assert await _record(world, gtin=GTIN_TABLE, lot_code="LOT-1") == "already_active"
    assert await _record(world, gtin=GTIN_TABLE, lot_code="LOT-2") == "activated"
    scanned = [scan["mint_lot_id"] for scan in await _scans(world)]
    assert scanned == [None, None, first["id"], first["id"], second["id"]]
    assert await broken_invariants(world) == {}


async def test_an_unknown_lot_of_a_known_gtin_leads_to_the_product(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE)
    assert await _record(world, gtin=GTIN_TABLE, lot_code="NO-SUCH") == "recorded"
    (scan,) = await _scans(world)
    assert (scan["product_id"], scan["mint_lot_id"]) == (product_id, None)


async def test_a_unit_that_is_active_from_minting_on_is_not_activated(world: World) -> None:
    unit = await _unit(world, activation_mode="active_at_mint")
    assert await _record(world, unit_id=unit["id"]) == "already_active"


async def test_revoked_and_voided_units_are_recorded_and_never_activated(world: World) -> None:
    revoked, voided = await _unit(world), await _unit(world, gtin=None)
    await world.rpc("revoke_mint_units", unit_ids=[revoked["id"]], reason="stolen")
    await world.rpc("set_mint_batch_status", mint_batch_id=voided["mint_batch_id"], status="voided")
    for unit in (revoked, voided):
        assert await _record(world, unit_id=unit["id"]) == "revoked"
    assert [scan["outcome"] for scan in await _scans(world)] == ["revoked"] * 2
    assert not await rows(world, "select from unit_state where activated_at is not null")
    assert await broken_invariants(world) == {}


async def test_what_was_not_issued_is_unknown_and_leaves_nothing(world: World) -> None:
    unit = await _unit(world)
    theirs = await world.product("stranger", gtin=GTIN_TABLE)
    assert theirs
    serial = unit["serial_number"]
    forged = serial[:-1] + ("0" if serial[-1] != "0" else "1")
    for scanned in (
        {"unit_id": uuid4()},
        {"mint_lot_id": uuid4()},
        {"gtin": GTIN_TABLE, "serial_number": "NO-SUCH"},
        {"gtin": GTIN_TABLE, "serial_number": forged},
        {"gtin": "9506000134369", "serial_number": serial},
        {"gtin": "9506000134369", "lot_code": "LOT-1"},
        {"unit_id": unit["id"], "brand_id": world.other_brand_id},
    ):
        assert await _record(world, scan_id="scan-1", **scanned) == "unknown"
    assert await _nothing_stored(world)
    assert await _record(world, scan_id="scan-1", unit_id=unit["id"]) == "activated"


async def test_the_same_scan_is_recorded_once(world: World) -> None:
    unit = await _unit(world)
    named = {"unit_id": unit["id"], "scan_id": "edge-1:42"}
    assert [await _record(world, **named) for _ in range(3)] == ["activated"] * 3
    earlier = datetime.now(UTC) - timedelta(days=40)
    assert await _record(world, **named, scanned_at=earlier.isoformat()) == "activated"
    assert await _record(world, scan_id="edge-1:42", mint_lot_id=uuid4()) == "activated"
    assert len(await _scans(world)) == 1
    assert await _record(world, unit_id=unit["id"], scan_id="EDGE-1:42") == "already_active"
    assert await broken_invariants(world) == {}


async def test_of_one_scan_sent_many_times_at_once_one_is_recorded(world: World) -> None:
    unit = await _unit(world)
    calls = [world.rpc(RPC, "service", unit_id=unit["id"], scan_id="scan") for _ in range(20)]
    answers, errors = await raced(*calls)
    assert errors == []
    assert [answer["outcome"] for answer in answers] == ["activated"] * 20
    assert len(await _scans(world)) == 1


async def test_of_many_scans_at_once_one_activates(world: World) -> None:
    unit = await _unit(world)
    calls = [world.rpc(RPC, "service", unit_id=unit["id"], scan_id=f"scan-{n}") for n in range(20)]
    answers, errors = await raced(*calls)
    assert errors == []
    outcomes = sorted(answer["outcome"] for answer in answers)
    assert outcomes == ["activated", *["already_active"] * 19]
    assert len(await _scans(world)) == 20
    assert await broken_invariants(world) == {}


async def test_a_scan_of_another_brand_may_have_the_same_name(world: World) -> None:
    mine = await _unit(world)
    product_id = await world.product("stranger")
    submitted = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=product_id,
        requested_quantity=1,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await world.run(submitted["mint_job_id"])
    theirs: UUID = await value(
        world, "select id from mint_unit where brand_id = $1", world.other_brand_id
    )
    assert await _record(world, unit_id=mine["id"], scan_id="scan") == "activated"
    other = world.other_brand_id
    assert await _record(world, unit_id=theirs, scan_id="scan", brand_id=other) == "activated"


async def test_it_is_stored_as_the_resolver_stores_it(world: World) -> None:
    unit = await _unit(world)
    await resolver_scan(world, GtinSerial(GTIN_14, unit["serial_number"]))
    await _record(world, gtin=GTIN_TABLE, serial_number=unit["serial_number"])
    first, second = await _scans(world)
    same = ("brand_id", "unit_id", "mint_lot_id", "mint_batch_id", "product_id", "severity")
    assert {key: first[key] for key in same} == {key: second[key] for key in same}


async def test_of_the_context_only_the_coarse_is_kept(world: World) -> None:
    unit = await _unit(world)
    contexts = [
        {"user_agent": PHONE, "ip": "192.0.2.77", "path": "/01/" + "x" * 600},
        {"ip": "2001:db8:1:2:3::4"},
        {"ip": "::ffff:192.0.2.77", "user_agent": "okhttp/4.12.0"},
        {},
    ]
    for context in contexts:
        await _record(world, unit_id=unit["id"], context=context)
    phone, six, mapped, nothing = await _scans(world)
    assert str(phone["ip_prefix"]) == "192.0.2.0/24"
    assert phone["traffic_class"] == "human"
    assert (phone["browser"], phone["os"], phone["device"]) == ("Mobile Safari", "iOS", "iPhone")
    assert phone["path"] == "/01/" + "x" * 508
    assert str(six["ip_prefix"]) == "2001:db8:1::/48"
    assert str(mapped["ip_prefix"]) == "192.0.2.0/24"
    assert mapped["traffic_class"] == nothing["traffic_class"] == "unknown"
    assert nothing["ip_prefix"] is nothing["browser"] is None


@pytest.mark.parametrize(
    "user_agent", ["Googlebot/2.1", "Twitterbot/1.0", "facebookexternalhit/1.1"]
)
async def test_a_bot_makes_no_scan(world: World, user_agent: str) -> None:
    unit = await _unit(world)
    call = world.rpc(RPC, "service", unit_id=unit["id"], context={"user_agent": user_agent})
    assert list(await bad_arguments(call)) == ["_context.user_agent"]
    assert await _nothing_stored(world)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, {"_unit_id"}),
        ({"gtin": GTIN_TABLE}, {"_serial_number", "_lot_code"}),
        ({"serial_number": "A1"}, {"_gtin"}),
        ({"lot_code": "A1"}, {"_gtin"}),
        ({"unit_id": uuid4, "mint_lot_id": uuid4}, {"_unit_id", "_mint_lot_id"}),
        ({"unit_id": uuid4, "gtin": GTIN_TABLE}, {"_unit_id", "_gtin"}),
        ({"mint_lot_id": uuid4, "lot_code": "A1"}, {"_mint_lot_id", "_lot_code"}),
        (
            {"gtin": GTIN_TABLE, "serial_number": "A1", "lot_code": "B1"},
            {"_gtin", "_serial_number", "_lot_code"},
        ),
    ],
    ids=range(8),
)
async def test_exactly_one_thing_is_named(
    world: World, given: dict[str, Any], named: set[str]
) -> None:
    arguments = {name: value() if callable(value) else value for name, value in given.items()}
    problems = await bad_arguments(world.rpc(RPC, "service", **arguments))
    assert set(problems) == named
    assert all("exactly one of" in problem for problem in problems.values())


async def test_all_that_is_bad_is_named_at_once(world: World) -> None:
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert set(await bad_arguments(world.rpc(RPC, "service", scanned_at=late))) == {
        "_unit_id",
        "_scanned_at",
    }
    call = world.rpc(
        RPC,
        "service",
        gtin="9506000134353",
        unit_id=uuid4(),
        mint_lot_id=uuid4(),
        context={"ip": "nowhere", "nonsense": 1},
    )
    assert set(await bad_arguments(call)) == {
        "_gtin",
        "_unit_id",
        "_mint_lot_id",
        "_context.ip",
        "_context.nonsense",
    }


async def test_a_scan_is_not_in_the_future_and_not_too_old(world: World) -> None:
    unit = await _unit(world)
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    then = world.with_platform(replace(world.platform, pinned_now=now))
    for good in (timedelta(seconds=60), timedelta(0), timedelta(days=-KEPT_DAYS)):
        moment = now + good
        assert await _record(then, unit_id=unit["id"], scanned_at=moment.isoformat()) != "unknown"
    for bad in (timedelta(seconds=61), timedelta(days=-KEPT_DAYS, seconds=-1)):
        call = then.rpc(RPC, "service", unit_id=unit["id"], scanned_at=(now + bad).isoformat())
        assert list(await bad_arguments(call)) == ["_scanned_at"]
    oldest, *_, newest = await _scans(world)
    assert oldest["scanned_at"] == now - timedelta(days=KEPT_DAYS)
    assert newest["scanned_at"] == now + timedelta(seconds=60)


async def test_a_late_report_activates_now_and_is_kept_at_its_time(world: World) -> None:
    unit = await _unit(world)
    earlier = datetime.now(UTC) - timedelta(days=200)
    await _record(world, unit_id=unit["id"], scanned_at=earlier.isoformat())
    (state,) = await rows(world, "select * from unit_state")
    assert state["first_scanned_at"] == state["last_scanned_at"] == earlier
    assert state["activated_at"] >= unit["created_at"]
    assert await broken_invariants(world) == {}


async def test_receipts_are_kept_as_long_as_scans(world: World) -> None:
    unit = await _unit(world)
    for scan_id in ("old", "new"):
        await _record(world, unit_id=unit["id"], scan_id=scan_id)
    await execute(
        world,
        "update scan_receipt set scanned_at = now() - make_interval(days => $1) where scan_id = 'old'",
        KEPT_DAYS + 2,
    )
    assert await remove_old_scan_receipts(world.platform.transactions(SYSTEM, "test")) == 1
    assert [left["scan_id"] for left in await rows(world, "select scan_id from scan_receipt")] == [
        "new"
    ]


@pytest.mark.parametrize("caller", ["viewer", "editor", "admin", "owner", "stranger"])
async def test_nobody_but_the_service_records(world: World, caller: str) -> None:
    call = world.rpc(RPC, caller, unit_id=uuid4(), brand_id=world.brand_id)
    await refused_with(FORBIDDEN, call)
    await refused_with(NOT_AUTHENTICATED, world.rpc(RPC, "anonymous", unit_id=uuid4()))

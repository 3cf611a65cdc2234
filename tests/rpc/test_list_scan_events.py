"""list_scan_events: a brand's scans, newest first, by what was scanned, how it was judged, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.arguments import parse_arguments
from mintage.operations.arguments_telemetry import ListScanEvents
from mintage.operations.scan_events import list_scan_events
from tests.support.lists import (
    assert_cursor_holds_here_only,
    ids_of_pages,
    pages,
    statements_of,
)
from tests.support.minting import execute, rows
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import GTIN_TABLE, World

RPC = "list_scan_events"
KEYS = [
    "id",
    "scanned_at",
    "unit_id",
    "mint_lot_id",
    "product_id",
    "outcome",
    "traffic_class",
    "country",
    "browser",
    "os",
    "device",
    "severity",
]


async def _scanned(
    world: World, count: int = 2, scans: int = 3, **changes: Any
) -> list[dict[str, Any]]:
    """The units of a new batch, each scanned so often, a minute between any two."""
    submitted = await world.minted(count, **changes)
    units = await rows(
        world,
        "select * from mint_unit where mint_batch_id = $1 order by unit_no",
        submitted["mint_batch_id"],
    )
    now = datetime.now(UTC)
    for number in range(scans):
        for place, unit in enumerate(units):
            moment = now - timedelta(minutes=number * count + place)
            await world.rpc(
                "record_scan_event",
                "service",
                unit_id=unit["id"],
                scanned_at=moment.isoformat(),
            )
    return units


async def _listed(world: World, **filters: Any) -> list[dict[str, Any]]:
    (only,) = await pages(world, RPC, "scan_events", limit=200, **filters)
    return only


async def test_a_scan_is_told_with_all_its_keys(world: World) -> None:
    (unit,) = await _scanned(world, 1, 1)
    (told,) = await _listed(world)
    assert list(told) == KEYS
    (stored,) = await rows(world, "select * from scan_event")
    assert told == {key: stored[key] for key in KEYS}
    assert told["unit_id"] == unit["id"]
    assert told["outcome"] == "activated"
    assert told["severity"] == "info"


async def test_each_filter_keeps_its_scans_and_all_hold_together(world: World) -> None:
    first = await _scanned(world, 2, 3)
    second = await _scanned(world, 1, 2, gtin=None)
    await execute(
        world, "update scan_event set severity = 'review' where unit_id = $1", first[0]["id"]
    )
    everything = {scan["id"]: scan for scan in await rows(world, "select * from scan_event")}
    assert len(everything) == 8
    values: dict[str, list[Any]] = {
        "unit_id": [None, first[0]["id"], second[0]["id"], uuid4()],
        "mint_batch_id": [None, first[0]["mint_batch_id"], second[0]["mint_batch_id"], uuid4()],
        "product_id": [None, *{scan["product_id"] for scan in everything.values()}, uuid4()],
        "severity": [None, "review", "high"],
    }
    for unit_id in values["unit_id"]:
        for batch_id in values["mint_batch_id"]:
            for product_id in values["product_id"]:
                for severity in values["severity"]:
                    filters = {
                        "unit_id": unit_id,
                        "mint_batch_id": batch_id,
                        "product_id": product_id,
                        "severity": severity,
                    }
                    expected = {
                        identifier
                        for identifier, scan in everything.items()
                        if all(wanted in {None, scan[name]} for name, wanted in filters.items())
                    }
                    assert {scan["id"] for scan in await _listed(world, **filters)} == expected


async def test_from_is_inclusive_and_to_is_exclusive(world: World) -> None:
    await _scanned(world, 1, 4)
    times = sorted(scan["scanned_at"] for scan in await _listed(world))
    for filters in ({}, {"unit_id": (await _listed(world))[0]["unit_id"]}):
        span = {"from": times[1].isoformat(), "to": times[3].isoformat()}
        told = await _listed(world, **span, **filters)
        assert [scan["scanned_at"] for scan in told] == [times[2], times[1]]


@pytest.mark.parametrize("name", ["", "unit_id", "mint_batch_id", "product_id", "severity"])
async def test_pages_are_the_list_cut_up(world: World, name: str) -> None:
    (unit,) = await _scanned(world, 1, 7)
    await execute(world, "update scan_event set severity = 'info'")
    # Two of one time are in the order of their ids.
    await execute(
        world,
        "update scan_event set scanned_at = (select min(scanned_at) from scan_event) "
        "where scanned_at < (select max(scanned_at) - interval '3 minutes' from scan_event)",
    )
    (product_id,) = {scan["product_id"] for scan in await _listed(world)}
    value = {
        "unit_id": unit["id"],
        "mint_batch_id": unit["mint_batch_id"],
        "product_id": product_id,
        "severity": "info",
    }.get(name)
    filters = {name: value} if name else {}
    stored = await rows(world, "select id from scan_event order by scanned_at desc, id desc")
    for limit in (1, 2, 3, 7, 200):
        found = await ids_of_pages(world, RPC, "scan_events", limit=limit, **filters)
        assert found == [scan["id"] for scan in stored]


async def test_pages_lead_through_months_that_are_partitions(world: World) -> None:
    (unit,) = await _scanned(world, 1, 1)
    for days in (40, 80, 399):
        moment = datetime.now(UTC) - timedelta(days=days)
        await world.rpc(
            "record_scan_event", "service", unit_id=unit["id"], scanned_at=moment.isoformat()
        )
    found = await pages(world, RPC, "scan_events", limit=1)
    times = [page[0]["scanned_at"] for page in found]
    assert times == sorted(times, reverse=True)
    assert len({(moment.year, moment.month) for moment in times}) >= 3


async def test_there_are_fifty_scans_on_a_page_unless_said(world: World) -> None:
    await _scanned(world, 13, 4)
    answer = await world.rpc(RPC)
    assert len(answer["scan_events"]) == 50
    assert answer["has_more"] is True
    for limit in (0, 201, "5", True):
        assert list(await bad_arguments(world.rpc(RPC, limit=limit))) == ["_limit"]


async def test_a_cursor_holds_for_this_list_brand_and_filter_only(world: World) -> None:
    (unit,) = await _scanned(world, 1, 3)
    now = datetime.now(UTC).isoformat()
    await assert_cursor_holds_here_only(
        world,
        RPC,
        {"unit_id": unit["id"]},
        {"mint_batch_id": unit["mint_batch_id"]},
        {"severity": "info"},
        {"from": now},
        {"to": now},
        other_rpc="list_mint_events",
    )


async def test_a_page_is_one_statement(world: World) -> None:
    await _scanned(world, 1, 3)
    arguments = parse_arguments(ListScanEvents, {"_brand_id": str(world.brand_id)})
    assert len(await statements_of(world, list_scan_events, arguments)) == 1


async def test_another_brands_scans_are_not_listed(world: World) -> None:
    (unit,) = await _scanned(world, 1, 1)
    for filters in ({}, {"unit_id": unit["id"]}, {"mint_batch_id": unit["mint_batch_id"]}):
        assert await _listed(world, caller="stranger", **filters) == []
    await refused_with(FORBIDDEN, world.rpc(RPC, "stranger", brand_id=world.brand_id))
    await refused_with(NOT_AUTHENTICATED, world.rpc(RPC, "anonymous"))


@pytest.mark.parametrize("severity", ["", "none", "HIGH", "null", 1])
async def test_a_severity_is_one_of_four(world: World, severity: object) -> None:
    assert list(await bad_arguments(world.rpc(RPC, severity=severity))) == ["_severity"]


async def test_a_scan_of_a_gtin_alone_is_in_the_products_list(world: World) -> None:
    product_id = await world.product(gtin=GTIN_TABLE)
    await world.rpc("record_scan_event", "service", gtin=GTIN_TABLE, lot_code="NO-SUCH")
    (told,) = await _listed(world, product_id=product_id)
    assert (told["unit_id"], told["mint_lot_id"], told["outcome"]) == (None, None, "recorded")
